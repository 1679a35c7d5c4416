"""Processes that gevent or eventlet has patched deliver every event once and wait for nobody.

Each program in ``green_threads/`` runs in a process of its own, which is patched before anything
else happens; it knows threads only, and then all of them are green. What it sends arrives here, in
another process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from servers import Server, succeed
from shop import datafile
from sinks import Answer, Captured, Sink

TESTS = Path(__file__).resolve().parents[1]
PROGRAMS = Path(__file__).parent / "green_threads"
PATCH = {
    "gevent": "import gevent.monkey; gevent.monkey.patch_all()",
    "eventlet": "import eventlet; eventlet.monkey_patch()",
    "gevent, later": "import gevent",
}
START = """
import runpy, sys
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
LIBRARIES = pytest.mark.parametrize("library", ["gevent", "eventlet"])
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


@cache
def fault(library: str) -> str:
    """Why a library cannot be used, empty if it can."""
    command = [sys.executable, "-c", PATCH[library]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return done.stderr.strip().rpartition("\n")[2] if done.returncode else ""


def start(library: str, program: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a program in a process that is patched first."""
    if fault(library):
        pytest.skip(f"{library} does not work here: {fault(library)}")
    # Coverage cannot follow green threads.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    search = os.pathsep.join([str(TESTS.parent / "src"), str(TESTS)])
    return subprocess.Popen(
        [
            *(sys.executable, "-W", "ignore", "-c", f"{PATCH[library]}\n{START}"),
            *(PROGRAMS / program, *arguments),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**kept, "PYTHONPATH": search},
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> None:
    """Wait until a program has ended well and without a word."""
    try:
        _, errors = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # a forked child as well
        process.communicate()
        raise
    assert process.returncode == 0, errors
    assert errors == ""


def run(library: str, program: str, *arguments: str) -> None:
    finish(start(library, program, *arguments))


class Host:
    """Gives datafiles and takes events; each datafile is a new revision."""

    def __init__(self) -> None:
        self._revision = 0

    def __call__(self, request: Captured) -> Answer:
        if request.method == "POST":
            return Answer(204)
        self._revision += 1
        return Answer(200, json.dumps(datafile(revision=str(self._revision))).encode())


class SlowHost(Host):
    """Holds its first answers back until a request to ``/answer`` asks for each."""

    def __init__(self, *, slow_answers: int) -> None:
        super().__init__()
        self._slow_answers = slow_answers
        self._held = threading.Event()
        self._wanted = threading.Event()
        self.was_asked_each_time = True

    def __call__(self, request: Captured) -> Answer:
        if request.path == "/is-held":
            return Answer(200, b"yes" if self._held.is_set() else b"no")
        if request.path == "/answer":
            self._wanted.set()
            return Answer(204)
        if self._slow_answers:
            self._slow_answers -= 1
            self._held.set()
            self.was_asked_each_time &= self._wanted.wait(30)
            self._held.clear()
            self._wanted.clear()
        return super().__call__(request)


def senders(sink: Sink) -> Counter[str]:
    """Conversions by who tracked them; no event came twice."""
    uuids = [event["uuid"] for event in sink.events]
    assert len(uuids) == len(set(uuids))
    return Counter(
        visitor["visitor_id"]
        for visitor in sink.visitors
        for snapshot in visitor["snapshots"]
        for event in snapshot["events"]
        if event["key"] == "purchase"
    )


@LIBRARIES
@pytest.mark.parametrize("ending", ["close", "exit"])
def test_many_green_threads_deliver_every_event_once(library: str, ending: str) -> None:
    with Sink(otherwise=Host()) as sink:
        run(library, "deliver.py", sink.url, ending)
        late = {"late": 1} if ending == "close" else {}
        assert senders(sink) == {f"user-{n}": 20 for n in range(50)} | late
        assert sum(e["key"] == "campaign_activated" for e in sink.events) == 1000


@LIBRARIES
def test_a_slow_server_holds_nobody_up(library: str) -> None:
    host = SlowHost(slow_answers=3)
    with Sink(otherwise=host) as sink:
        run(library, "slow_server.py", sink.url)
        assert senders(sink) == {"user": 1}
    assert host.was_asked_each_time


@FORKS
@LIBRARIES
def test_a_forked_child_and_its_parent_each_deliver_their_own(library: str) -> None:
    with Sink(otherwise=Host()) as sink:
        run(library, "fork.py", sink.url, library)
        own = {f"{who}-{n}": 20 for who in ("child", "parent") for n in range(10)}
        assert senders(sink) == own | {"before": 2, "child-last": 1}


@FORKS
def test_a_forked_child_leaves_its_parent_s_answers_alone() -> None:
    with Sink(otherwise=SlowHost(slow_answers=2)) as sink:
        run("gevent", "fork_amid_request.py", sink.url)
        assert senders(sink) == {"parent": 1} | {f"child-{n}": 1 for n in range(20)}


@FORKS
def test_its_parent_s_threads_do_nothing_in_a_forked_child() -> None:
    with Sink(otherwise=Host()) as sink:
        run("gevent", "fork_threads.py", sink.url)
        assert senders(sink)["parent"] == 2


@FORKS
def test_a_forked_child_may_be_patched_after_the_client_was_made() -> None:
    with Sink(otherwise=Host()) as sink:
        run("gevent, later", "patch_in_child.py", sink.url)
        own = {f"{who}-{n}": 20 for who in ("child", "parent") for n in range(10)}
        assert senders(sink) == own | {"before": 1}


@pytest.mark.parametrize(
    ("library", "processes"), [pytest.param("gevent", 2, marks=FORKS), ("eventlet", 1)]
)
def test_an_announced_revision_is_fetched(library: str, processes: int, tmp_path: Path) -> None:
    definition = tmp_path / "definition.yaml"

    def publish(variation: str) -> None:
        flag = f"{{variations: {{control: {{}}, treatment: {{}}}}, default: {variation}}}"
        text = "project: shop\nenvironments: {production: {sdk_key: prod-key}}\n"
        definition.write_text(f"{text}flags: {{checkout: {flag}}}\n", encoding="utf-8")
        succeed("apply", definition, data=tmp_path / "data")

    publish("control")
    with Server(tmp_path / "data") as server:
        process = start(library, "follow.py", server.url, str(processes))
        assert process.stdout is not None
        if process.stdout.readline() == "listening\n":
            publish("treatment")
        finish(process)
