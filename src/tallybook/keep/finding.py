"""What an examination of a data directory found, item by item."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How something is: well, in want of attention, or broken."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """How one thing is.

    Attributes:
        part: ``log``, ``lake``, ``catalog`` or ``disk``.
        subject: What was looked at.
        state: How it is.
        found: What was seen.
        advice: What to do about it; empty when there is nothing to be done.
    """

    part: str
    subject: str
    state: State
    found: str
    advice: str = ""


def is_healthy(findings: list[Finding]) -> bool:
    """True when nothing is broken."""
    return all(finding.state is not State.BAD for finding in findings)
