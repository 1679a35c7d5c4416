"""Noun: one step of a decision, as a kind and the values it speaks of.

Deciding reaches no logger: it notes steps in a :class:`Trace`, and whoever called it logs them at the
kind's level and shows those that are reasons.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

DEBUG: Final = 10  # the numeric levels of the standard library's logging
INFO: Final = 20
WARNING: Final = 30
ERROR: Final = 40


class ReasonKind(StrEnum):
    """Every step a decision can take note of."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One step taken; ``values`` fill the kind's sentence."""

    kind: ReasonKind
    values: Mapping[str, object] = field(default_factory=dict)
