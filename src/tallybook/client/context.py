"""The visitor's side of the client: a user context, what can be asked of it, and what it answers.

A context is a few references around a :class:`Guest`. What a guest holds is replaced, never
changed: so a copy is two references, and a decision's context stays as it was when the decision was
made.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, Protocol

from tallybook.model.decision import Visitor
from tallybook.model.project import Project
from tallybook.model.reason import Reason, ReasonKind

Options = Sequence[str]

_logger: Final = logging.getLogger("tallybook")


@dataclass(frozen=True, slots=True)
class DecisionContext:
    """What a forced decision is for: a flag, or one rule of it."""

    flag_key: str
    rule_key: str | None = None


@dataclass(frozen=True, slots=True)
class ForcedDecision:
    """The variation that is forced."""

    variation_key: str


@dataclass(frozen=True, slots=True)
class Decision:
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


class Written(NamedTuple):
    """What events say of a visitor of a project, and which attributes they leave out."""

    project: Project
    visitor: Visitor
    author: bytes
    left_out: tuple[str, ...]


class Guest:
    """A visitor together with what was already written about them, for one project."""

    __slots__ = ("visitor", "written")

    def __init__(self, visitor: Visitor, written: Written | None = None) -> None:
        self.visitor = visitor
        self.written = written


class Decides(Protocol):
    """What a context asks for decisions."""

    def decide(self, asker: UserContext, guest: Guest, key: str, options: object) -> Decision:
        """Decide one flag."""
        ...

    def decide_for_keys(
        self, asker: UserContext, guest: Guest, keys: object, options: object
    ) -> dict[str, Decision]:
        """Decide some flags."""
        ...

    def decide_all(self, asker: UserContext, guest: Guest, options: object) -> dict[str, Decision]:
        """Decide every flag."""
        ...


class Tracks(Protocol):
    """What a context tells about conversions."""

    def track_event(self, guest: Guest, event_key: str, event_tags: object) -> None:
        """Record a conversion."""
        ...


class UserContext:
    """A user of the service, with the attributes known of them.

    Thread-safe; nothing here raises for data or waits for the network.
    """

    __slots__ = ("_decides", "_guest", "_lock", "_tracks")

    def __init__(self, decides: Decides, tracks: Tracks, guest: Guest) -> None:
        self._decides = decides
        self._tracks = tracks
        self._guest = guest
        self._lock = threading.Lock()

    @property
    def user_id(self) -> str:
        """Who this is."""
        return self._guest.visitor.user_id

    def get_user_attributes(self) -> dict[str, Any]:
        """A copy of the attributes."""
        return dict(self._guest.visitor.attributes)

    def set_attribute(self, key: str, value: object) -> None:
        """Add or replace an attribute, for what is decided and tracked from now on."""
        if not _is_text(key):
            _logger.error("set_attribute: the key must be a string, not %s.", type(key).__name__)
            return
        with self._lock:
            visitor = self._guest.visitor
            attributes = {**visitor.attributes, key: value}
            self._guest.visitor = replace(visitor, attributes=attributes)

    def decide(self, key: str, options: Options | None = None) -> Decision:
        """The variation of one flag for this user, and an impression where the rules want one.

        An unknown flag, or a client without a datafile, gives a decision without a variation whose
        ``reasons`` say so.
        """
        copy = self._copy()
        guest = copy._guest  # noqa: SLF001 - our own
        decision = self._decides.decide(copy, guest, key, options)
        self._guest.written = guest.written  # spares the next event writing the same again
        return decision

    def decide_for_keys(
        self, keys: Sequence[str], options: Options | None = None
    ) -> dict[str, Decision]:
        """Decisions by flag key; with ``ENABLED_FLAGS_ONLY`` without those that are off."""
        copy = self._copy()
        return self._decides.decide_for_keys(copy, copy._guest, keys, options)  # noqa: SLF001

    def decide_all(self, options: Options | None = None) -> dict[str, Decision]:
        """Decisions for every flag of the datafile, in its order."""
        copy = self._copy()
        return self._decides.decide_all(copy, copy._guest, options)  # noqa: SLF001

    def track_event(self, event_key: str, event_tags: Mapping[str, object] | None = None) -> None:
        """Record that the user did something: one call a conversion, however many rules use it.

        Args:
            event_key: A key of the datafile; any other is logged and not sent.
            event_tags: What is known of the event: text, numbers, booleans. ``revenue`` (an integer
                number of cents) and ``value`` (a number) can be measured by themselves.
        """
        self._tracks.track_event(self._guest, event_key, event_tags)

    def set_forced_decision(
        self, decision_context: DecisionContext, decision: ForcedDecision
    ) -> bool:
        """Give the user this variation of the flag, or of the rule once reached; true if stored."""
        place, variation_key = _place(decision_context), getattr(decision, "variation_key", None)
        if place is None or not isinstance(variation_key, str):
            _logger.error("set_forced_decision: expected a DecisionContext and a ForcedDecision.")
            return False
        with self._lock:
            self._force({**self._guest.visitor.forced, place: variation_key})
        return True

    def get_forced_decision(self, decision_context: DecisionContext) -> ForcedDecision | None:
        """What was forced there."""
        place = _place(decision_context)
        forced = self._guest.visitor.forced.get(place) if place else None
        return None if forced is None else ForcedDecision(forced)

    def remove_forced_decision(self, decision_context: DecisionContext) -> bool:
        """Force nothing there any more; true when something was."""
        place = _place(decision_context)
        with self._lock:
            forced = dict(self._guest.visitor.forced)
            if place is None or forced.pop(place, None) is None:
                return False
            self._force(forced)
        return True

    def remove_all_forced_decisions(self) -> bool:
        """Force nothing any more; always true."""
        with self._lock:
            self._force({})
        return True

    def set_qualified_segments(self, segments: Sequence[str] | None) -> None:
        """Say which segments of a customer data platform the user is in; ``None``: not known."""
        if segments is not None and not isinstance(segments, list | tuple):
            name = type(segments).__name__
            _logger.error("set_qualified_segments: expected a list or None, not %s.", name)
            return
        known = None if segments is None else tuple(segments)
        with self._lock:
            self._guest.visitor = replace(self._guest.visitor, segments=known)

    def get_qualified_segments(self) -> list[str] | None:
        """A copy of the segments the user is in, ``None`` while they are not known."""
        segments = self._guest.visitor.segments
        return None if segments is None else list(segments)

    def is_qualified_for(self, segment: str) -> bool:
        """True when the user is known to be in that segment."""
        return segment in (self._guest.visitor.segments or ())

    def as_json(self) -> dict[str, Any]:
        """The user as JSON values."""
        return {"user_id": self.user_id, "attributes": self.get_user_attributes()}

    def _force(self, forced: Mapping[tuple[str, str | None], str]) -> None:
        self._guest.visitor = replace(self._guest.visitor, forced=forced)

    def _copy(self) -> UserContext:
        guest = Guest(self._guest.visitor, self._guest.written)
        return UserContext(self._decides, self._tracks, guest)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _place(context: object) -> tuple[str, str | None] | None:
    flag_key = getattr(context, "flag_key", None)
    rule_key = getattr(context, "rule_key", None)
    if not isinstance(flag_key, str) or not isinstance(rule_key, str | None):
        return None
    return flag_key, rule_key
