"""A trial: an SDK in processes of its own, a sink that misbehaves, and what arrived of what."""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

from faults.client.outcomes import Outcome
from faults.client.processes import Life, SinkProcess

MODULES: Final[Mapping[str, str]] = {
    "tallybook": "tallybook",
    "optimizely": "optimizely",
    "posthog": "posthog",
    "segment": "segment.analytics",
    "snowplow": "snowplow_tracker",
    "growthbook": "growthbook",
}
PAGES: Final = "*.journal"

_MOST_HEIRS: Final = 5
_QUIET_S: Final = 2.0  # without an arrival, and a process that waits for some waits no longer


def is_installed(sdk: str) -> bool:
    top = MODULES[sdk].partition(".")[0]
    return importlib.util.find_spec(top) is not None


def damage(directory: Path, chance: random.Random, times: int) -> None:
    """Change random bytes of what was written in a journal's files."""
    for _ in range(times):
        page = chance.choice(sorted(directory.glob(PAGES)))
        written = len(page.read_bytes().rstrip(b"\0"))
        with page.open("r+b") as file:
            at = chance.randrange(written)
            file.seek(at)
            (byte,) = file.read(1)
            file.seek(at)
            file.write(bytes([byte ^ chance.randrange(1, 256)]))


class Trial:
    """One scenario with one SDK; what is tracked by several processes has markers of its own."""

    def __init__(
        self, sdk: str, directory: Path, faults: Mapping[str, Any], *, limit_s: float, **plan: Any
    ) -> None:
        self.journal = directory / "journal"
        self._directory = directory
        self._limit_s = limit_s
        self._sdk = sdk
        self._plan = plan
        self._lives: list[Life] = []
        self._heirs = 0
        self._next = 0
        self._at_end = ExitStack()
        self.sink = self._at_end.enter_context(SinkProcess(faults, directory / "record"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for life in self._lives:
            if not life.is_over:
                life.send(signal.SIGKILL)
                life.wait()
        self._at_end.close()

    def start(
        self,
        count: int,
        marks: Mapping[int, str] | None = None,
        delivery: Mapping[str, Any] | None = None,
        **plan: Any,
    ) -> Life:
        """A process that tracks ``count`` events; at a mark the sink is told or a signal sent.

        ``delivery`` are settings of ours for this process alone.
        """
        host = "collector.test" if "dns_until" in plan.get("world", {}) else "127.0.0.1"
        whole = {
            "sdk": self._sdk,
            "url": f"http://{host}:{self.sink.port}",
            "first": self._next,
            "count": count,
            "end": "close",
            **self._plan,
            **plan,
        }
        options = whole["options"]
        whole["options"] = {
            **options,
            "journal": str(self.journal),
            "delivery": {**options.get("delivery", {}), **(delivery or {})},
        }
        self._next += count
        orders = {at: self._order(what) for at, what in (marks or {}).items()}
        life = Life(whole, self._directory / "errors", self._limit_s, orders)
        self._lives.append(life)
        return life

    def mount_small_disk(self, size: int) -> bool:
        """Have the journal on a file system of ``size`` bytes; false where none may be mounted."""
        self.journal.mkdir()
        if shutil.which("mount") is None or os.geteuid() != 0:
            return False
        options = ["-t", "tmpfs", "-o", f"size={size}", "tallybook", str(self.journal)]
        is_mounted = subprocess.run(["mount", *options], check=False).returncode == 0
        if is_mounted:
            self._at_end.callback(subprocess.run, ["umount", str(self.journal)], check=True)
        return is_mounted

    def hold_until_quiet(self, life: Life, quiet_s: float = _QUIET_S) -> None:
        """Let a process go on until everything is there, or nothing comes any more."""
        life.is_up.wait(self._limit_s)
        count, since = -1, time.monotonic()
        while time.monotonic() - since < quiet_s and not life.is_over:
            arrived = self.sink.arrived()
            if self._noted() <= set(arrived) and arrived:
                break
            if len(arrived) != count:
                count, since = len(arrived), time.monotonic()
            time.sleep(0.1)
        life.release()
        life.wait()

    def outcome(self) -> Outcome:
        """What became of it all, once processes that come next have delivered what was left."""
        while self._left() and self._heirs < _MOST_HEIRS:
            self._heirs += 1
            self.hold_until_quiet(self.start(0, end="hold", world={}))
        return Outcome(
            tracked=sorted(self._noted()),
            arrived=self.sink.arrived(),
            faults=sum(fault != "" for _, fault, _ in self.sink.requests()),
            reports=[r for life in self._lives for r in life.reports or [{}]],
            statuses=[life.status for life in self._lives],
            errors=(self._directory / "errors").read_text("utf-8", "replace"),
            is_hung=any(life.is_hung for life in self._lives),
            heirs=self._heirs,
            left=self._left(),
        )

    def _noted(self) -> set[int]:
        return {n for life in self._lives for n in list(life.noted)}

    def _left(self) -> int:
        return len(list(self.journal.glob(PAGES))) if self._sdk == "tallybook" else 0

    def _order(self, what: str) -> Callable[[Life], None]:
        if what.startswith("SIG"):
            return lambda life: life.send(signal.Signals[what])
        return lambda _: self.sink.tell(what)
