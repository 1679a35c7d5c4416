"""Noun: one step of a decision, as a kind and the values it speaks of.

Deciding reaches no logger: it notes steps in a :class:`Trace`, and whoever called it logs them at
the kind's level and shows those that are reasons. A note is a kind and a few values; its sentence
is written only when somebody reads it, and a trace that nobody reads in full says so, so that what
happens in every decision need not be noted at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from tallybook.model.reason_kind import ReasonKind
from tallybook.model.step import DEBUG, ERROR, INFO, STEPS, WARNING
from tallybook.model.text import readable

__all__ = ["DEBUG", "ERROR", "INFO", "WARNING", "Reason", "ReasonKind", "Trace"]


_Note = tuple[ReasonKind, Mapping[str, object]]


class Reason(Struct, frozen=True):
    """One step taken; ``values`` fill the kind's sentence."""

    kind: ReasonKind
    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def level(self) -> int:
        """How loud the step is, in the numbers of the standard library's logging."""
        return STEPS[self.kind].level

    @property
    def is_reason(self) -> bool:
        """True when the step is shown to whoever asks for reasons; others are for the log only."""
        return STEPS[self.kind].is_reason

    @property
    def text(self) -> str:
        """The step as one English sentence."""
        shown = {name: _shown(value) for name, value in self.values.items()}
        return STEPS[self.kind].sentence.format_map(shown)


class Trace(Struct, gc=False):  # one a decision: made in no time, and no cycle leads through it
    """Collects the steps of one decision, in the order in which they were taken.

    Steps are kept from ``level`` on; from ``DEBUG``, if reasons are wanted. Below ``WARNING`` there
    are some in every decision, so deciding asks for the level first, and often spares the note.
    """

    level: int = DEBUG
    _notes: list[_Note] | None = None

    @property
    def is_empty(self) -> bool:
        """True while no step was kept: there is nothing to log, to hand over or to show."""
        return self._notes is None

    @property
    def is_full(self) -> bool:
        """True when every step is kept."""
        return self.level <= DEBUG

    def keeps(self, kind: ReasonKind) -> bool:
        """True when a step of this kind is loud enough to be kept."""
        return STEPS[kind].level >= self.level

    def note(self, kind: ReasonKind, /, **values: object) -> None:
        """Remember a step; ``values`` are text, numbers or JSON values out of the datafile."""
        if STEPS[kind].level >= self.level:
            self._keep(kind, values)

    def repeat(self, steps: Iterable[Reason]) -> None:
        """Remember steps that were taken elsewhere as if they were taken here and now."""
        for step in steps:
            if step.level >= self.level:
                self._keep(step.kind, step.values)

    def begin_again(self) -> None:
        """Forget every step, and keep all from now on."""
        self._notes = None
        self.level = DEBUG

    @property
    def reasons(self) -> list[Reason]:
        """Every step kept so far, those for the log only included."""
        return [Reason(kind, values) for kind, values in self._notes or ()]

    def at_least(self, level: int) -> list[Reason]:
        """The steps kept so far that are as loud as ``level`` or louder."""
        return [reason for reason in self.reasons if reason.level >= level]

    def _keep(self, kind: ReasonKind, values: Mapping[str, object]) -> None:
        if self._notes is None:  # most traces stay without
            self._notes = []
        self._notes.append((kind, values))


def _shown(value: object) -> str:
    if isinstance(value, str):
        return readable(value)
    import json  # noqa: PLC0415 - 1 ms that only readers of sentences pay

    return json.dumps(value, ensure_ascii=False, default=repr)
