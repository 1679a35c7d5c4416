from __future__ import annotations

import json
import math
from collections import OrderedDict, UserDict
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.wire.event_tags import (
    MAX_DEPTH,
    MAX_NODES,
    Flaw,
    Remark,
    members_of_all,
    text_of,
    write_tags,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
JSON_VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
KEYS = TEXT | st.sampled_from(["revenue", "value", "tags", "decisions"])


class Colour(StrEnum):
    RED = "red"


class Size(IntEnum):
    BIG = 3


class Plain(Enum):
    ONE = 1


class Raising:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__
    __iter__ = __str__


class RaisingInt(int):
    def __int__(self) -> int:
        raise RuntimeError("no number")


def read(tags: dict[Any, Any]) -> tuple[dict[str, Any], set[tuple[Flaw, str]]]:
    text, remarks = write_tags(tags)
    document = json.loads(b"{" + text.removeprefix(b",") + b"}", parse_constant=_no_constant)
    return document, {(remark.flaw, remark.key) for remark in remarks}


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def stripped(value: Any) -> Any:
    if isinstance(value, dict):
        gone = {"revenue", "value", "tags", "decisions"}
        return {k: stripped(v) for k, v in value.items() if not (v is None and k in gone)}
    return [stripped(item) for item in value] if isinstance(value, list) else value


@given(st.dictionaries(KEYS, JSON_VALUES, max_size=6))
def test_whatever_json_can_hold_arrives_as_it_was(tags: dict[str, Any]) -> None:
    document, _ = read(tags)
    assert document["tags"] == stripped(tags)


@given(
    st.dictionaries(TEXT, JSON_VALUES, max_size=4),
    st.sampled_from([math.nan, b"", {1}, "\ud800", object()]),
)
def test_a_tag_that_cannot_be_written_costs_itself_alone(good: dict[str, Any], bad: object) -> None:
    document, remarks = read({"bad one": bad, **good, "another": [bad]})
    good.pop("bad one", None), good.pop("another", None)
    assert document["tags"] == stripped(good)
    assert {
        key for flaw, key in remarks if flaw not in (Flaw.REVENUE_NOT_CENTS, Flaw.VALUE_NOT_NUMERIC)
    } == {
        "bad one",
        "another",
    }


@pytest.mark.parametrize(
    ("value", "flaw"),
    [
        (math.nan, Flaw.NOT_FINITE),
        (math.inf, Flaw.NOT_FINITE),
        ([-math.inf], Flaw.NOT_FINITE),
        (b"bytes", Flaw.NOT_JSON),
        ({1, 2}, Flaw.NOT_JSON),
        (object(), Flaw.NOT_JSON),
        (datetime.now(UTC), Flaw.NOT_JSON),
        (Decimal("1.5"), Flaw.NOT_JSON),
        (Plain.ONE, Flaw.NOT_JSON),
        (Raising(), Flaw.NOT_JSON),
        (RaisingInt(1), Flaw.NOT_JSON),
        (UserDict(a=1), Flaw.NOT_JSON),
        ({(1, 2): 3}, Flaw.NOT_JSON),
        (1j, Flaw.NOT_JSON),
        ("\ud800", Flaw.NOT_TEXT),
        ({"a\udfff": 1}, Flaw.NOT_TEXT),
        (2**1024, Flaw.TOO_LARGE),
        (-(10**5000), Flaw.TOO_LARGE),
        ([0] * MAX_NODES, Flaw.TOO_LARGE),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, Flaw) else value,
)
def test_values_that_no_reader_could_take_are_named_with_their_flaw(
    value: object, flaw: Flaw
) -> None:
    document, remarks = read({"bad": value, "good": "kept"})
    assert document["tags"] == {"good": "kept"}
    assert remarks == {(flaw, "bad")}


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ((1, (2,)), [1, [2]]),
        (OrderedDict(a=1), {"a": 1}),
        (Colour.RED, "red"),
        (Size.BIG, 3),
        (Fraction(1, 2), 0.5),
        (True, True),
        (2**70, 2**70),
        (-0.0, -0.0),
        ("x" * 1_000_000, "x" * 1_000_000),
        (
            {2: "a", True: "b", None: "c", 1.5: "d"},
            {"2": "a", "true": "b", "null": "c", "1.5": "d"},
        ),
        ({2: "a", "2": "b"}, {"2": "b"}),
    ],
    ids=str,
)
def test_values_json_has_a_form_for_are_written_in_it(value: object, written: object) -> None:
    document, remarks = read({"tag": value})
    assert document["tags"]["tag"] == written
    assert not remarks


def test_keys_that_are_no_strings_become_what_json_makes_of_them() -> None:
    assert read({1: "a", False: "b"})[0]["tags"] == {"1": "a", "false": "b"}


