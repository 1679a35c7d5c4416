"""The tables of the concept pages say what the code does: their rows are read, and tried."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest

from pages import EXAMPLE, ROOT, datafile
from tallybook import Client, DecideOption, NotificationType
from tallybook.client import (
    CmabSettings,
    DeliverySettings,
    OdpSettings,
    PollingSettings,
    SegmentOption,
)
from tallybook.decide.matchers import MATCHERS
from tallybook.deliver.answer import Meaning, meaning
from tallybook.deliver.tally import DeliveryStats, Refusal
from tallybook.testing import Letterbox
from tallybook.wire.event_tags import MAX_DEPTH, MAX_NODES, Flaw, write_tags

CONCEPTS = ROOT / "docs" / "concepts"
SPAN = re.compile(r"`([^`]+)`")
# What each type of decision is told for, as calls.
CALLS: Mapping[str, Callable[[Client], object]] = {
    "flag": lambda client: client.create_user_context("user123").decide("checkout"),
    "ab-test": lambda client: client.get_variation("lonely_test", "user123"),
    "feature-test": lambda client: client.get_variation("checkout_test", "user123"),
    "feature": lambda client: client.is_feature_enabled("checkout", "user123"),
    "feature-variable": lambda client: client.get_feature_variable("checkout", "color", "user123"),
    "all-feature-variables": lambda client: client.get_all_feature_variables("checkout", "user123"),
}
ANSWERS = {
    "2xx": ((200, 204), Meaning.DELIVERED),
    "none, 408, 429, 5xx": ((0, 408, 429, 500, 503), Meaning.RETRY),
    "413": ((413,), Meaning.SPLIT),
    "400": ((400,), Meaning.BISECT),
    "any other, a redirect too": ((301, 307, 401, 403, 404, 410), Meaning.KEEP),
}
ORDERS = {"semver_lt": "before", "semver_eq": "equal", "semver_gt": "after"}


def table(page: str, head: str) -> list[list[str]]:
    """The rows of the page's table whose first head is ``head``."""
    lines = (CONCEPTS / page).read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {head} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def spans(cell: str) -> list[str]:
    return SPAN.findall(cell)


def first_spans(page: str, head: str) -> list[str]:
    return [span for row in table(page, head) for span in spans(row[0])]


def test_every_decide_option_has_its_row() -> None:
    options = [option.value for option in DecideOption]

    assert sorted(first_spans("flags.md", "option")) == sorted(options)


def test_every_option_of_fetching_segments_has_its_row() -> None:
    rows = first_spans("audiences.md", "option of fetching")

    assert sorted(rows) == sorted(option.value for option in SegmentOption)


def test_every_refusal_has_its_row() -> None:
    assert first_spans("events-and-tags.md", "cause") == [cause.value for cause in Refusal]


def test_every_flaw_has_its_row_with_its_bounds() -> None:
    rows = {row[0].strip("`"): row[1] for row in table("events-and-tags.md", "flaw")}

    assert set(rows) == {flaw.value for flaw in Flaw}
    assert f"{MAX_DEPTH} deep" in rows["too_deep"]
    assert f"{MAX_NODES:,} values" in rows["too_large"]


@pytest.mark.parametrize("row", table("events-and-tags.md", "tag"), ids=lambda row: row[0])
def test_what_does_not_count_as_a_reserved_tag_is_sent_as_a_tag_alone(row: list[str]) -> None:
    (name,) = spans(row[0])
    for text in spans(row[3]):
        written, (remark,) = write_tags({name: ast.literal_eval(text)})
        assert remark.key == name
        assert written.startswith(b',"tags":{')


@pytest.mark.parametrize(
    ("tag", "counts"),
    [
        *(("revenue", value) for value in (0, 4200, -4200)),
        *(("value", value) for value in (3, 1.5, "7", " 7 ", "1e3")),
    ],
)
def test_what_counts_as_a_reserved_tag_is_sent_as_a_field_too(tag: str, counts: object) -> None:
    written, remarks = write_tags({tag: counts})

    assert remarks == ()
    assert written.startswith(f',"{tag}":'.encode())


def test_every_match_has_its_row() -> None:
    assert sorted(first_spans("audiences.md", "match")) == sorted(MATCHERS)


@pytest.mark.parametrize("row", table("audiences.md", "A"), ids=" ".join)
def test_conditions_are_joined_as_the_table_says(row: list[str]) -> None:
    a, b = (SAMPLES[cell] for cell in row[:2])

    joined = (["and", a, b], ["or", a, b], ["not", a])
    assert [answer(condition) for condition in joined] == row[2:]
    assert answer(["and", b, a]) == row[2]
    assert answer(["or", b, a]) == row[3]


