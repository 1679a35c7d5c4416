"""The page on OpenFeature is true: its blocks run in order, against a host of datafiles."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openfeature import api

from sinks import Answer, Captured, Sink
from tallybook.testing import DatafileBuilder

PAGE = Path(__file__).resolve().parents[1] / "docs" / "how-to" / "openfeature.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ADDRESS = "http://127.0.0.1:8080"


@pytest.fixture
def host() -> Iterator[Sink]:
    datafile = (
        DatafileBuilder(events=["purchase"], attributes=["logged_in"])
        .flag("checkout", variations={"treatment": {"color": "green"}})
        .build()
    )

    def answer(request: Captured) -> Answer:
        return Answer(200, datafile) if request.method == "GET" else Answer(204)

    with Sink(otherwise=answer) as sink:
        yield sink
        api.clear_providers()


def test_the_page_s_examples_do_what_it_says(host: Sink) -> None:
    names: dict[str, Any] = {}
    printed = ""
    for kind, block in FENCE.findall(PAGE.read_text(encoding="utf-8")):
        if kind == "output":
            assert printed == block
        if kind == "python":
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile(block.replace(ADDRESS, host.url), str(PAGE), "exec"), names)  # noqa: S102
            printed = output.getvalue()

    (purchase,) = (event for event in host.events if event["key"] == "purchase")
    assert (purchase["revenue"], purchase["value"]) == (4200, 1.5)
    assert purchase["tags"]["category"] == "shoes"