def test_keys_that_cannot_be_written_cost_their_tag() -> None:
    document, remarks = read({"\ud800": 1, (1, 2): 2, "good": 3})
    assert document["tags"] == {"good": 3}
    assert {flaw for flaw, _ in remarks} == {Flaw.NOT_TEXT, Flaw.NOT_JSON}


def test_a_value_that_holds_itself_is_left_out() -> None:
    loop: dict[str, Any] = {}
    loop["loop"] = loop
    ring: list[Any] = []
    ring.append(ring)
    document, remarks = read({"loop": loop, "ring": ring, "good": 1})
    assert document["tags"] == {"good": 1}
    assert remarks == {(Flaw.TOO_DEEP, "loop"), (Flaw.TOO_DEEP, "ring")}


def test_nesting_is_taken_up_to_its_bound() -> None:
    nested: list[Any] = []
    for _ in range(MAX_DEPTH - 1):
        nested = [nested]
    assert read({"deep": nested})[1] == set()
    assert read({"deep": [nested]})[1] == {(Flaw.TOO_DEEP, "deep")}


def test_a_value_that_multiplies_itself_is_cut_off_in_time() -> None:
    doubled: list[Any] = [0]
    for _ in range(40):
        doubled = [doubled, doubled]
    assert read({"bomb": doubled})[1] == {(Flaw.TOO_LARGE, "bomb")}


@pytest.mark.parametrize("value", [0, 10, -5, 2**70, Size.BIG])
def test_an_integer_revenue_is_a_field_too(value: int) -> None:
    document, remarks = read({"revenue": value})
    assert document["revenue"] == value
    assert document["tags"] == {"revenue": value}
    assert not remarks


@pytest.mark.parametrize("value", [10.0, "10", True, [], {}])
def test_another_revenue_stays_a_tag_only(value: object) -> None:
    document, remarks = read({"revenue": value})
    assert "revenue" not in document
    assert document["tags"] == {"revenue": value}
    assert remarks == {(Flaw.REVENUE_NOT_CENTS, "revenue")}


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (7, 7.0),
        (12.5, 12.5),
        ("1_000", 1000.0),
        (" 7 ", 7.0),
        ("1e3", 1000.0),
        (Size.BIG, 3.0),
        (Colour.RED, None),
    ],
)
def test_a_value_is_whatever_float_takes(value: object, number: float | None) -> None:
    document, _ = read({"value": value})
    assert document.get("value") == number
    assert document["tags"] == {"value": value}


def test_a_value_is_written_as_a_double() -> None:
    assert write_tags({"value": 7})[0] == b',"value":7.0,"tags":{"value":7}'


@pytest.mark.parametrize("value", [True, "nan", "inf", "seven", [], {}, 2**1024 - 1])
def test_another_value_stays_a_tag_only(value: object) -> None:
    document, remarks = read({"value": value})
    assert "value" not in document
    assert document["tags"] == {"value": value}
    assert remarks == {(Flaw.VALUE_NOT_NUMERIC, "value")}


def test_no_tags_at_all_are_an_empty_object() -> None:
    assert write_tags({}) == (b',"tags":{}', ())


def test_the_order_of_members_is_revenue_value_tags() -> None:
    assert write_tags({"value": 1.5, "revenue": 2})[0] == (
        b',"revenue":2,"value":1.5,"tags":{"value":1.5,"revenue":2}'
    )


def test_a_dict_that_changes_while_it_is_read_is_read_again() -> None:
    class Restless(dict[str, int]):
        def values(self) -> Any:
            for value in super().values():
                yield value
                self["new"] = 1

    document, _ = read(Restless(a=1))
    assert document["tags"] == {"a": 1, "new": 1}


def test_remarks_are_values() -> None:
    assert write_tags({"a": b""})[1] == (Remark(Flaw.NOT_JSON, "a"),)


PLAIN_TAGS = st.dictionaries(
    st.sampled_from(["revenue", "value", "kind", "null", "note"]),
    st.one_of(
        st.integers(-(2**70), 2**70),
        st.floats(),
        st.booleans(),
        st.sampled_from(["12.5", "null", "shoes", "x" * 400, '"}{']),
    ),
    max_size=5,
)


@given(st.lists(st.one_of(st.none(), PLAIN_TAGS), max_size=6))
def test_many_are_written_as_each_would_be(all_tags: list[dict[str, Any] | None]) -> None:
    texts = [b"" if tags is None else text_of(tags) for tags in all_tags]
    assert None not in texts, "all are plain"
    members, remarks = members_of_all([text for text in texts if text is not None])
    each = [(b"", ()) if tags is None else write_tags(tags) for tags in all_tags]
    assert members == [text for text, _ in each]
    assert list(remarks) == [remark for _, its in each for remark in its]