@pytest.mark.parametrize("row", table("audiences.md", "the user has"), ids=" ".join)
def test_versions_compare_as_the_table_says(row: list[str]) -> None:
    (user,), (target,) = spans(row[0]), spans(row[1])
    holding = [
        order
        for match, order in ORDERS.items()
        if answer(compared("version", match, target), {"version": user}) == "yes"
    ]

    assert holding == ([] if row[2] == "unknown" else [row[2]])


def compared(name: str, match: str, value: object) -> dict[str, object]:
    return {"type": "custom_attribute", "name": name, "match": match, "value": value}


SAMPLES = {
    "yes": compared("plan", "exact", "gold"),
    "no": compared("plan", "exact", "silver"),
    "unknown": compared("age", "exact", 40),
}


def answer(condition: object, attributes: Mapping[str, object] | None = None) -> str:
    """Whether a condition holds: what is unknown neither holds nor does its opposite."""
    attributes = attributes or {"plan": "gold"}
    answers = (is_let_in(condition, attributes), is_let_in(["not", condition], attributes))
    return {(True, False): "yes", (False, True): "no", (False, False): "unknown"}[answers]


def is_let_in(condition: object, attributes: Mapping[str, object]) -> bool:
    document = json.loads(datafile(EXAMPLE))
    (experiment,) = document["experiments"]
    experiment["audienceConditions"] = ["a"]
    document["typedAudiences"] = [{"id": "a", "name": "a", "conditions": condition}]
    with Client(json.dumps(document), http=Letterbox()) as client:
        decision = client.create_user_context("user123", dict(attributes)).decide("checkout")
    return decision.rule_key == str(experiment["key"])


def test_every_notification_has_its_row_and_its_arguments() -> None:
    rows = {row[0].strip("`"): row[1].strip("`") for row in table("notifications.md", "type")}

    assert rows == {
        kind.name: kind.value.partition(":")[2] or "nothing" for kind in NotificationType
    }


@pytest.mark.parametrize("row", table("notifications.md", "`type`"), ids=lambda row: row[0])
def test_decisions_are_told_with_the_keys_the_table_names(row: list[str]) -> None:
    (kind,) = spans(row[0])
    body = datafile(EXAMPLE).replace(b'"experiments":[', b'"experiments":[' + LONELY, 1)
    told: list[tuple[Any, ...]] = []
    with Client(body, http=Letterbox()) as client:
        client.notifications.add_notification_listener(
            NotificationType.DECISION, lambda *arguments: told.append(arguments)
        )
        CALLS[kind](client)

    ((named, _, _, info),) = told
    assert (named, sorted(info)) == (kind, sorted(spans(row[2])))


LONELY = b"""{
  "id": "1", "key": "lonely_test", "layerId": "2", "status": "Running", "audienceIds": [],
  "forcedVariations": {}, "variations": [{"id": "3", "key": "only"}],
  "trafficAllocation": [{"entityId": "3", "endOfRange": 10000}]
},"""


@pytest.mark.parametrize(
    ("page", "settings"),
    [
        ("delivery.md", DeliverySettings),
        ("delivery.md", PollingSettings),
        ("flags.md", CmabSettings),
        ("audiences.md", OdpSettings),
    ],
)
def test_settings_have_the_defaults_and_units_of_their_table(page: str, settings: type) -> None:
    rows = table(page, f"`{settings.__name__}`")
    fields = {field.name: field.default for field in msgspec.structs.fields(settings)}

    assert {row[0].strip("`"): number(row[1]) for row in rows} == fields
    for name, unit in ((row[0].strip("`"), row[2]) for row in rows):
        assert (unit == "seconds") == name.endswith("_s"), name
        assert (unit == "bytes") == name.endswith("_bytes"), name


def number(cell: str) -> object:
    return ast.literal_eval(cell.strip("`").replace(",", ""))


def test_every_answer_of_a_server_means_what_the_table_says() -> None:
    assert [row[0] for row in table("delivery.md", "answer")] == list(ANSWERS)
    for statuses, meant in ANSWERS.values():
        assert [meaning(status) for status in statuses] == [meant] * len(statuses)


def test_every_count_of_delivery_has_its_row() -> None:
    counts = [field.name for field in msgspec.structs.fields(DeliveryStats)]

    assert sorted(first_spans("delivery.md", "field")) == sorted(counts)
