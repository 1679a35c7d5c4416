"""A real server in a process group of its own, that can be made to die anywhere."""

from __future__ import annotations

import atexit
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from servers import READY, Server

SABOTAGE = Path(__file__).with_name("sabotage")
KILLED = -signal.SIGKILL
# What every visitor id begins with, and what every request carries: nothing of it may be logged.
VISITOR, AGENT, TOKEN = "visitor-", "Mozilla/5.0 (of the load)", "token-of-the-load"


@dataclass(frozen=True)
class Ambush:
    """Where a server dies: before, within or after the ``nth`` call of something."""

    call: str
    nth: int = 1
    moment: str = "before"
    delay_s: float = 0.0

    def order(self) -> str:
        return json.dumps(vars(self))


class Victim(Server):
    """Keeps what its servers write to stderr, whatever becomes of them."""

    def __init__(self, path: Path, *arguments: str) -> None:
        super().__init__(path / "data", *arguments)
        atexit.register(self._end)  # a test that fails must not leave it behind
        self._stderr = path / "stderr.txt"

    @property
    def said(self) -> str:
        """Everything on stderr so far, of every life."""
        return self._stderr.read_text("utf-8", errors="replace") if self._stderr.exists() else ""

    def start(self, ambush: Ambush | None = None) -> None:
        self.spawn(ambush)
        assert self.becomes_ready(), self.said

    def spawn(self, ambush: Ambush | None = None) -> None:
        """Start without waiting for anything."""
        environment = dict(os.environ)
        if ambush:
            path = [str(SABOTAGE), environment.get("PYTHONPATH", "")]
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))
            environment["TALLYBOOK_SABOTAGE"] = ambush.order()
        command = [sys.executable, "-m", "tallybook.cli", "serve", "--data", str(self.data)]
        with self._stderr.open("a") as stderr:
            self.process = subprocess.Popen(
                [*command, "--port", str(self._port), *self._arguments],
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env=environment,
                start_new_session=True,
            )

    def _end(self) -> None:
        if hasattr(self, "process") and self.process.poll() is None:
            self.kill()

    def becomes_ready(self) -> bool:
        """Wait until it says where it listens; false when it is gone before."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line.startswith(READY):
            self.url = line.removeprefix(READY).strip()
            self._port = int(self.url.rpartition(":")[2])
        return bool(line)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)
        assert self.process.returncode == 0, self.said
        assert not [secret for secret in (VISITOR, AGENT, TOKEN) if secret in self.said]
        assert "request failed" not in self.said  # how what nobody foresaw is logged
        assert "Traceback" not in self.said

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.await_death()

    def await_death(self, within_s: float = 60) -> None:
        """Wait until it has been killed; another end is a failure."""
        self.process.communicate(timeout=within_s)
        assert self.process.returncode == KILLED, self.said

    def status(self, path: str) -> int:
        return httpx.get(self.url + path, timeout=60).status_code

    def metric(self, name: str) -> float:
        """A figure of ``/metrics``, whose name stands there with its labels."""
        lines = httpx.get(self.url + "/metrics", timeout=60).text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(name + " ")), 0.0)

    def peak_mib(self) -> float:
        """The most memory that the process ever had, in MiB."""
        return _status_kib(self.process.pid, "VmHWM") / 1024

    def peaks_mib(self) -> float:
        """The same of the process and of those it started, together."""
        pids = [self.process.pid, *_children(self.process.pid)]
        return sum(_status_kib(pid, "VmHWM") for pid in pids) / 1024

    def limit(self, kind: int, soft: int) -> None:
        """Set a limit of the running process; its hard limit stays."""
        _, hard = resource.prlimit(self.process.pid, kind)
        resource.prlimit(self.process.pid, kind, (soft, hard))


def until(condition: Callable[[], bool], within_s: float = 60) -> None:
    """Wait for what another process is about to do."""
    pause = threading.Event()
    for _ in range(int(within_s / 0.05)):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError("it never happened")


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task/{pid}/children")
    found = [int(child) for child in tasks.read_text().split()] if tasks.exists() else []
    return [*found, *(below for child in found for below in _children(child))]


def _status_kib(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
