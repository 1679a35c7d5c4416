"""The visitor's side of the client: a user context, what can be asked of it, and what it answers.

A context refers to a :class:`~tallybook.client.user_state.UserState`, which is replaced and never
changed: so a copy is two references, and a decision's context stays as it was when the decision was
made.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, Self, overload

from msgspec import Struct
from msgspec.structs import replace

from tallybook.client.arguments import place_of, segments_of, variation_of
from tallybook.client.forced import DecisionContext, ForcedDecision
from tallybook.client.qualifying import is_callback, on_thread, options_of
from tallybook.client.user_state import CHANGES, UserState
from tallybook.decide.matchers import is_in_segment
from tallybook.model.customer_data import SegmentOption
from tallybook.model.decision import DecideOption, Visitor
from tallybook.model.reason import Reason, ReasonKind
from tallybook.model.text import is_text, plain

Options = list[DecideOption] | list[str]
SegmentOptions = list[SegmentOption] | list[str]


class Decision(Struct, frozen=True):
    """What a user gets for one flag.

    ``reasons`` are sentences for people, ``steps`` the same for programs; both are empty unless
    ``INCLUDE_REASONS`` was asked for or nothing could be decided. ``user_context`` is a copy, as it
    was when the decision was made.
    """

    variation_key: str | None
    enabled: bool
    variables: Mapping[str, Any]
    rule_key: str | None
    flag_key: str
    user_context: UserContext
    reasons: list[str]
    steps: tuple[Reason, ...] = ()

    @property
    def reason_kinds(self) -> list[ReasonKind]:
        """The kinds of ``steps``."""
        return [step.kind for step in self.steps]

    def as_json(self) -> dict[str, Any]:
        """The decision as JSON values, for people and logs."""
        return {
            "variation_key": self.variation_key,
            "enabled": self.enabled,
            "variables": self.variables,
            "rule_key": self.rule_key,
            "flag_key": self.flag_key,
            "user_context": self.user_context.as_json(),
            "reasons": self.reasons,
        }


class Answers(Protocol):
    """What a context asks for decisions and tells about conversions."""

    @property
    def logger(self) -> logging.Logger:
        """Where misuse is logged."""
        ...

    def decide(self, asker: UserContext, state: UserState, key: str, options: object) -> Decision:
        """Decide one flag."""
        ...

    def decide_for_keys(
        self, asker: UserContext, state: UserState, keys: object, options: object
    ) -> dict[str, Decision]:
        """Decide some flags."""
        ...

    def decide_all(
        self, asker: UserContext, state: UserState, options: object
    ) -> dict[str, Decision]:
        """Decide every flag."""
        ...

    def track_event(self, state: UserState, event_key: str, event_tags: object) -> None:
        """Record a conversion."""
        ...

    @property
    def segments_of(self) -> Callable[[str, Sequence[str]], list[str] | None]:
        """Fetches the segments of a user, given by id, as options want it."""
        ...


class UserContext:
    """A user of the service, with the attributes known of them.

    Thread-safe; nothing here raises for data, and nothing but :meth:`fetch_qualified_segments`
    waits for the network.
    """

    __slots__ = ("_answers", "_state")

    def __init__(self, answers: Answers, state: UserState) -> None:
        self._answers = answers
        self._state = state

    @property
    def user_id(self) -> str:
        """Who this is."""
        return self._state.visitor.user_id

    def get_user_attributes(self) -> dict[str, Any]:
        """A copy of the attributes."""
        return dict(self._state.visitor.attributes)

    def set_attribute(self, key: str, value: object) -> None:
        """Add or replace an attribute, for what is decided and tracked from now on."""
        if not is_text(key):
            self._answers.logger.error(
                "set_attribute: the key must be a string, not %s.", type(key).__name__
            )
            return
        with CHANGES.lock:
            visitor = self._state.visitor
            self._become(replace(visitor, attributes={**visitor.attributes, plain(key): value}))

    def decide(self, key: str, options: Options | None = None) -> Decision:
        """The variation of one flag for this user, and an impression where the rules want one.

        An unknown flag, or a client without a datafile, gives a decision without a variation whose
        ``reasons`` say so.
        """
        copy = self._copy()
        return self._answers.decide(copy, copy._state, key, options)  # noqa: SLF001 - its own class

    def decide_for_keys(
        self, keys: Sequence[str], options: Options | None = None
    ) -> dict[str, Decision]:
        """Decisions by flag key; with ``ENABLED_FLAGS_ONLY`` without those that are off."""
        copy = self._copy()
        return self._answers.decide_for_keys(copy, copy._state, keys, options)  # noqa: SLF001 - its own class

    def decide_all(self, options: Options | None = None) -> dict[str, Decision]:
        """Decisions for every flag of the datafile, in its order."""
        copy = self._copy()
        return self._answers.decide_all(copy, copy._state, options)  # noqa: SLF001 - its own class

    def track_event(self, event_key: str, event_tags: dict[str, Any] | None = None) -> None:
        """Record that the user did something: one call a conversion, however many rules use it.

        Args:
            event_key: A key of the datafile; any other is logged and not sent.
            event_tags: What is known of the event: text, numbers, booleans. ``revenue`` (an integer
                number of cents) and ``value`` (a number) can be measured by themselves.
        """
        track_again = self._state.track_again
        if track_again is None or not track_again(event_key, event_tags):
            self._answers.track_event(self._state, event_key, event_tags)

    def set_forced_decision(
        self, decision_context: DecisionContext, decision: ForcedDecision
    ) -> bool:
        """Give the user this variation of the flag, or of the rule once reached; true if stored."""
        place = self._place("set_forced_decision", decision_context)
        if place is None:
            return False
        variation_key = variation_of(decision)
        if variation_key is None:
            name = type(decision).__name__
            self._answers.logger.error(
                "set_forced_decision: expected a ForcedDecision with a key of text, found %s.", name
            )
            return False
        with CHANGES.lock:
            self._force({**self._state.visitor.forced, place: variation_key})
        return True

    def get_forced_decision(self, decision_context: DecisionContext) -> ForcedDecision | None:
        """What was forced there."""
        place = self._place("get_forced_decision", decision_context)
        forced = self._state.visitor.forced.get(place) if place else None
        return None if forced is None else ForcedDecision(forced)

    def remove_forced_decision(self, decision_context: DecisionContext) -> bool:
        """Force nothing there any more; true when something was."""
        place = self._place("remove_forced_decision", decision_context)
        if place is None:
            return False
        with CHANGES.lock:
            forced = dict(self._state.visitor.forced)
            if forced.pop(place, None) is None:
                return False
            self._force(forced)
        return True

    def remove_all_forced_decisions(self) -> bool:
        """Force nothing any more; always true."""
        with CHANGES.lock:
            self._force({})
        return True

    def set_qualified_segments(self, segments: Sequence[str] | None) -> None:
        """Say which segments of a customer data platform the user is in; ``None``: not known."""
        known = segments_of(segments)
        if known is None and segments is not None:
            name = type(segments).__name__
            self._answers.logger.error(
                "set_qualified_segments: expected a list or None, not %s.", name
            )
            return
        with CHANGES.lock:
            self._become(replace(self._state.visitor, segments=known))

    def get_qualified_segments(self) -> list[str] | None:
        """A copy of the segments the user is in, ``None`` while they are not known."""
        segments = self._state.visitor.segments
        return None if segments is None else list(segments)

    @overload
    def fetch_qualified_segments(
        self, callback: None = None, options: SegmentOptions | None = None
    ) -> bool: ...
    @overload
    def fetch_qualified_segments(
        self, callback: Callable[[bool], Any], options: SegmentOptions | None = None
    ) -> threading.Thread: ...
    def fetch_qualified_segments(
        self, callback: Callable[[bool], Any] | None = None, options: SegmentOptions | None = None
    ) -> bool | threading.Thread:
        """Ask the customer data platform which segments the user is in. This waits for the network.

        Args:
            callback: Called on a thread of its own, which asks, so that nobody waits.
            options: See :class:`SegmentOption`.

        Returns:
            True when they are known now; with a callback, the thread, and it is called with that.
        """
        if not is_callback(callback, self._answers.logger):
            return self._fetch(options)
        return on_thread(lambda: self._fetch(options), callback, self._answers.logger)

    async def afetch_qualified_segments(self, options: SegmentOptions | None = None) -> bool:
        """:meth:`fetch_qualified_segments` for a coroutine; the event loop goes on meanwhile."""
        import asyncio  # noqa: PLC0415 - 40 ms that only its users pay

        return await asyncio.to_thread(self._fetch, options)

    def is_qualified_for(self, segment: str) -> bool:
        """True when the user is known to be in that segment."""
        if not is_text(segment):
            name = type(segment).__name__
            self._answers.logger.error("is_qualified_for: expected a string, not %s.", name)
            return False
        return is_in_segment(self._state.visitor, plain(segment))

    def as_json(self) -> dict[str, Any]:
        """The user as JSON values."""
        return {"user_id": self.user_id, "attributes": self.get_user_attributes()}

    def _fetch(self, options: object) -> bool:
        segments = self._fetch_segments(options_of(options, self._answers.logger))
        self.set_qualified_segments(segments)
        return segments is not None

    def _fetch_segments(self, options: list[str]) -> list[str] | None:
        return self._answers.segments_of(self.user_id, options)

    def _place(self, call: str, context: object) -> tuple[str, str | None] | None:
        place = place_of(context)
        if place is None:
            self._answers.logger.error(
                "%s: expected a DecisionContext with keys of text, found %s.",
                call,
                type(context).__name__,
            )
        return place

    def _force(self, forced: Mapping[tuple[str, str | None], str]) -> None:
        self._become(replace(self._state.visitor, forced=forced))

    def _become(self, visitor: Visitor) -> None:
        self._state = UserState(visitor)

    def _copy(self) -> Self:
        copy = self.__class__.__new__(self.__class__)
        copy._answers = self._answers  # noqa: SLF001 - its own class
        copy._state = self._state  # noqa: SLF001
        return copy
