"""The values a flag's variables have for whoever got a variation.

They follow from the datafile alone, so they are cast once where there is nothing to note: the flag
keeps them, and each call is given a copy.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterable, Mapping
from sys import intern
from typing import Any, Final

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from tallybook.model.project import Flag, Variable, Variation
from tallybook.model.reason import WARNING, ReasonKind, Trace

_decode: Final = Decoder().decode


def variable_values(flag: Flag, variation: Variation | None, trace: Trace) -> dict[str, object]:
    """Every variable of ``flag`` by key, cast to its type; ``None`` where the text cannot be cast.

    A variation's own value counts only while the variation is enabled; otherwise the default does.
    The values are the caller's own, to keep and to change.
    """
    counting = variation if variation is not None and variation.enabled else None
    known = None
    if trace.level >= WARNING:
        known = flag.cast_values.get(id(counting)) or _cast_once(flag, counting)
    if known is None:
        return _cast_all(flag, counting, trace)
    values = known.values.copy()
    for key in known.flat:
        values[key] = values[key].copy()
    for key, kept in known.nested:
        values[key] = marshal.loads(kept)  # noqa: S302 - what marshal.dumps gave
    return values


def variable_value(
    variable: Variable, flag: Flag, variation: Variation | None, trace: Trace
) -> object:
    """The value of one variable, as :func:`variable_values` has it."""
    if variation is None or not variation.enabled:
        return _cast(variable, variable.default, flag, trace)
    return _cast(variable, _used(variable, variation, flag, trace), flag, trace)


class _Known(Struct, frozen=True, gc=False):
    """The values for a variation, and which of them a caller could change.

    ``flat`` are those with nothing in them that could be changed in turn, ``nested`` all others, as
    :mod:`marshal` keeps them. ``variation`` is held on to, so that its ``id()`` stays its own for
    as long as it is a key.
    """

    variation: Variation | None
    values: dict[str, Any]
    flat: tuple[str, ...]
    nested: tuple[tuple[str, bytes], ...]


def _cast_all(flag: Flag, variation: Variation | None, trace: Trace) -> dict[str, object]:
    return {_shared(v.key): variable_value(v, flag, variation, trace) for v in flag.variables}


def _shared(key: str) -> str:
    # Flags often have the same variables: then few keys are copied, and those are at hand.
    return intern(key) if type(key) is str else key


def _cast_once(flag: Flag, variation: Variation | None) -> _Known | None:
    """Keep the values for next time, unless something is to be noted every time."""
    trace = Trace(WARNING)
    values = _cast_all(flag, variation, trace)
    if not trace.is_empty:
        return None
    parts = {key: value for key, value in values.items() if isinstance(value, dict | list)}
    flat = tuple(key for key, value in parts.items() if _is_flat(value))
    nested = tuple((key, marshal.dumps(parts[key])) for key in parts if key not in flat)
    known = _Known(variation, values, flat, nested)
    flag.cast_values[id(variation)] = known
    return known


def _is_flat(value: dict[str, object] | list[object]) -> bool:
    parts: Iterable[object] = value.values() if isinstance(value, dict) else value
    return not any(isinstance(part, dict | list) for part in parts)


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


def _json(text: str) -> object:
    try:
        value = _decode(text)
    except (DecodeError, UnicodeError):
        value = _decode_generously(text)
    marshal.dumps(value)  # ValueError: nested too deep to be copied
    return value


def _decode_generously(text: str) -> object:
    # Python takes a little more for JSON: NaN, numbers beyond a double, half a surrogate pair.
    import json  # noqa: PLC0415 - 1 ms that only such texts cost

    return json.loads(text)


# What is unknown (no text) is false as a boolean, and cannot be cast to a number or JSON.
_CASTS: Final[Mapping[str, Callable[[Any], object]]] = {
    "boolean": _is_true,
    "integer": int,
    "double": float,
    "json": _json,
}
