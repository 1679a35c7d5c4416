"""What decides for contextual bandits."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, Protocol, TypedDict

from tallybook.client.predictions import (
    Attributes,
    KeptPrediction,
    PredictionCache,
    PredictionService,
)
from tallybook.deliver.predictions import FetchedPrediction
from tallybook.model.decision import Visitor
from tallybook.model.memory import Predict
from tallybook.model.project import Project
from tallybook.optimizely._logging import Logger, adapted
from tallybook.optimizely.exceptions import CmabError, CmabFetchError
from tallybook.optimizely.logger import NoOpLogger, adapt_logger
from tallybook.optimizely.optimizely_user_context import OptimizelyUserContext
from tallybook.optimizely.project_config import ProjectConfig

DEFAULT_CMAB_CACHE_TIMEOUT: Final = 30 * 60  # seconds
DEFAULT_CMAB_CACHE_SIZE: Final = 10_000

CmabCacheValue = KeptPrediction


class CmabDecision(TypedDict):
    """The variation predicted, and what names the prediction in events."""

    variation_id: str
    cmab_uuid: str


class CmabClient(Protocol):
    """What asks for predictions; it raises if there is none."""

    def fetch_decision(
        self, rule_id: str, user_id: str, attributes: dict[str, Any], cmab_uuid: str
    ) -> str:
        """The id of the variation predicted for a user."""
        ...


class DefaultCmabService:
    """Keeps predictions for a while, and fetches those it has not; whoever asks waits.

    Args:
        cmab_cache: Where predictions are kept.
        cmab_client: What asks for them.
        logger: Nowhere unless given.
    """

    def __init__(
        self, cmab_cache: PredictionCache, cmab_client: CmabClient, logger: Logger | None = None
    ) -> None:
        self.cmab_cache = cmab_cache
        self.cmab_client = cmab_client
        self.logger = adapt_logger(logger or NoOpLogger())
        self._log = adapted(self.logger)
        self._service = PredictionService(self._fetch, cmab_cache, self._log)

    def get_decision(
        self,
        project_config: ProjectConfig,
        user_context: OptimizelyUserContext,
        rule_id: str,
        options: list[str],
    ) -> tuple[CmabDecision, list[str]]:
        """The variation predicted for a user, and what was done for it, as sentences.

        Raises:
            CmabFetchError: There is none.
        """
        project = project_config.prepared.project
        experiment = project.experiment_by_id.get(rule_id)
        if experiment is None:
            raise CmabFetchError(f"the datafile has no rule {rule_id!r}")
        visitor = Visitor(user_context.user_id, user_context.get_user_attributes())
        prediction = self._service.predict(project, experiment, visitor, options)
        if prediction.variation_id is None or prediction.cmab_uuid is None:
            raise CmabFetchError(prediction.cause)
        for step in prediction.steps:
            self._log.log(step.level, "%s", step.text)
        decision = CmabDecision(
            variation_id=prediction.variation_id, cmab_uuid=prediction.cmab_uuid
        )
        return decision, [step.text for step in prediction.steps]

    def predictor(self, project: Project, options: Collection[str]) -> Predict:
        """The same for the SDK's own client, which logs by itself what was done."""
        return self._service.predictor(project, options)

    def _fetch(
        self, rule_id: str, user_id: str, attributes: Attributes, cmab_uuid: str
    ) -> FetchedPrediction:
        try:
            variation_id = self.cmab_client.fetch_decision(
                rule_id, user_id, dict(attributes), cmab_uuid
            )
        except CmabError as error:
            return FetchedPrediction(None, (str(error),))
        except Exception as error:  # noqa: BLE001 - somebody else's client, perhaps
            return FetchedPrediction(None, (f"{type(error).__name__}: {error}",))
        return FetchedPrediction(str(variation_id))
