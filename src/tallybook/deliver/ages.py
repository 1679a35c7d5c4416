"""How long what waits has waited, without a time for each event."""

from __future__ import annotations

from collections import deque
from typing import Final

_TOGETHER_S: Final = 0.1  # what comes within it has one age


class Ages:
    """When events came that are settled in the order they came in."""

    def __init__(self) -> None:
        self._marks: deque[tuple[int, float]] = deque()  # up to which event, when the first came

    def note(self, accepted: int, settled: int, now: float) -> None:
        """Say that all events up to ``accepted`` are there ``now``, in seconds of any clock."""
        self._forget(settled)
        marks = self._marks
        if marks and now - marks[-1][1] < _TOGETHER_S:
            marks[-1] = accepted, marks[-1][1]
        else:
            marks.append((accepted, now))

    def oldest_s(self, settled: int, now: float) -> float:
        """How long the first event after ``settled`` has been there; 0 when there is none."""
        self._forget(settled)
        return now - self._marks[0][1] if self._marks else 0.0

    def _forget(self, settled: int) -> None:
        marks = self._marks
        while marks and marks[0][0] <= settled:
            marks.popleft()
