"""What happens at a process's edges: a fresh interpreter, a fork, an exit without ``close``."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from sinks import Answer, Captured, Sink

SOURCE = Path(__file__).parents[2] / "src"
HEAVY = (
    "urllib3",
    "asyncio",
    "urllib.request",
    "ssl",
    "email",
    "sqlalchemy",
    "numpy",
    "duckdb",
    "litestar",
    "pyarrow",
    "rich",
    "requests",
)
PREAMBLE = """
import json, os, sys
from tallybook import Client
from tallybook.client import DeliverySettings
from shop import datafile
url, text = sys.argv[1], json.dumps(datafile())
def connect(**options):
    return Client(text, event_url=url + "/v1/events", delivery=DeliverySettings(**options))
"""


def run(program: str, sink: Sink, *, status: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{SOURCE}{os.pathsep}{SOURCE.parent / 'tests'}"}
    done = subprocess.run(
        [sys.executable, "-c", PREAMBLE + textwrap.dedent(program), sink.url],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done


def test_importing_and_deciding_loads_nothing_heavy() -> None:
    program = """
    import sys
    from tallybook import Client
    loaded = sorted(set(sys.argv[1:]) & set(sys.modules))
    assert not loaded, loaded
    """
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *HEAVY],
        check=True,
        env=environment,
        timeout=60,
    )


def test_urllib3_is_loaded_when_something_is_sent_and_not_before() -> None:
    with Sink() as sink:
        run(
            """
            client = connect(flush_interval_s=60)
            user = client.create_user_context("user", {"plan": "gold"})
            assert user.decide("tested", ["DISABLE_DECISION_EVENT"]).enabled
            assert "urllib3" not in sys.modules
            user.track_event("purchase")
            assert client.flush(10)
            assert "urllib3" in sys.modules
            """,
            sink,
        )
        assert len(sink.events) == 1


def test_an_exit_without_close_delivers_what_waits() -> None:
    with Sink() as sink:
        run(
            """
            client = connect(flush_interval_s=60)
            for number in range(250):
                client.track("purchase", f"user-{number}")
            """,
            sink,
        )
        assert [visitor["visitor_id"] for visitor in sink.visitors] == [
            f"user-{n}" for n in range(250)
        ]


def test_events_tracked_while_the_interpreter_ends_are_delivered() -> None:
    with Sink() as sink:
        run(
            """
            import atexit
            client = connect(flush_interval_s=60)
            atexit.register(client.track, "purchase", "late")
            """,
            sink,
        )
        assert [visitor["visitor_id"] for visitor in sink.visitors] == ["late"]


def test_an_exit_waits_no_longer_than_it_may_however_many_clients() -> None:
    with Sink(otherwise=Answer(500)) as sink:
        began = time.monotonic()
        run(
            """
            clients = [connect(flush_interval_s=60, exit_timeout_s=2) for _ in range(20)]
            for client in clients:
                client.track("purchase", f"user-{id(client)}")
            """,
            sink,
        )
        assert time.monotonic() - began < 20, "one after the other it would be 40 s"
        assert len({visitor["visitor_id"] for visitor in sink.visitors}) == 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_sends_its_own_events_and_the_parent_its_own() -> None:
    with Sink() as sink:
        run(
            """
            client = connect(flush_interval_s=0.05)
            user = client.create_user_context("before")
            user.track_event("purchase")
            assert client.flush(10)
            user.track_event("purchase")  # may still wait when the fork happens
            child = os.fork()
            name = "parent" if child else "child"
            for number in range(1500):
                client.track("purchase", f"{name}-{number}")
            assert client.flush(30)
            stats = client.delivery_stats()
            assert stats.accepted == stats.delivered == (1502 if child else 1500), stats
            assert client.close(10) == 0
            if not child:
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            """,
            sink,
        )
        names = sorted(visitor["visitor_id"] for visitor in sink.visitors)
        numbered = [f"{who}-{n}" for who in ("child", "parent") for n in range(1500)]
        assert names == sorted([*numbered, "before", "before"])
        assert len({event["uuid"] for event in sink.events}) == 3002


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_while_the_worker_imports_leaves_the_child_no_half_module() -> None:
    with Sink() as sink:
        run(
            """
            import importlib.abc, threading
            begun, go_on = threading.Event(), threading.Event()

            class Slow(importlib.abc.MetaPathFinder):
                def find_spec(self, name, path, target=None):
                    if name == "urllib3":
                        begun.set()
                        go_on.wait(20)

            sys.meta_path.insert(0, Slow())
            client = connect(flush_interval_s=0.01)
            client.track("purchase", "parent")
            assert begun.wait(20)
            threading.Timer(0.2, go_on.set).start()
            child = os.fork()
            go_on.set()
            client.track("purchase", "later" if child else "child")
            assert client.flush(20)
            assert client.close(10) == 0
            if not child:
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            """,
            sink,
        )
        names = sorted(visitor["visitor_id"] for visitor in sink.visitors)
        assert names == ["child", "later", "parent"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_goes_on_polling() -> None:
    def serve(request: Captured) -> Answer:
        revision = "child" if any(r.path.startswith("/asked") for r in sink.requests) else "parent"
        if request.path.startswith("/asked"):
            return Answer(204)
        import json

        from shop import datafile as document

        return Answer(200, json.dumps(document(revision=revision)).encode())

    with Sink(otherwise=serve) as sink:
        run(
            """
            import urllib.request, time
            from tallybook.client import PollingSettings
            client = Client(sdk_key="key", server_url=url, polling=PollingSettings(interval_s=0.05))
            assert client.wait_until_ready(10)
            child = os.fork()
            if child:
                assert os.waitpid(child, 0)[1] == 0
            else:
                urllib.request.urlopen(url + "/asked").close()
                deadline = time.monotonic() + 10
                while client._revisions.newest.project.revision != "child":
                    if time.monotonic() > deadline:
                        os._exit(1)
                    time.sleep(0.01)
                os._exit(0)
            """,
            sink,
        )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_of_multiprocessing_delivers_before_it_ends(method: str, tmp_path: Path) -> None:
    """Such a child is ended without the interpreter's usual farewell."""
    program = """
    import multiprocessing

    def work():
        client = CLIENT or connect(flush_interval_s=60)
        for number in range(5):
            client.track("purchase", f"child-{number}")

    CLIENT = None
    if __name__ == "__main__":
        method = sys.argv[2]
        CLIENT = connect(flush_interval_s=60) if method == "fork" else None
        child = multiprocessing.get_context(method).Process(target=work)
        child.start()
        child.join()
        assert child.exitcode == 0
    """
    script = tmp_path / "program.py"
    script.write_text(PREAMBLE + textwrap.dedent(program))
    environment = {**os.environ, "PYTHONPATH": f"{SOURCE}{os.pathsep}{SOURCE.parent / 'tests'}"}
    with Sink() as sink:
        subprocess.run(
            [sys.executable, str(script), sink.url, method], check=True, env=environment, timeout=60
        )
        assert [visitor["visitor_id"] for visitor in sink.visitors] == [
            f"child-{n}" for n in range(5)
        ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize(
    "owner", ["_revisions", "notifications", "_calls.experiments._service.memories"]
)
def test_a_lock_that_is_held_while_another_thread_forks_does_not_stop_the_child(owner: str) -> None:
    """The poll thread, say, is just installing a datafile."""
    with Sink() as sink:
        run(
            f"""
            import signal, threading
            from shop import datafile
            client = connect()
            held, free = threading.Event(), threading.Event()

            def hold():
                with client.{owner}._lock:
                    held.set()
                    free.wait(20)

            holder = threading.Thread(target=hold)
            holder.start()
            assert held.wait(10)
            child = os.fork()
            if child == 0:
                signal.alarm(10)
                client.notifications.add_notification_listener("TRACK:unknown", print)
                client.get_optimizely_config()
                client.set_forced_variation("test", "user", "test_on")
                client._revisions.offer(json.dumps(datafile(revision="8")).encode())
                os._exit(0 if client.wait_until_ready(5) else 1)
            free.set()
            holder.join()
            assert os.waitpid(child, 0)[1] == 0
            """,
            sink,
        )
