"""The values a flag's variables have for whoever got a variation."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from tallybook.model.project import Flag, Variable, Variation
from tallybook.model.reason import ReasonKind, Trace


def variable_values(flag: Flag, variation: Variation | None, trace: Trace) -> dict[str, object]:
    """Every variable of ``flag`` by key, cast to its type; ``None`` where the text cannot be cast.

    A variation's own value counts only while the variation is enabled; otherwise the default does.
    """
    if variation is None or not variation.enabled:
        return {v.key: _cast(v, v.default, flag, trace) for v in flag.variables}
    return {v.key: _cast(v, _used(v, variation, flag, trace), flag, trace) for v in flag.variables}


def variable_value(
    variable: Variable, flag: Flag, variation: Variation | None, trace: Trace
) -> object:
    """The value of one variable, as :func:`variable_values` has it."""
    if variation is None or not variation.enabled:
        return _cast(variable, variable.default, flag, trace)
    return _cast(variable, _used(variable, variation, flag, trace), flag, trace)


def _used(variable: Variable, variation: Variation, flag: Flag, trace: Trace) -> str | None:
    text = None
    if not variation.is_described:
        trace.note(ReasonKind.VARIABLES_UNKNOWN, variation=variation.key, flag=flag.key)
    else:
        text = variation.overrides.get(variable.id, variable.default)
    trace.note(ReasonKind.VARIABLE_USED, variable=variable.key, flag=flag.key, value=text)
    return text


def _cast(variable: Variable, text: str | None, flag: Flag, trace: Trace) -> object:
    cast = _CASTS.get(variable.type)
    if cast is None:
        return text
    try:
        return cast(text)
    except (ValueError, TypeError, RecursionError):
        trace.note(
            ReasonKind.VARIABLE_UNCASTABLE,
            variable=variable.key,
            flag=flag.key,
            type=variable.type,
            value=text,
        )
        return None


def _is_true(text: str | None) -> bool:
    return text == "true"


# What is unknown (no text) is false as a boolean, and cannot be cast to a number or JSON.
_CASTS: Final[Mapping[str, Callable[[Any], object]]] = {
    "boolean": _is_true,
    "integer": int,
    "double": float,
    "json": json.loads,
}
