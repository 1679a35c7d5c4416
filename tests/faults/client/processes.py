"""The processes of a trial: the sink's, and those in which an SDK lives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

PROGRAMS: Final = Path(__file__).parent / "programs"
SOURCE: Final = Path(__file__).parents[3] / "src"


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
