from __future__ import annotations

import math

import pytest

from tallybook.decide.variables import variable_values
from tallybook.model.project import Flag, Variable, Variation
from tallybook.model.reason import ReasonKind, Trace


def flag_with(*variables: Variable) -> Flag:
    return Flag("1", "checkout", (), "", None, variables)


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
