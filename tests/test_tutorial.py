"""The tutorial is true: its blocks run as they stand, in order, against a real server."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from servers import Server, tallybook
from tallybook import Client

TUTORIAL = Path(__file__).resolve().parents[1] / "docs" / "tutorial.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WAIT_S = 30.0
ADDRESS = "http://127.0.0.1:8080"
TRACK_EVENT_EXAMPLE = """\
user = optimizely.create_user_context("user123", {"logged_in": True})
tags = {"category": "shoes", "purchase_count": 2}
user.track_event("my_purchase_event_key", tags)
"""


class Reader:
    """Somebody who follows the tutorial in a directory of their own."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.data = place / "tallybook-data"
        self.names: dict[str, Any] = {}
        self.printed: list[str] = []
        self.answers: dict[str, str] = {}
        self.server: Server | None = None

    def follow(self, kind: str, block: str) -> None:
        """Do what one block says."""
        if kind == "yaml":
            (self.place / "definition.yaml").write_text(block, encoding="utf-8")
        elif kind == "python":
            self.printed.append(self.run_python(block))
        elif kind == "sh":
            for line in block.splitlines():
                self.run_command(line)

    def run_python(self, block: str) -> str:
        """Run a block among the names of those before it; return what it printed."""
        assert self.server is not None
        output = io.StringIO()
        code = compile(block.replace(ADDRESS, self.server.url), str(TUTORIAL), "exec")
        with contextlib.redirect_stdout(output):
            exec(code, self.names)  # noqa: S102 - our own document
        return output.getvalue()

    def run_command(self, line: str) -> None:
        """Run a line of the prompt; what installs Tallybook is taken as done."""
        program, *arguments = shlex.split(line)
        if program != "tallybook":
            return
        if arguments == ["serve"]:
            self.server = Server(self.data)
            self.server.start()
            return
        self.wait_for_lake()
        here = [self.place / a if (self.place / a).is_file() else a for a in arguments]
        done = tallybook(*here, data=self.data)
        assert done.returncode == 0, f"{line}: {done.stderr}"
        self.answers[line] = done.stdout

    def wait_for_lake(self) -> None:
        """Wait as long as the tutorial says until what was delivered is in results."""
        client = self.names.get("optimizely")
        deadline = time.monotonic() + WAIT_S
        while self.server and client and self.drained() < client.delivery_stats().delivered:
            assert time.monotonic() < deadline, "events are not in the lake"
            time.sleep(0.1)

    def drained(self) -> float:
        """How many events the server says are in the lake."""
        assert self.server is not None
        metrics = urllib3.request("GET", f"{self.server.url}/metrics").data.decode()
        return sum(
            map(float, re.findall(r"^tallybook_drained_total{.*} (\S+)$", metrics, re.MULTILINE))
        )


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Somebody who has followed the whole tutorial."""
    follower = Reader(tmp_path_factory.mktemp("tutorial"))
    try:
        for kind, block in FENCE.findall(TUTORIAL.read_text(encoding="utf-8")):
            follower.follow(kind, block)
        yield follower
    finally:
        client = follower.names.get("optimizely")
        if isinstance(client, Client):
            client.close(0)
        if follower.server is not None:
            follower.server.stop()


def shown(kind: str) -> list[str]:
    """The tutorial's blocks of one kind."""
    return [b for k, b in FENCE.findall(TUTORIAL.read_text(encoding="utf-8")) if k == kind]


def timeless(text: str) -> str:
    """The text with every moment in it replaced by a word."""
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "MOMENT", text).strip()


def columns(table: str) -> list[list[str]]:
    """The rows of every metric: variation, visitors, value and rate, which no clock can change."""
    rows = (re.split(r"\s{2,}", line.strip()) for line in table.splitlines())
    return [row[:4] for row in rows if row[0].partition(" ")[0] in ("control", "treatment")]


def test_the_track_event_example_stands_there_word_for_word() -> None:
    assert TRACK_EVENT_EXAMPLE in TUTORIAL.read_text(encoding="utf-8")


def test_what_python_prints_is_what_the_tutorial_shows(reader: Reader) -> None:
    assert [text for text in reader.printed if text] == shown("output")


def test_the_result_table_counts_what_the_tutorial_shows(reader: Reader) -> None:
    found = columns(reader.answers["tallybook results checkout_test"])

    assert found == columns(shown("text")[0])
    assert len(found) == 4


def test_a_metric_nobody_defined_counts_what_was_in_the_tags(reader: Reader) -> None:
    metric = "my_purchase_event_key:sum:purchase_count"
    later = reader.answers[f"tallybook results checkout_test --metric {metric}"]
    first = reader.answers["tallybook results checkout_test"]

    # Everybody bought one, but user123 two.
    items = sum(int(row[2].replace(",", "")) for row in columns(later))
    buyers = sum(int(row[2].replace(",", "")) for row in columns(first)[:2])
    assert items == buyers + 1


def test_the_questions_at_the_end_are_answered(reader: Reader) -> None:
    assert "logged_in" in reader.answers["tallybook results checkout_test --segment logged_in"]
    assert timeless(reader.answers["tallybook why user123"]) == timeless(shown("text")[1])
    assert "SELECT" in reader.answers["tallybook sql checkout_test"].upper()
