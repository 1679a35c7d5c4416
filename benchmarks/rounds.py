"""Rounds: each contender in turn, in a process of its own, again and again; then medians."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from benchmarks.environment import clean
from benchmarks.measures import PROBES, Effort
from benchmarks.task import Figures, Task


class ProbeError(Exception):
    """A probe's process failed; the message is what it said."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a probe's rounds told: by contender, one entry a round, in order."""

    effort: Effort
    rounds: Mapping[str, Sequence[Figures]]

    def median(self, contender: str, figure: str) -> float | None:
        """The median of a figure, ``None`` when the contender did not work."""
        told = self.rounds.get(contender)
        return statistics.median(figures[figure] for figures in told) if told else None

    def pairs(self, first: str, second: str, figure: str) -> list[tuple[float, float]]:
        """A figure of two contenders, round by round."""
        both = zip(self.rounds.get(first, ()), self.rounds.get(second, ()), strict=False)
        return [(one[figure], other[figure]) for one, other in both]


def measure(
    probe: str,
    contenders: Sequence[str],
    effort: Effort,
    sink_url: str,
    say: Callable[[str], None],
) -> Measured:
    """Run a probe's rounds, the contenders interleaved; each round another one begins.

    Raises:
        ProbeError: A process failed.
    """
    told: dict[str, list[Figures]] = {name: [] for name in contenders}
    for number in range(effort.rounds):
        first = number % len(contenders)
        for name in (*contenders[first:], *contenders[:first]):
            say(f"{probe}: round {number + 1} of {effort.rounds}, {name}")
            task = Task(name, effort.size, sink_url, label=f"{probe}-{name}-{number}")
            told[name].append(_in_a_process(probe, task))
    return Measured(effort, told)


def _in_a_process(probe: str, task: Task) -> Figures:
    command = [sys.executable, "-m", "benchmarks.rounds", probe, json.dumps(asdict(task))]
    done = subprocess.run(command, env=clean(), capture_output=True, text=True, check=False)  # noqa: S603 - ourselves
    if done.returncode != 0:
        raise ProbeError(f"{probe} of {task.contender_name} failed:\n{done.stderr.strip()}")
    figures: Figures = json.loads(done.stdout)
    return figures


def _work() -> None:
    probe, task = sys.argv[1:]
    print(json.dumps(PROBES[probe].run(Task(**json.loads(task)))))


if __name__ == "__main__":
    _work()
