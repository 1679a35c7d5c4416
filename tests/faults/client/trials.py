"""A trial: an SDK in processes of its own, a sink that misbehaves, and what arrived of what."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

PROGRAMS: Final = Path(__file__).parent / "programs"
SOURCE: Final = Path(__file__).parents[3] / "src"
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


class SinkProcess:
    """The sink's program, and the record it keeps."""

    def __init__(self, faults: Mapping[str, Any], record: Path) -> None:
        self._record = record
        record.touch()
        self._process = subprocess.Popen(
            [sys.executable, PROGRAMS / "sink.py", json.dumps(faults), record],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._lock = threading.Lock()
        self.port = int(self._line())

    def tell(self, order: str) -> None:
        """ "down", "up" or "heal"; it is so when this returns."""
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(order + "\n")
            self._process.stdin.flush()
            assert self._line() == "done\n"

    def requests(self) -> list[tuple[bool, str, list[tuple[int, str | None]]]]:
        lines = self._record.read_text("utf-8").split("\n")[:-1]  # the last may be half written
        return [json.loads(line) for line in lines]

    def arrived(self) -> dict[int, list[str | None]]:
        """The identities under which each marker was taken in, one an arrival."""
        arrivals = defaultdict(list)
        for is_taken, _, events in self.requests():
            for marker, identity in events if is_taken else ():
                arrivals[marker].append(identity)
        return arrivals

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()


@dataclass
class Life:
    """One process that tracks; ``marks`` are called once so many of its calls have returned."""

    plan: Mapping[str, Any]
    errors: Path
    limit_s: float
    marks: Mapping[int, Callable[[Life], None]] = field(default_factory=dict)
    noted: list[int] = field(default_factory=list)
    reports: list[dict[str, Any]] = field(default_factory=list)
    is_hung: bool = False
    status: int = 0
    is_up: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        paths = os.pathsep.join([str(SOURCE), *filter(None, [os.environ.get("PYTHONPATH")])])
        with self.errors.open("ab") as errors:
            self._process = subprocess.Popen(
                [sys.executable, PROGRAMS / "drive.py", json.dumps(self.plan)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # a fork's child is ended with it
                env={**os.environ, "PYTHONPATH": paths, "TALLYBOOK_JOURNAL": ""},
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def release(self) -> None:
        """Let a process that holds on close its SDK."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    @property
    def is_over(self) -> bool:
        return self._process.poll() is not None

    def wait(self) -> None:
        """Until it has ended; a process that does not, ends here."""
        try:
            self.status = self._process.wait(self.limit_s)
        except subprocess.TimeoutExpired:
            self.is_hung = True
        # Also what it forked: the whole group.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line == b"up\n":
                self.is_up.set()
            elif line.startswith(b"{"):
                self.reports.append(json.loads(line))
            else:
                self.noted.append(int(line))
                if mark := self.marks.get(len(self.noted)):
                    mark(self)


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
