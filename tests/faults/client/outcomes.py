"""What became of every event that was tracked in a trial."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What became of every event whose call returned."""

    tracked: Sequence[int]
    arrived: Mapping[int, Sequence[str | None]]
    faults: int  # requests with which something went wrong
    reports: Sequence[Mapping[str, Any]]
    statuses: Sequence[int]
    errors: str  # what the processes wrote there
    is_hung: bool
    heirs: int
    left: int  # files of the journal

    @property
    def once(self) -> set[int]:
        """Those that count once, since all copies have one identity."""
        return {n for n in self.tracked if len(identities(self.arrived.get(n, ()))) == 1}

    @property
    def again(self) -> set[int]:
        """Those that came more than once."""
        return {n for n in self.tracked if len(self.arrived.get(n, ())) > 1}

    @property
    def missing(self) -> set[int]:
        return {n for n in self.tracked if not self.arrived.get(n)}

    @property
    def strangers(self) -> set[int]:
        """What came and was not noted: its process ended between the call and the note."""
        return set(self.arrived) - set(self.tracked)

    def counted(self, name: str) -> int:
        """A number of ``delivery_stats()``, of all processes that lived to tell."""
        return sum(report["stats"][name] for report in self.reports if report)

    def reported(self, name: str) -> int:
        return sum(report.get(name, 0) for report in self.reports)

    @property
    def refused(self) -> dict[str, int]:
        total: defaultdict[str, int] = defaultdict(int)
        for report in self.reports:
            for cause, count in report.get("stats", {}).get("refused", {}).items():
                total[cause] += count
        return dict(total)


def identities(arrivals: Sequence[str | None]) -> list[str | None]:
    """The distinct ones; an arrival without one is an event of its own to whoever counts."""
    return [*{i for i in arrivals if i is not None}, *(i for i in arrivals if i is None)]
