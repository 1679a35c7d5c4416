"""Noun: one step of a decision, as a kind and the values it speaks of.

Deciding reaches no logger: it notes steps in a :class:`Trace`, and whoever called it logs them at
the kind's level and shows those that are reasons. A note is a kind and a few values; its sentence
is written only when somebody reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from tallybook.model.step import DEBUG, ERROR, INFO, STEPS, WARNING, ReasonKind

__all__ = ["DEBUG", "ERROR", "INFO", "WARNING", "Reason", "ReasonKind", "Trace"]


@dataclass(frozen=True, slots=True)
class Reason:
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


class Trace:
    """Collects the steps of one decision, in the order in which they were taken."""

    __slots__ = ("_notes",)

    def __init__(self) -> None:
        self._notes: list[tuple[ReasonKind, dict[str, object]]] = []

    def note(self, kind: ReasonKind, /, **values: object) -> None:
        """Remember a step; ``values`` are text, numbers or JSON values out of the datafile."""
        self._notes.append((kind, values))

    @property
    def reasons(self) -> list[Reason]:
        """Every step noted so far, those for the log only included."""
        return [Reason(kind, values) for kind, values in self._notes]

    def at_least(self, level: int) -> list[Reason]:
        """The steps noted so far that are as loud as ``level`` or louder."""
        return [Reason(kind, values) for kind, values in self._notes if STEPS[kind].level >= level]


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
