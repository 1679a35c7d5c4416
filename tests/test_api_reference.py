"""What is generated is fresh, and the reference of the API has everything that can be imported."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from pages import ROOT, name

sys.path.insert(0, str(ROOT / "docs"))
generate = importlib.import_module("generate")
API = ROOT / "docs" / "reference" / "api"
DOORS = {
    "tallybook": "tallybook",
    "client": "tallybook.client",
    "notify": "tallybook.notify",
    "testing": "tallybook.testing",
    "openfeature": "tallybook.openfeature",
    "telemetry": "tallybook.telemetry",
}
# Everybody else's constructor is ours to call.
MADE_BY_USERS = (
    *("Client", "ClientSettings", "Decision", "DecisionContext", "ForcedDecision"),
    *("DatafileBuilder", "FixedClock", "InMemoryClient", "Letterbox", "TallybookProvider"),
    *("DeliverySettings", "PollingSettings", "LogEvent", "SentDecision", "TrackedEvent"),
)
SECTION = re.compile(r"^#{2,3} `(.+)`$", re.MULTILINE)


@pytest.fixture(scope="module")
def written() -> dict[Path, str]:
    pages: dict[Path, str] = generate.pages()
    return pages


def sections(text: str) -> dict[str, str]:
    """What stands below each heading of a page, by the heading's name."""
    _, *parts = SECTION.split(text)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def everything() -> dict[str, str]:
    found: dict[str, str] = {}
    for page in sorted(API.glob("*.md")):
        found |= sections(page.read_text(encoding="utf-8"))
    return found


def public(door: str) -> dict[str, Any]:
    module = importlib.import_module(door)
    return {key: getattr(module, key) for key in module.__all__ if not key.startswith("__")}


CLASSES = {
    key: value
    for door in DOORS.values()
    for key, value in public(door).items()
    if inspect.isclass(value)
}


def methods(kind: type) -> list[tuple[str, Any]]:
    """Public functions and properties that the class or an unnamed base of ours brings."""
    named = {base for base in kind.__mro__[1:] if base in CLASSES.values()}
    known = {key for base in named for key in dir(base)}
    ours = [b for b in kind.__mro__ if b.__module__.startswith("tallybook") and b not in named]
    found = {key: value for base in reversed(ours) for key, value in vars(base).items()}
    return [
        (key, value)
        for key, value in found.items()
        if not key.startswith("_") and (key not in known or key in vars(kind))
        if inspect.isroutine(inspect.unwrap(getattr(value, "__func__", value)))
        or isinstance(value, property)
    ]


def test_every_generated_page_is_as_the_code_says(written: dict[Path, str]) -> None:
    stale = [
        name(path)
        for path, text in written.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]

    assert stale == [], "run `make docs`"


def test_there_is_no_page_of_something_that_is_gone(written: dict[Path, str]) -> None:
    assert set(API.glob("*.md")) == {path for path in written if path.parent == API}


@pytest.mark.parametrize(("page", "door"), DOORS.items(), ids=DOORS.values())
def test_every_public_name_has_a_heading_on_its_page_or_an_earlier_one(
    page: str, door: str
) -> None:
    order = list(DOORS)
    earlier = order[: order.index(page) + 1]
    texts = (API / f"{stem}.md" for stem in earlier)
    headed = {key for path in texts for key in sections(path.read_text(encoding="utf-8"))}

    assert sorted(set(public(door)) - headed) == []


@pytest.mark.parametrize("key", CLASSES)
def test_every_method_has_a_heading_and_shows_every_argument(key: str) -> None:
    shown = everything()
    for method, value in methods(CLASSES[key]):
        if method == "begin_in_child":
            assert f"{key}.{method}" not in shown
            continue
        text = shown[f"{key}.{method}"]
        if isinstance(value, property):
            assert f"{method}: " in text
            continue
        taken = inspect.signature(getattr(CLASSES[key], method)).parameters
        missing = [p for p in taken if p not in ("self", "cls") and f"{p}:" not in text]
        assert missing == [], method


@pytest.mark.parametrize("key", ["DeliverySettings", "ClientSettings"])
def test_settings_are_shown_with_every_field_and_what_it_is_for(key: str) -> None:
    text = everything()[key]

    fields = inspect.signature(CLASSES[key]).parameters
    assert [f for f in fields if f"    {f}: " not in text or f"- `{f}`: " not in text] == []


@pytest.mark.parametrize("key", MADE_BY_USERS)
def test_a_class_is_shown_with_every_argument_of_its_constructor(key: str) -> None:
    text = everything()[key]

    assert [p for p in inspect.signature(CLASSES[key]).parameters if f"{p}: " not in text] == []
