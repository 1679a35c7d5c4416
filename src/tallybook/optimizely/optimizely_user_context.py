"""The visitor's side of the client."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NewType, Protocol, Self, cast

from msgspec.structs import replace

from tallybook.client.calls import Calls
from tallybook.client.context import Options, UserContext
from tallybook.client.forced import DecisionContext, ForcedDecision
from tallybook.client.user_state import CHANGES, state_of
from tallybook.optimizely._askable import askable
from tallybook.optimizely._logging import Logger
from tallybook.optimizely.decision.optimizely_decision import OptimizelyDecision

UserAttributes = NewType("UserAttributes", dict[str, Any])


class _Client(Protocol):
    """What a context asks."""

    _calls: Calls
    _identify: Callable[[str], None] | None

    def _fetch_qualified_segments(
        self, user_id: str, options: list[str] | None = None
    ) -> list[str] | None: ...


class _Value:
    """Equal to what has the same attributes, which can be changed."""

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__qualname__}({shown})"


class OptimizelyUserContext(UserContext):
    """A user of the service, with the attributes known of them.

    Args:
        optimizely_client: The client that answers.
        logger: Kept as an attribute.
        user_id: Who this is.
        user_attributes: What is known of them; copied.
        identify: Have an event manager of somebody else's told of the user. The SDK's own tells
            nobody: a user known by one id only is none to be identified.
    """

    class OptimizelyDecisionContext(_Value):
        """What a forced decision is for: a flag, or one rule of it."""

        def __init__(self, flag_key: str, rule_key: str | None = None) -> None:
            self.flag_key = flag_key
            self.rule_key = rule_key

    class OptimizelyForcedDecision(_Value):
        """The variation that is forced."""

        def __init__(self, variation_key: str) -> None:
            self.variation_key = variation_key

    def __init__(
        self,
        optimizely_client: _Client,
        logger: Logger,
        user_id: str,
        user_attributes: UserAttributes | None = None,
        identify: bool = True,
    ) -> None:
        super().__init__(optimizely_client._calls, state_of(user_id, user_attributes))  # noqa: SLF001 - its client
        self.client = optimizely_client
        self.logger = logger
        if askable(identify) and optimizely_client._identify is not None:  # noqa: SLF001 - its client
            optimizely_client._identify(user_id)  # noqa: SLF001

    @property
    def user_id(self) -> str:
        """Who this is."""
        return self._state.visitor.user_id

    @user_id.setter
    def user_id(self, user_id: str) -> None:
        with self.lock:
            self._become(replace(self._state.visitor, user_id=user_id))

    @property
    def lock(self) -> AbstractContextManager[bool]:
        """Held while a context is changed, by whatever thread."""
        return CHANGES.lock

    @property
    def forced_decisions_map(self) -> dict[OptimizelyDecisionContext, OptimizelyForcedDecision]:
        """What is forced, a copy."""
        return {
            self.OptimizelyDecisionContext(*place): self.OptimizelyForcedDecision(variation_key)
            for place, variation_key in self._state.visitor.forced.items()
        }

    def get_user_attributes(self) -> UserAttributes:
        """A copy of the attributes."""
        return UserAttributes(super().get_user_attributes())

    def set_attribute(self, attribute_key: str, attribute_value: Any) -> None:
        """Add or replace an attribute, for what is decided and tracked from now on."""
        super().set_attribute(attribute_key, attribute_value)

    def decide(  # type: ignore[override]  # the same in the official shape
        self, key: str, options: Options | None = None
    ) -> OptimizelyDecision:
        """The variation of one flag for this user, and an impression where the rules want one."""
        return cast("OptimizelyDecision", super().decide(key, options))

    def decide_for_keys(  # type: ignore[override]  # the same in the official shape
        self, keys: Sequence[str], options: Options | None = None
    ) -> dict[str, OptimizelyDecision]:
        """Decisions by flag key; with ``ENABLED_FLAGS_ONLY`` without those that are off."""
        return cast("dict[str, OptimizelyDecision]", super().decide_for_keys(keys, options))

    def decide_all(  # type: ignore[override]  # the same in the official shape
        self, options: Options | None = None
    ) -> dict[str, OptimizelyDecision]:
        """Decisions for every flag of the datafile, in its order."""
        return cast("dict[str, OptimizelyDecision]", super().decide_all(options))

    def set_forced_decision(
        self,
        decision_context: OptimizelyDecisionContext | DecisionContext,
        decision: OptimizelyForcedDecision | ForcedDecision,
    ) -> bool:
        """Give the user this variation of the flag, or of the rule once reached; true if stored."""
        return super().set_forced_decision(
            cast("DecisionContext", decision_context), cast("ForcedDecision", decision)
        )

    def get_forced_decision(  # type: ignore[override]  # the same in the official shape
        self, decision_context: OptimizelyDecisionContext | DecisionContext
    ) -> OptimizelyForcedDecision | None:
        """What was forced there."""
        forced = super().get_forced_decision(cast("DecisionContext", decision_context))
        return self.OptimizelyForcedDecision(forced.variation_key) if forced else None

    def find_forced_decision(
        self, decision_context: OptimizelyDecisionContext | DecisionContext
    ) -> OptimizelyForcedDecision | None:
        """Another name of :meth:`get_forced_decision`."""
        return self.get_forced_decision(decision_context)

    def remove_forced_decision(
        self, decision_context: OptimizelyDecisionContext | DecisionContext
    ) -> bool:
        """Force nothing there any more; true when something was."""
        return super().remove_forced_decision(cast("DecisionContext", decision_context))

    def fetch_qualified_segments(  # type: ignore[override]  # as official, without overloads
        self,
        callback: Callable[[bool], None] | None = None,
        options: list[str] | None = None,
    ) -> bool | threading.Thread:
        """Ask the customer data platform which segments the user is in.

        Returns:
            Without a callback, true when they are known now. With one, the thread that asks, and
            calls back with the same.
        """
        return super().fetch_qualified_segments(cast("Callable[[bool], None]", callback), options)

    def _fetch_segments(self, options: list[str]) -> list[str] | None:
        return self.client._fetch_qualified_segments(self.user_id, options)  # noqa: SLF001 - its client

    def _copy(self) -> Self:
        copy = super()._copy()
        copy.client = self.client
        copy.logger = self.logger
        return copy
