"""What asks the prediction service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tallybook.client.prediction_fetching import PredictionFetcher, to_logger
from tallybook.client.service_settings import PREDICTION_ENDPOINT
from tallybook.deliver.answer import NO_ANSWER, OK, Http, Reply
from tallybook.deliver.ask import AskingHttp
from tallybook.deliver.predictions import PredictionRetries
from tallybook.optimizely._logging import Logger, adapted
from tallybook.optimizely.exceptions import CmabFetchError, CmabInvalidResponseError
from tallybook.optimizely.logger import NoOpLogger, adapt_logger

DEFAULT_MAX_RETRIES: Final = 1
DEFAULT_INITIAL_BACKOFF: Final = 0.1
DEFAULT_MAX_BACKOFF: Final = 10
DEFAULT_BACKOFF_MULTIPLIER: Final = 2.0
MAX_WAIT_TIME: Final = 10.0
DEFAULT_PREDICTION_ENDPOINT: Final = PREDICTION_ENDPOINT


class CmabRetryConfig:
    """How often a failed question is asked again, and after how many seconds: ever longer."""

    def __init__(
        self,
        max_retries: int = DEFAULT_MAX_RETRIES,
        initial_backoff: float = DEFAULT_INITIAL_BACKOFF,
        max_backoff: float = DEFAULT_MAX_BACKOFF,
        backoff_multiplier: float = DEFAULT_BACKOFF_MULTIPLIER,
    ) -> None:
        self.max_retries = max_retries
        self.initial_backoff = initial_backoff
        self.max_backoff = max_backoff
        self.backoff_multiplier = backoff_multiplier


class DefaultCmabClient:
    """Asks for predictions.

    Args:
        http_client: What carries questions, such as a session of ``requests``; connections of its
            own unless given.
        retry_config: Unless given, a question is asked once.
        logger: Nowhere unless given.
        prediction_endpoint: Where to ask; ``{}`` in it stands for the rule's id.
    """

    def __init__(
        self,
        http_client: Any = None,
        retry_config: CmabRetryConfig | None = None,
        logger: Logger | None = None,
        prediction_endpoint: str | None = None,
    ) -> None:
        self.http_client = http_client
        self.retry_config = retry_config
        self.logger = adapt_logger(logger or NoOpLogger())
        self.prediction_endpoint = prediction_endpoint or DEFAULT_PREDICTION_ENDPOINT
        self._own: dict[float, AskingHttp] = {}  # by patience, of which there is one

    def fetch_decision(
        self,
        rule_id: str,
        user_id: str,
        attributes: dict[str, Any],
        cmab_uuid: str,
        timeout: float = MAX_WAIT_TIME,
    ) -> str:
        """The id of the variation predicted for a user; each failure is logged.

        Args:
            rule_id: The bandit's rule.
            user_id: Whom to predict for.
            attributes: What the rule looks at, by attribute id.
            cmab_uuid: Names the prediction.
            timeout: Patience with one request, in seconds.

        Raises:
            CmabInvalidResponseError: What came is no prediction.
            CmabFetchError: Nothing came, or no attempt succeeded.
        """
        http = _Noting(self._http(timeout))
        fetch = PredictionFetcher(
            http, self.prediction_endpoint, to_logger(adapted(self.logger)), self._retries()
        )
        fetched = fetch(rule_id, user_id, tuple(attributes.items()), cmab_uuid)
        if fetched.variation_id is not None:
            return fetched.variation_id
        is_invalid = self.retry_config is None and http.status == OK
        kind = CmabInvalidResponseError if is_invalid else CmabFetchError
        raise kind(fetched.failures[-1])

    def _retries(self) -> PredictionRetries:
        config = self.retry_config
        if config is None:
            return PredictionRetries(max_retries=0)
        return PredictionRetries(
            config.max_retries,
            config.initial_backoff,
            config.max_backoff,
            config.backoff_multiplier,
        )

    def _http(self, timeout_s: float) -> Http:
        if self.http_client is not None:
            return _Session(self.http_client, timeout_s)
        own = self._own.get(timeout_s)
        return own or self._own.setdefault(timeout_s, AskingHttp(timeout_s))


class _Noting:
    """Carries questions by other means, and remembers how the last one was answered."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self.status = NO_ANSWER

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        reply = self._http.post(url, body, headers)
        self.status = reply.status
        return reply

    def get(self, url: str, headers: Mapping[str, str]) -> Reply:
        return self._http.get(url, headers)

    def abandon(self) -> None:
        self._http.abandon()


class _Session:
    """Carries questions by a session of somebody else's. What it raises is no answer."""

    def __init__(self, session: Any, timeout_s: float) -> None:
        self._session = session
        self._timeout_s = timeout_s

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        try:
            given = self._session.post(
                url, data=body, headers=dict(headers), timeout=self._timeout_s
            )
            return Reply(int(given.status_code), text=str(given.text), body=bytes(given.content))
        except Exception as error:  # noqa: BLE001 - somebody else's code
            return Reply(NO_ANSWER, text=f"{type(error).__name__}: {error}")

    def get(self, url: str, headers: Mapping[str, str]) -> Reply:
        raise NotImplementedError

    def abandon(self) -> None:
        pass
