"""What a probe is asked to do, and what it answers."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.contenders import Contender, contender

Figures = Mapping[str, float]

NOT_KNOWN: Final = float("nan")


@dataclass(frozen=True, slots=True)
class Task:
    """One round of one probe for one contender.

    Attributes:
        contender_name: Who works.
        size: How much, in the probe's own measure: calls, events or processes.
        sink_url: Where events may be sent, without a path.
        label: A name for what is sent, used by no other round.
    """

    contender_name: str
    size: int
    sink_url: str
    label: str

    def contender(self) -> Contender:
        """The contender, imported.

        What was made before, the task's data above all, is no longer looked through by the garbage
        collector: it is not the contender's garbage.
        """
        gc.collect()
        gc.freeze()
        return contender(self.contender_name)

    @property
    def events_url(self) -> str:
        """Where events of this task go."""
        return f"{self.sink_url}/{self.label}/v1/events"
