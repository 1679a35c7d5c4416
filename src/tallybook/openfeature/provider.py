"""The provider: resolves flags, tracks, and tells what becomes of the datafile."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any, Final, Self

from msgspec.structs import replace
from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEventDetails
from openfeature.exception import (
    FlagNotFoundError,
    InvalidContextError,
    ProviderNotReadyError,
    TargetingKeyMissingError,
)
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType
from openfeature.provider import AbstractProvider, Metadata
from openfeature.track import TrackingEventDetails

from tallybook.client import Client, ClientSettings, Decision, UserContext
from tallybook.client.settings import settings_from
from tallybook.deliver.freshness import FreshnessWatch
from tallybook.deliver.http import KeepAliveHttp
from tallybook.deliver.process import tell_of_forks
from tallybook.deliver.settings import LONGEST_S
from tallybook.errors import ConfigError
from tallybook.model.decision import DecideOption
from tallybook.model.reason import ReasonKind
from tallybook.model.text import excerpt
from tallybook.notify import NotificationType
from tallybook.openfeature.answers import (
    SEPARATOR,
    attributes,
    checked,
    details,
    require_variable,
    variable,
)

READY_WITHIN_S: Final = 10.0
_STALE_INTERVALS: Final = 3  # polling intervals without a good answer
_REASONS: Final = [DecideOption.INCLUDE_REASONS.value]
_Object = Sequence[FlagValueType] | Mapping[str, FlagValueType]


class _State(Enum):
    IDLE = auto()
    WAITING = auto()  # for the first datafile
    READY = auto()


class TallybookProvider(AbstractProvider):
    """Evaluates flags with a client that stays the caller's: shutting down flushes it only.

    Args:
        client: Decides and tracks.
        ready_within_s: How long initialisation waits for the first datafile.

    Raises:
        ConfigError: An argument cannot be used.

    Example:
        >>> from openfeature import api
        >>> from openfeature.evaluation_context import EvaluationContext
        >>> from tallybook.testing import InMemoryClient
        >>> client = InMemoryClient()
        >>> client.set_flag("checkout", variation="treatment", variables={"color": "green"})
        >>> api.set_provider_and_wait(TallybookProvider(client))
        >>> context = EvaluationContext("user123", {"plan": "gold"})
        >>> api.get_client().get_string_value("checkout.color", "blue", context)
        'green'
        >>> api.clear_providers()
        >>> client.close()
        0
    """

    def __init__(self, client: Client, *, ready_within_s: float = READY_WITHIN_S) -> None:
        super().__init__()
        if not issubclass(type(client), Client):
            raise ConfigError(f"client: expected a Client, found {type(client).__name__}")
        self._client = client
        self._ready_within_s = _checked_s(ready_within_s)
        self._is_owner = False
        self._state = _State.IDLE
        self._listener = 0
        self.begin_in_child()
        tell_of_forks(self)

    @classmethod
    def connect(
        cls,
        sdk_key: str,
        server_url: str | None = None,
        *,
        settings: ClientSettings | None = None,
        ready_within_s: float = READY_WITHIN_S,
    ) -> Self:
        """A provider with a client of its own, which is closed when the provider is shut down.

        It says that it is stale when no datafile could be had for three polling intervals.

        Raises:
            ConfigError: An argument cannot be used.
        """
        _checked_s(ready_within_s)
        settings = settings_from(settings)
        polling = settings.polling
        watch = FreshnessWatch(
            settings.http or KeepAliveHttp(polling.request_timeout_s),
            _STALE_INTERVALS * polling.interval_s,
            settings.surroundings.monotonic,
        )
        client = Client(
            sdk_key=sdk_key, server_url=server_url, settings=replace(settings, http=watch)
        )
        provider = cls(client, ready_within_s=ready_within_s)
        provider._is_owner = True
        watch.on_change = provider._on_freshness
        return provider

    def begin_in_child(self) -> None:
        """Have a lock of its own: in a fork's child the parent's may be held for ever."""
        self._lock = threading.Lock()

    @property
    def client(self) -> Client:
        """The client behind, for what OpenFeature has no words for."""
        return self._client

    def get_metadata(self) -> Metadata:
        """The provider's name."""
        return Metadata(name="Tallybook")

    def initialize(self, evaluation_context: EvaluationContext) -> None:  # noqa: ARG002
        """Wait for the first datafile; what changes later is told as provider events.

        Raises:
            ProviderNotReadyError: None came in time. Once one does, the provider says it is ready.
        """
        if not self._listener:
            self._listener = self._client.notifications.add_notification_listener(
                NotificationType.OPTIMIZELY_CONFIG_UPDATE, self._on_update
            )
        self._client.wait_until_ready(self._ready_within_s)
        with self._lock:
            self._state = _State.READY if self._client.is_ready else _State.WAITING
            if self._state is _State.READY:
                return
        raise ProviderNotReadyError(f"no datafile came within {self._ready_within_s:g} s")

    def shutdown(self) -> None:
        """Deliver what was tracked, and close the client if it is the provider's own."""
        self._client.notifications.remove_notification_listener(self._listener)
        self._listener = 0
        with self._lock:
            self._state = _State.IDLE
        if self._is_owner:
            self._client.close()
        else:
            self._client.flush(self._ready_within_s)

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: ARG002 - a flag is on or off, it has no third answer
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Whether a flag is on, or a boolean variable."""
        decision, key = self._decide(flag_key, evaluation_context)
        value = variable(decision, key) if key else decision.enabled
        return details(decision, checked(flag_key, value, bool))

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        """The key of a flag's variation, the default where there is none, or a string variable."""
        decision, key = self._decide(flag_key, evaluation_context)
        if key:
            value = variable(decision, key)
        else:
            value = default_value if decision.variation_key is None else decision.variation_key
        return details(decision, checked(flag_key, value, str))

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,  # noqa: ARG002 - variables have defaults of their own
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        """An integer variable."""
        require_variable(flag_key)
        decision, key = self._decide(flag_key, evaluation_context)
        value = variable(decision, key)
        return details(decision, checked(flag_key, value, int))

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,  # noqa: ARG002 - variables have defaults of their own
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        """A double variable, or an integer one as a float."""
        require_variable(flag_key)
        decision, key = self._decide(flag_key, evaluation_context)
        value = variable(decision, key)
        if isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        return details(decision, checked(flag_key, value, float))

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: _Object,  # noqa: ARG002 - variables have defaults of their own
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[_Object]:
        """All variables of a flag by key, or a JSON variable that is an object or a list."""
        decision, key = self._decide(flag_key, evaluation_context)
        value = variable(decision, key) if key else dict(decision.variables)
        if isinstance(value, list):
            return details(decision, value)
        return details(decision, checked(flag_key, value, dict))

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Record a conversion: the details' fields are its tags, their value the tag ``value``.

        Without a targeting key it is refused, logged and counted, as every event that cannot be
        kept is.
        """
        context = evaluation_context or EvaluationContext()
        tags: dict[str, object] = {}
        if tracking_event_details is not None:
            tags |= tracking_event_details.attributes
            if tracking_event_details.value is not None:
                tags["value"] = tracking_event_details.value
        user_id: Any = context.targeting_key or None
        self._client.track(tracking_event_name, user_id, attributes(context), tags)

    def _decide(self, flag_key: str, context: EvaluationContext | None) -> tuple[Decision, str]:
        name, _, variable = flag_key.partition(SEPARATOR)
        decision = self._user(context).decide(name, _REASONS)
        kinds = decision.reason_kinds
        if ReasonKind.NOT_READY in kinds:
            raise ProviderNotReadyError("there is no datafile yet")
        if ReasonKind.FLAG_UNKNOWN in kinds:
            raise FlagNotFoundError(f"the datafile has no flag with the key `{name}`")
        return decision, variable

    def _user(self, context: EvaluationContext | None) -> UserContext:
        if context is None or not context.targeting_key:
            raise TargetingKeyMissingError("the context needs a targeting key: the user's id")
        user = self._client.create_user_context(context.targeting_key, attributes(context))
        if user is None:
            raise InvalidContextError("the targeting key must be a string")
        return user

    def _on_update(self) -> None:
        with self._lock:
            before, is_listening = self._state, self._state is not _State.IDLE
            if is_listening:
                self._state = _State.READY
        if before is _State.WAITING:
            self.emit_provider_ready(ProviderEventDetails())
        elif is_listening:
            self.emit_provider_configuration_changed(ProviderEventDetails())

    def _on_freshness(self, is_stale: bool) -> None:
        if self._state is not _State.READY:
            return
        if is_stale:
            message = "the datafile could not be fetched for some time"
            self.emit_provider_stale(ProviderEventDetails(message=message))
        else:
            self.emit_provider_ready(ProviderEventDetails())


def _checked_s(seconds: object) -> float:
    is_number = type(seconds) in (int, float)
    if is_number and 0 <= seconds <= LONGEST_S:  # type: ignore[operator]  # a number
        return float(seconds)  # type: ignore[arg-type]  # a number
    raise ConfigError(
        f"ready_within_s: expected a number, 0 or more, at most {LONGEST_S:g}, "
        f"found {excerpt(seconds)}"
    )
