"""A fork, an exit without ``stop``, a fresh interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[3] / "src"
PREAMBLE = """
import json, os, sys
from tallybook.optimizely.entities import Event
from tallybook.optimizely.event.event_processor import BatchEventProcessor
from tallybook.optimizely.event.user_event import ConversionEvent, EventContext

class ToFile:
    @staticmethod
    def dispatch_event(event):
        with open(sys.argv[1], "a") as file:
            for visitor in event.params["visitors"]:
                json.dump([visitor["visitor_id"], os.getpid()], file)
                file.write("\\n")

def track(user_id):
    context = EventContext("account", "project", "7", True, "US")
    processor.process(ConversionEvent(context, Event("1", "buy", []), user_id, [], None))

def make(**options):
    return BatchEventProcessor(ToFile, **{"flush_interval": 60, "batch_size": 10, **options})
"""

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


def run(program: str, file: Path) -> list[tuple[str, int]]:
    """Run a program; the users whose events were dispatched, and by which process."""
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(program), str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = file.read_text().splitlines() if file.exists() else []
    return [(user_id, process) for user_id, process in map(json.loads, lines)]


def test_an_exit_without_stop_delivers_what_waits(tmp_path: Path) -> None:
    program = """
    processor = make()
    for number in range(25):
        track(f"user-{number}")
    """
    delivered = run(program, tmp_path / "events")
    assert [user_id for user_id, _ in delivered] == [f"user-{n}" for n in range(25)]


def test_a_processor_that_is_stopped_at_the_exit_delivers(tmp_path: Path) -> None:
    program = """
    import atexit
    processor = make()
    atexit.register(processor.stop)
    atexit.register(track, "late")
    track("early")
    """
    delivered = run(program, tmp_path / "events")
    assert sorted(user_id for user_id, _ in delivered) == ["early", "late"]


@forks
def test_a_forked_child_delivers_its_own_events_and_the_parent_its_own(tmp_path: Path) -> None:
    program = """
    processor = make(start_on_init=True)
    track("before")
    child = os.fork()
    name = "parent" if child else "child"
    for number in range(250):
        track(f"{name}-{number}")
    assert processor.is_running
    processor.stop()
    if not child:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    """
    delivered = run(program, tmp_path / "events")
    by_process: dict[int, list[str]] = {}
    for user_id, process in delivered:
        by_process.setdefault(process, []).append(user_id)
    expected = {name: [f"{name}-{number}" for number in range(250)] for name in ("parent", "child")}
    expected["parent"].insert(0, "before")
    assert sorted(by_process.values()) == sorted(expected.values())


@forks
def test_a_lock_that_is_held_while_another_thread_forks_does_not_stop_the_child(
    tmp_path: Path,
) -> None:
    program = """
    import signal, threading
    processor = make(start_on_init=True)
    held, free = threading.Event(), threading.Event()

    def hold():
        with processor._lock, processor.notification_center._lock, processor.outbox._lock:
            held.set()
            free.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        processor.notification_center.clear_all_notifications()
        track("child")
        processor.stop()
        processor.start()
        track("child again")
        processor.stop()
        os._exit(0)
    free.set()
    holder.join()
    assert os.waitpid(child, 0)[1] == 0
    """
    delivered = run(program, tmp_path / "events")
    assert [user_id for user_id, _ in delivered] == ["child", "child again"]


def test_the_end_of_the_process_waits_no_longer_than_it_may(tmp_path: Path) -> None:
    program = """
    import atexit, threading, time

    class Stuck:
        @staticmethod
        def dispatch_event(event):
            reached.set()
            threading.Event().wait()

    def end():
        began = time.monotonic()
        atexit.unregister(end)
        atexit._run_exitfuncs()
        assert time.monotonic() - began < 4, "usually 5 s"

    atexit.register(end)  # and so it goes before the SDK's own farewell
    reached = threading.Event()
    processor = BatchEventProcessor(Stuck, batch_size=1, timeout_interval=0.05)
    track("user")
    assert reached.wait(10)
    """
    run(program, tmp_path / "events")


@forks
@pytest.mark.parametrize("sender", ["dispatcher", "processor"])
def test_connections_are_not_the_childs(tmp_path: Path, sender: str) -> None:
    program = """
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    import threading
    from tallybook.optimizely.event.log_event import LogEvent
    from tallybook.optimizely.event_dispatcher import EventDispatcher

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        ports = []
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.ports.append(self.client_address[1])
            self.send_response(204)
            self.end_headers()
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    context = EventContext("account", "project", "7", True, "US")
    context.event_url = f"http://127.0.0.1:{server.server_address[1]}/"
    processor = BatchEventProcessor(batch_size=1, flush_interval=60)

    def send_by_dispatcher():
        EventDispatcher.dispatch_event(LogEvent(context.event_url, {}))

    def send_by_processor():
        processor.process(ConversionEvent(context, Event("1", "buy", []), "user", [], None))
        assert processor.outbox.flush(20)

    send = send_by_SENDER
    send()
    child = os.fork()
    if child == 0:
        send()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    send()
    first, of_child, again = Handler.ports
    assert first == again != of_child, Handler.ports
    """
    run(program.replace("SENDER", sender), tmp_path / "events")


def test_importing_loads_nothing_heavy(tmp_path: Path) -> None:
    program = """
    processor = make()
    heavy = {"urllib3", "asyncio", "ssl", "email", "requests", "jsonschema", "urllib.request"}
    assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """
    run(program, tmp_path / "events")
