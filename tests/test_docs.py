"""The documents keep their promises: complete, linked, and their examples true."""

from __future__ import annotations

import ast
import dataclasses
import doctest
import json
import re
from pathlib import Path

import pytest

from tallybook import Client, ClientSettings, DecideOption, NotificationType, UserContext
from tallybook.client import DeliverySettings, PollingSettings
from tallybook.deliver.tally import DeliveryStats, Refusal
from tallybook.model.metric import Aggregator, Scope, SegmentRule, Tier
from tallybook.wire.event_tags import Flaw

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "tallybook"
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

MAP_LINE = re.compile(r"^\| `([\w./]+\.(?:py|sql))` \| \S.* \|$", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def fences(page: Path, language: str) -> list[str]:
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    return [body for kind, body in found if kind == language]


def headings(page: Path) -> list[tuple[str, str]]:
    return HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))


def anchors(page: Path) -> set[str]:
    titles = (re.sub(r"[^\w\- ]", "", title.lower()) for _, title in headings(page))
    return {title.replace(" ", "-") for title in titles}


def broken_links(page: Path) -> list[str]:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    inside = [target for target in LINK.findall(text) if not re.match(r"\w+:", target)]
    return [target for target in inside if not leads_somewhere(page, target)]


def leads_somewhere(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    goal = (page.parent / path).resolve() if path else page
    if not goal.exists():
        return False
    return not anchor or anchor in anchors(goal)


def test_the_map_has_exactly_one_line_for_every_file_of_the_package() -> None:
    mapped = MAP_LINE.findall((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    files = [path for kind in ("*.py", "*.sql") for path in SOURCE.rglob(kind)]

    assert sorted(mapped) == sorted(path.relative_to(SOURCE).as_posix() for path in files)


def unnamed(page: str, words: list[str]) -> list[str]:
    """The words that no code span of the page begins with."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return [word for word in words if not re.search(rf"[`|.] ?{re.escape(word)}(?![a-zA-Z])", text)]


def members(*classes: type) -> list[str]:
    return [key for kind in classes for key in vars(kind) if not key.startswith("_")]


def test_the_architecture_names_every_room_and_every_noun() -> None:
    paths = [p for folder in (SOURCE, SOURCE / "model") for p in folder.iterdir()]
    names = [p.stem for p in paths if p.suffix == ".py" or (p / "__init__.py").exists()]

    rooms = [stem for stem in names if stem not in ("__init__", "errors")]
    assert unnamed("explanation/architecture.md", rooms) == []


def test_the_sdk_reference_names_everything_a_user_can_set_or_call() -> None:
    settings = (ClientSettings, DeliverySettings, PollingSettings, DeliveryStats)
    names = [f.name for kind in settings for f in dataclasses.fields(kind)]
    choices = [str(c.value) for kind in (DecideOption, Refusal, Flaw) for c in kind]

    words = [*names, *choices, *(kind.name for kind in NotificationType)]
    assert unnamed("reference/sdk.md", words) == []
    assert unnamed("reference/sdk.md", members(Client, UserContext)) == []


def test_the_http_reference_names_every_prometheus_metric() -> None:
    watch = (SOURCE / "server" / "watch.py").read_text(encoding="utf-8")

    assert unnamed("reference/http.md", re.findall(r'"(tallybook_\w+)"', watch)) == []


def test_the_glossary_knows_every_word_a_metric_or_segment_is_described_with() -> None:
    glossary = (ROOT / "docs" / "reference" / "glossary.md").read_text(encoding="utf-8")
    words = [word.value for kind in (Aggregator, Scope, SegmentRule, Tier) for word in kind]

    assert [word for word in words if word not in glossary] == []


@pytest.mark.parametrize("record", DECISIONS, ids=name)
def test_a_decision_record_is_short_and_has_its_four_parts(record: Path) -> None:
    parts = [title for level, title in headings(record) if level == "##"]

    assert parts == ["Background", "Decision", "Consequences", "Example"]
    assert len(record.read_text(encoding="utf-8").splitlines()) <= 60


def test_decision_records_are_numbered_without_gaps_and_titled_with_their_number() -> None:
    numbers = [record.name[:4] for record in DECISIONS]

    assert numbers == [f"{n:04}" for n in range(1, len(DECISIONS) + 1)]
    assert [headings(r)[0][1][:4] for r in DECISIONS] == numbers


def test_the_index_leads_to_every_page_of_the_documents() -> None:
    index = ROOT / "docs" / "index.md"
    targets = {
        (index.parent / target).resolve()
        for target in LINK.findall(index.read_text(encoding="utf-8"))
    }

    missing = set((ROOT / "docs").rglob("*.md")) - targets - {index}
    assert sorted(map(name, missing)) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_inside_the_project_leads_somewhere(page: Path) -> None:
    assert broken_links(page) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_example_is_well_formed(page: Path) -> None:
    for block in fences(page, "python"):
        ast.parse(block)
    for block in fences(page, "json"):
        json.loads(block)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_console_example_prints_what_it_says(page: Path) -> None:
    runner = doctest.DocTestRunner(verbose=False)
    parser = doctest.DocTestParser()
    for number, block in enumerate(fences(page, "pycon")):
        runner.run(parser.get_doctest(block, {}, f"{name(page)}[{number}]", str(page), 0))

    assert runner.summarize(verbose=False).failed == 0
