"""The examples are real services: started, used, and their events are in the server's results."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import urllib3

from servers import Server, counted, new_token, reached, succeed

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SOURCE = Path(__file__).resolve().parents[2] / "src"
WAIT_S = 30.0
USERS = 20
COMMANDS = {
    "fastapi": ["-m", "uvicorn", "--app-dir", str(EXAMPLES / "fastapi_app"), "main:app", "--port"],
    "django": [str(EXAMPLES / "django_app" / "manage.py"), "runserver", "--noreload"],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("data")
    succeed("apply", EXAMPLES / "definition.yaml", data=data)
    token = new_token("tests", "--scope", "read", data=data)
    with Server(data) as running:
        running.token = token
        yield running


class Results:
    """What the server says of the experiment now, by variation."""

    def __init__(self, server: Server) -> None:
        url = f"{server.url}/api/v1/experiments/checkout_test/results"
        document = urllib3.request("GET", url, headers={"Authorization": server.token}).json()
        self.reach = reached(document)
        self.users = sum(self.reach.values())
        self.buyers = counted(document, "purchase_rate")
        self.revenue = counted(document, "revenue_per_visitor")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def eventually(is_so: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def is_ready(url: str) -> bool:
    try:
        answer = urllib3.request("GET", f"{url}/health", retries=False, timeout=5)
    except urllib3.exceptions.HTTPError:
        return False
    return answer.status == 200 and answer.json()["tallybook"]


@contextmanager
def shop(kind: str, server: Server) -> Iterator[str]:
    """An example in a process of its own, stopped as from the keyboard."""
    port = free_port()
    environment = {**os.environ, "TALLYBOOK_URL": server.url, "PYTHONPATH": str(SOURCE)}
    process = subprocess.Popen(
        [sys.executable, *COMMANDS[kind], str(port)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        eventually(lambda: process.poll() is not None or is_ready(url), f"{kind} does not start")
        yield url
    finally:
        output = stopped(process)
    assert "Traceback" not in output, output


def stopped(process: subprocess.Popen[str]) -> str:
    """What a process has written in all, once it was stopped.

    An interrupt that comes while Python runs a weak reference's callback, as after each thread of
    Django's, is lost and not even an error: whoever sits at the keyboard then presses again.
    """
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            output, _ = process.communicate(timeout=20)
            return re.sub(r"Exception ignored in: .*\n(.*\n)+?KeyboardInterrupt: *\n", "", output)
    process.kill()
    pytest.fail(process.communicate()[0])


@pytest.mark.parametrize("kind", COMMANDS)
def test_an_example_s_decisions_and_purchases_are_in_the_results(kind: str, server: Server) -> None:
    before = Results(server)
    seen: dict[str, int] = {"control": 0, "treatment": 0}
    colors = set()

    with shop(kind, server) as url:
        for number in range(USERS):
            user = {"X-User": f"{kind}-{number}", "X-Plan": "gold"}
            page = urllib3.request("GET", f"{url}/checkout", headers=user).json()
            seen[page["variation"]] += 1
            colors.add((page["variation"], page["color"]))
            bought = urllib3.request("POST", f"{url}/purchase?cents=4200", headers=user)
            assert bought.status == 204
    # The shop is closed: what it was told is with the server, and soon in the lake.

    assert colors == {("control", "blue"), ("treatment", "green")}
    eventually(lambda: sum(Results(server).buyers.values()) >= before.users + USERS, "no events")
    after = Results(server)
    assert {v: after.reach[v] - before.reach[v] for v in seen} == seen
    assert {v: after.buyers[v] - before.buyers[v] for v in seen} == seen
    assert {v: after.revenue[v] - before.revenue[v] for v in seen} == {
        v: 4200 * count for v, count in seen.items()
    }
