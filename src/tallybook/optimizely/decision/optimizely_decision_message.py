"""Reasons that stand in a decision which could not be made."""

from __future__ import annotations

from typing import Final

from tallybook.model.reason import ReasonKind
from tallybook.model.step import STEPS


class OptimizelyDecisionMessage:
    """The sentences; ``{}`` is where the key stands."""

    SDK_NOT_READY: Final = STEPS[ReasonKind.NOT_READY].sentence
    FLAG_KEY_INVALID: Final = STEPS[ReasonKind.FLAG_UNKNOWN].sentence.replace("{flag}", "{}")
    VARIABLE_VALUE_INVALID: Final = 'The value of variable "{}" cannot be read as its type.'
