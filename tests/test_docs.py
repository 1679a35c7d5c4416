"""The documents keep their promises: complete, linked, and their examples true."""

from __future__ import annotations

import ast
import doctest
import json
import re
from pathlib import Path

import msgspec
import pytest

from pages import FENCE, ROOT, blocks, fences, follow, is_as_shown, name, shown
from tallybook import Client, ClientSettings, DecideOption, NotificationType, UserContext
from tallybook.client import DeliverySettings, PollingSettings
from tallybook.deliver.tally import DeliveryStats, Refusal
from tallybook.model.metric import Aggregator, Scope, SegmentRule, Tier
from tallybook.wire.event_tags import Flaw

SOURCE = ROOT / "src" / "tallybook"
CLIENT = """
from tallybook import Client

client = Client(sdk_key="prod-key", server_url="http://127.0.0.1:8080")
assert client.wait_until_ready(10)
"""
LAKE = """
from tallybook.lake.tables import Lake
from tallybook.model.event import Arrival, Received
from tallybook.wire.batch_reader import read_batch

event = b'{"entity_id": "7", "key": "purchase", "uuid": "a", "timestamp": 1760000000000}'
visitor = b'{"visitor_id": "user123", "snapshots": [{"events": [%b]}]}' % event
batch = read_batch(b'{"account_id": "1", "visitors": [%b]}' % visitor)
Lake("tallybook-data/lake").commit([Received(Arrival(0), batch)], app_id="log", number=1)
"""
# What a page takes for granted.
GIVEN = {
    "README.md": f"{CLIENT}def show_the_new_checkout():\n    pass\n",
    "docs/decisions/0004-one-synchronous-sdk-with-a-journal.md": CLIENT,
    "docs/reference/lake.md": LAKE,
}
# Pages whose examples need a framework, a real server or a test runner have a test of their own.
RUN_ELSEWHERE = {
    "docs/tutorial.md": "test_tutorial.py",
    "docs/how-to/celery.md": "test_how_to_frameworks.py",
    "docs/how-to/django.md": "test_how_to_frameworks.py",
    "docs/how-to/fastapi.md": "test_how_to_frameworks.py",
    "docs/how-to/flask.md": "test_how_to_frameworks.py",
    "docs/how-to/gunicorn.md": "test_how_to_frameworks.py",
    "docs/how-to/serverless.md": "test_how_to_frameworks.py",
    "docs/how-to/move-from-optimizely.md": "test_how_to_moving.py",
    "docs/how-to/openfeature.md": "test_how_to_openfeature.py",
    "docs/how-to/test-your-code.md": "test_how_to_testing.py",
}
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
FOLDERS = (ROOT / "docs", ROOT / "examples")
PAGES = sorted([*ROOT.glob("*.md"), *(page for f in FOLDERS for page in f.rglob("*.md"))])
PROGRAMS = [page for page in PAGES if fences(page, "python")]
RUN_HERE = [page for page in PROGRAMS if name(page) not in RUN_ELSEWHERE]

MAP_LINE = re.compile(r"^\| `([\w./]+\.(?:py|sql))` \| \S.* \|$", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)


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
    names = [f.name for kind in settings for f in msgspec.structs.fields(kind)]
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


@pytest.mark.parametrize("page", RUN_HERE, ids=name)
def test_every_program_runs_and_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    printed = follow(page, tmp_path, GIVEN.get(name(page), ""))

    assert is_as_shown(printed, shown(page)), printed


def test_a_program_that_is_not_run_here_is_run_by_a_test_that_names_its_page() -> None:
    assert sorted(set(RUN_ELSEWHERE) - {name(page) for page in PROGRAMS}) == []
    for page, test in RUN_ELSEWHERE.items():
        named = rf"[\"/ ]{re.escape(Path(page).stem)}(\.md)?\""
        assert re.search(named, (ROOT / "tests" / test).read_text(encoding="utf-8")), page


def test_what_is_given_is_given_to_programs_that_are_run_here() -> None:
    assert sorted(set(GIVEN) - {name(page) for page in RUN_HERE}) == []


@pytest.mark.parametrize("page", PROGRAMS, ids=name)
def test_what_is_shown_as_printed_follows_what_prints_it(page: Path) -> None:
    before = [("", ""), *blocks(page)]
    outputs = [number for number, (kind, _) in enumerate(blocks(page)) if kind == "output"]

    assert [n for n in outputs if before[n][0] != "python"] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_console_example_prints_what_it_says(page: Path) -> None:
    runner = doctest.DocTestRunner(verbose=False)
    parser = doctest.DocTestParser()
    for number, block in enumerate(fences(page, "pycon")):
        runner.run(parser.get_doctest(block, {}, f"{name(page)}[{number}]", str(page), 0))

    assert runner.summarize(verbose=False).failed == 0
