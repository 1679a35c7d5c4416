"""A server to measure and a load on it, each a process of its own; and a log filled beforehand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.environment import clean
from benchmarks.intake.bodies import EVENTS_A_BODY, bodies, numbered
from tallybook.log.entry import pack
from tallybook.log.write_ahead import LogLimits, WriteAheadLog
from tallybook.model.event import Arrival

NEVER_S: Final = 1e6  # a pause between drains that no round outlasts
_TEMPLATES: Final = 500
_NOW_MS: Final = 1_790_000_000_000
_NUMBERS_A_LOAD: Final = 2**24
_POLL_S: Final = 0.05


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen[str]
    port: int
    loads: int = 0

    def cpu_s(self) -> float:
        """CPU time of the process that takes requests; what drains is another one."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def drained(self) -> int:
        """Events it has brought into the lake so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return sum(
            int(float(line.rpartition(" ")[2]))
            for line in lines
            if line.startswith("tallybook_drained_total")
        )

    def await_drained(self, events: int) -> None:
        """Wait until so many events are in the lake."""
        while self.drained() < events:
            time.sleep(_POLL_S)

    def load(self, connections: int, seconds: float, events_per_s: float = 0) -> dict[str, Any]:
        """What a load of its own process tells; 0 events a second is as many as it can."""
        self.loads += 1
        first = self.loads * _NUMBERS_A_LOAD  # uuids of one load are no other's
        arguments = (self.port, connections, seconds, events_per_s, first)
        before_s = self.cpu_s()
        done = subprocess.run(  # noqa: S603 - ourselves
            [sys.executable, "-m", "benchmarks.intake.load", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=True,
            env=clean(),
        )
        figures: dict[str, Any] = json.loads(done.stdout)
        figures["server_cpu_us"] = (self.cpu_s() - before_s) / figures["events"] * 1e6
        if set(figures["statuses"]) != {"204"}:
            raise RuntimeError(f"not everything was taken: {figures['statuses']}")
        return figures


@contextmanager
def running(data: Path, drain_every_s: float, *options: str) -> Iterator[Server]:
    """Run a server over a data directory, and end it as a power cut would."""
    command = [sys.executable, "-m", "benchmarks.intake.server", str(data), str(drain_every_s)]
    process = subprocess.Popen(  # noqa: S603 - ourselves
        [*command, *options], stdout=subprocess.PIPE, text=True, env=clean()
    )
    assert process.stdout is not None  # noqa: S101 - it is a pipe
    try:
        yield Server(process, int(process.stdout.readline().rpartition(":")[2]))
    finally:
        process.kill()
        process.communicate()


def fill_log(path: Path, events: int) -> None:
    """Write so many events to a log, as a server that was killed would leave them."""
    templates = bodies(_TEMPLATES)
    arrival = Arrival(_NOW_MS, "198.51.100.0", "tallybook-python/0.1.0", None)
    with WriteAheadLog(path, LogLimits(max_waiting_bytes=2**40)) as log:
        for number in range(events // EVENTS_A_BODY):
            body = numbered(templates[number % _TEMPLATES], number)
            log.append(pack(arrival, body), lambda _error: None)
