"""A real ``tallybook serve`` in a process of its own, for tests that talk to one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

READY = "Tallybook listening on "


class Server:
    """Starts on entry at a free port; SIGTERM on exit, which must end in status 0."""

    def __init__(self, data: Path, *arguments: str, port: int = 0) -> None:
        self.data = data
        self._arguments = arguments
        self._port = port
        self.token = ""  # of whoever made one for those who ask this server

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.process.poll() is None:
            self.stop()

    def start(self) -> None:
        """Start, and wait until it says where it listens."""
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tallybook.cli", "serve"),
                *("--data", str(self.data), "--port", str(self._port)),
                *self._arguments,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith(READY):
            _, errors = self.process.communicate()
            raise AssertionError(f"the server did not start: {line!r} {errors}")
        self.url = line.removeprefix(READY).strip()
        self._port = int(self.url.rpartition(":")[2])

    def stop(self) -> None:
        """Ask it to end and insist that it ends well."""
        self.process.send_signal(signal.SIGTERM)
        _, self.errors = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, self.errors

    def kill(self) -> None:
        """End it as a power cut would, as far as a process can."""
        self.process.kill()
        self.process.communicate()


def tallybook(*arguments: object, data: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run one command and return what it printed."""
    where = [] if data is None else ["--data", str(data)]
    return subprocess.run(
        [sys.executable, "-m", "tallybook.cli", *map(str, arguments), *where],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "COLUMNS": "120", "NO_COLOR": "1"},
    )


def succeed(*arguments: object, data: Path | None = None) -> str:
    """Run one command that must succeed; return its output."""
    done = tallybook(*arguments, data=data)
    assert done.returncode == 0, done.stderr
    return done.stdout


def new_token(*arguments: object, data: Path) -> str:
    """Make a token of that name and scope; return it as a header wants it."""
    return f"Bearer {succeed('token', 'create', *arguments, data=data).strip()}"


def document(experiment: str, *arguments: object, data: Path) -> dict[str, Any]:
    """Return the result document of an experiment."""
    return json.loads(succeed("results", experiment, "--format", "json", *arguments, data=data))


def counted(result: dict[str, Any], metric: str) -> dict[str, Any]:
    """Return a metric's ``value`` by variation."""
    results = next(m["results"] for m in result["metrics"] if m["key"] == metric)
    return {variation: r["value"] for variation, r in results.items()}


def reached(result: dict[str, Any]) -> dict[str, int]:
    """Return visitors by variation."""
    return {v: r["count"] for v, r in result["reach"]["variations"].items()}
