"""Pages of the documents as programs: their blocks, run in order as a reader would run them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sinks import Answer, Captured, Sink
from tallybook.catalog.store import open_catalog
from tallybook.publish import apply
from tallybook.wire.definition import read_definition

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLE = (ROOT / "examples" / "definition.yaml").read_text(encoding="utf-8")
ADDRESSES = ("http://127.0.0.1:8080", "https://tallybook.example.com")
SDK_KEY = "prod-key"
RUNNER = """
import contextlib, io, json, sys

page, names, printed = json.load(sys.stdin), {"__name__": "page"}, []
exec(page["given"], names)
for number, block in enumerate(page["blocks"]):
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(block, f"{page['name']}[{number}]", "exec"), names)
    printed.append(output.getvalue())
json.dump(printed, sys.stdout)
"""


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, below: str = "") -> list[tuple[str, str]]:
    """Language and text of every block in the page's order, or of those below one heading."""
    text = page.read_text(encoding="utf-8")
    if below:
        _, _, text = text.partition(f"\n## {below}\n")
        assert text, f"{name(page)} has no heading {below!r}"
        text = text.partition("\n## ")[0]
    return FENCE.findall(text)


def fences(page: Path, language: str, below: str = "") -> list[str]:
    return [body for kind, body in blocks(page, below) if kind == language]


@cache
def datafile(definition: str) -> bytes:
    """What a definition publishes."""
    with (
        TemporaryDirectory() as place,
        open_catalog(f"{place}/catalog.sqlite3") as catalog,
    ):
        apply(catalog, read_definition(definition), now_ms=0)
        published = catalog.datafile(SDK_KEY)
        assert published is not None
        return published.body


def shown(page: Path, below: str = "") -> list[str | None]:
    """What each Python block prints according to the block after it; ``None`` if none says."""
    following = [*blocks(page, below), ("", "")]
    return [
        following[number][1] if following[number][0] == "output" else None
        for number, (kind, _) in enumerate(following, 1)
        if kind == "python"
    ]


def follow(page: Path, place: Path, given: str = "", below: str = "") -> list[str]:
    """Run a page's Python blocks in a process of their own; what each printed.

    A server has the datafile of the definition that the page shows, else of the examples, and
    takes every event. ``given`` is code that the page takes for granted; with ``below`` only the
    blocks under that heading are run.
    """
    body = datafile(next(iter(fences(page, "yaml")), EXAMPLE))

    def answer(request: Captured) -> Answer:
        return Answer(200, body) if request.method == "GET" else Answer(204)

    with Sink(otherwise=answer) as sink:
        program = {
            "name": name(page),
            "given": _at(sink.url, given),
            "blocks": [_at(sink.url, block) for block in fences(page, "python", below)],
        }
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", RUNNER],
            input=json.dumps(program),
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    printed: list[str] = json.loads(done.stdout)
    return printed


def is_as_shown(printed: list[str], said: list[str | None]) -> bool:
    """True when every block that a page shows the output of has printed just that."""
    return len(printed) == len(said) and all(
        expected in (None, got) for got, expected in zip(printed, said, strict=True)
    )


def _at(url: str, code: str) -> str:
    for address in ADDRESSES:
        code = code.replace(address, url)
    return code
