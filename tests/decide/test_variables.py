from __future__ import annotations

import json
import math
import sys
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datafiles import VARIABLE_TEXTS
from tallybook.decide.variables import variable_value, variable_values
from tallybook.model.project import Flag, Variable, Variation
from tallybook.model.reason import DEBUG, ERROR, WARNING, ReasonKind, Trace


def flag_with(*variables: Variable) -> Flag:
    return Flag("1", "checkout", (), "", None, variables)


@st.composite
def json_texts(draw: st.DrawFn) -> str:
    """JSON, often with something in it that makes it none, or none that is strict."""
    scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    values = st.recursive(
        scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text(), v, max_size=3)
    )
    text = json.dumps(draw(values), ensure_ascii=draw(st.booleans()))
    place = draw(st.integers(0, len(text)))
    return text[:place] + draw(st.sampled_from(["", "", " ", ",", "\\", '"', "0"])) + text[place:]


COLOR = Variable("8", "color", "string", "blue")


@pytest.mark.parametrize(
    ("variation", "value"),
    [
        (None, "blue"),
        (Variation("1", "off", enabled=False, overrides={"8": "green"}), "blue"),
        (Variation("1", "on", enabled=True, overrides={"8": "green"}), "green"),
        (Variation("1", "on", enabled=True, overrides={"9": "green"}), "blue"),
    ],
)
def test_a_variation_overrides_a_default_only_while_it_is_enabled(
    variation: Variation | None, value: str
) -> None:
    assert variable_values(flag_with(COLOR), variation, Trace()) == {"color": value}


@pytest.mark.parametrize(
    ("type_name", "text", "value"),
    [
        ("boolean", "true", True),
        ("boolean", "True", False),
        ("boolean", "", False),
        ("integer", " 1_000 ", 1000),
        ("double", "1e3", 1000.0),
        ("double", "inf", math.inf),
        ("json", '{"a": [1, null]}', {"a": [1, None]}),
        ("json", "7", 7),
        ("string", "", ""),
        ("colour", "raw", "raw"),
    ],
)
def test_text_is_cast_to_the_type_of_the_variable(type_name: str, text: str, value: object) -> None:
    values = variable_values(flag_with(Variable("8", "v", type_name, text)), None, Trace())

    assert values == {"v": value}
    assert type(values["v"]) is type(value)


@pytest.mark.parametrize(
    ("type_name", "text"),
    [("integer", "1.5"), ("integer", ""), ("double", "x"), ("json", "{bad"), ("json", "[" * 10**5)],
)
def test_what_cannot_be_cast_is_none_and_noted_as_an_error(type_name: str, text: str) -> None:
    trace = Trace()
    values = variable_values(flag_with(Variable("8", "v", type_name, text)), None, trace)

    assert values == {"v": None}
    assert [reason.kind for reason in trace.reasons] == [ReasonKind.VARIABLE_UNCASTABLE]
    assert trace.reasons[0].text.startswith(
        f'Variable "v" of flag "checkout" cannot be read as {type_name}: '
    )


def test_values_used_by_an_enabled_variation_are_noted() -> None:
    trace = Trace()
    variable_values(flag_with(COLOR), Variation("1", "on", enabled=True), trace)

    assert [reason.text for reason in trace.reasons] == [
        'Variable "color" of flag "checkout" is "blue" in this variation.'
    ]


def test_json_values_are_the_callers_own() -> None:
    flag = flag_with(Variable("8", "v", "json", "[]"))
    first = variable_values(flag, None, Trace())["v"]
    assert isinstance(first, list)
    first.append("changed")

    assert variable_values(flag, None, Trace()) == {"v": []}


@pytest.mark.parametrize("level", [DEBUG, WARNING])
@pytest.mark.parametrize(
    "text", ['{"a": {"b": [1]}, "c": 1}', '[[1], {"a": NaN}]', '{"a": 1}', "[1]"]
)
def test_json_values_are_the_callers_own_to_their_depths(text: str, level: int) -> None:
    flag = flag_with(Variable("8", "v", "json", text), Variable("9", "flat", "json", "[]"))
    for _ in range(3):
        first: Any = variable_values(flag, None, Trace(level))["v"]
        assert repr(first) == repr(json.loads(text))  # NaN is not equal to itself
        for value in (*(first.values() if isinstance(first, dict) else first), first):
            if isinstance(value, dict | list):
                value.clear()


@given(json_texts())
@example("NaN")
@example("[-Infinity]")
@example("1e400")
@example("1" * 400 + ".5")
@example("1" * 30)
@example('{"a": 1, "a": "\\ud800"}')
@example("\ufeff1")
@example('"\ud800"')
@example('"\t"')
@example("01")
@example("")
def test_a_json_value_is_what_python_reads_in_its_text(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        expected = None

    found = variable_values(flag_with(Variable("8", "v", "json", text)), None, Trace())["v"]
    assert repr(found) == repr(expected)  # NaN is not equal to itself, and 1 is equal to True


@pytest.mark.parametrize("level", [DEBUG, WARNING])
def test_the_dictionary_of_values_is_the_callers_own(level: int) -> None:
    flag = flag_with(COLOR)
    for _ in range(3):
        values = variable_values(flag, None, Trace(level))
        assert values == {"color": "blue"}
        values["color"] = "changed"


def test_json_nested_too_deep_to_be_copied_cannot_be_cast() -> None:
    flag = flag_with(Variable("8", "v", "json", "[" * 3_000 + "]" * 3_000))
    limit, trace = sys.getrecursionlimit(), Trace(WARNING)
    sys.setrecursionlimit(20_000)  # as some services do; json then reads it
    try:
        assert variable_values(flag, None, trace) == {"v": None}
    finally:
        sys.setrecursionlimit(limit)

    assert [reason.kind for reason in trace.reasons] == [ReasonKind.VARIABLE_UNCASTABLE]


def test_each_variation_keeps_values_of_its_own() -> None:
    flag = flag_with(COLOR)
    variations = [Variation(str(n), "on", enabled=True, overrides={"8": f"c{n}"}) for n in range(3)]
    wanted = [{"color": "c0"}, {"color": "c1"}, {"color": "c2"}]

    for level in (DEBUG, WARNING, WARNING):
        assert [variable_values(flag, v, Trace(level)) for v in variations] == wanted


def test_what_cannot_be_cast_is_noted_each_time_also_where_the_trace_is_quiet() -> None:
    flag = flag_with(COLOR, Variable("9", "size", "integer", "x"))
    on = Variation("1", "on", enabled=True)
    traces = [Trace(), Trace(WARNING), Trace(WARNING), Trace(ERROR + 10)]
    for trace in traces:
        variable_values(flag, on, trace)

    full, *quiet, silent = [[reason.kind for reason in trace.reasons] for trace in traces]
    used, uncastable = ReasonKind.VARIABLE_USED, ReasonKind.VARIABLE_UNCASTABLE
    assert full == [used, used, uncastable]
    assert quiet == [[uncastable], [uncastable]]
    assert silent == []


@given(st.sampled_from([v for v in VARIABLE_TEXTS if v != "json"]), st.text())
def test_one_variable_has_the_value_it_has_among_all(type_name: str, text: str) -> None:
    variable = Variable("8", "v", type_name, text)
    flag, alone, together = flag_with(variable), Trace(), Trace()

    values = variable_values(flag, None, together)
    assert repr(values) == repr({"v": variable_value(variable, flag, None, alone)})
    assert together.reasons == alone.reasons
