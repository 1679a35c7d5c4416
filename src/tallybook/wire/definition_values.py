"""The small values of a definition file: keys, percentages, moments in time, typed variables."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final, TypeVar

from tallybook.errors import DefinitionError
from tallybook.model.event import LATEST_MS
from tallybook.model.project import TOTAL_TRAFFIC

_Choice = TypeVar("_Choice", bound=StrEnum)

_MAX_KEY_LENGTH: Final = 64
_KEY: Final = re.compile(r"[a-zA-Z0-9_\-]+\Z")
_LOOSE_KEY: Final = re.compile(r"[a-zA-Z0-9_\- .]+\Z")
_SHOWN: Final = 60  # characters of a found value that an error quotes
_BASIS: Final = 100  # basis points in a percent
_PERCENT: Final = re.compile(r"(?P<whole>[0-9]{1,3})(\.(?P<decimals>[0-9]{1,2}))? ?%\Z")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST: Final = 2**53  # beyond it a double no longer holds every integer

VARIABLE_TYPES: Final = ("boolean", "string", "double", "integer", "json")


def shown(value: object) -> str:
    """``value`` as an error quotes it: one line, not too long."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = json.dumps(value, ensure_ascii=False, default=str)
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def hint(word: str, choices: Iterable[str]) -> str:
    """The rest of a sentence that names what was probably meant, or what there is."""
    known = sorted(choices)
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"; did you mean `{close[0]}`?"
    if not known:
        return "; none is defined"
    rest = ", …" if len(known) > 10 else ""  # noqa: PLR2004 - a line's worth
    return f"; there are: {', '.join(known[:10])}{rest}"


def checked_key(key: str, path: str) -> str:
    """``key`` of anything but events and attributes."""
    return _matching(key, path, _KEY, "letters, digits, `_` and `-`")


def checked_loose_key(key: str, path: str) -> str:
    """``key`` of an event or an attribute, which may also have spaces and dots."""
    return _matching(key, path, _LOOSE_KEY, "letters, digits, `_`, `-`, spaces and dots")


def _matching(key: str, path: str, pattern: re.Pattern[str], allowed: str) -> str:
    if len(key) > _MAX_KEY_LENGTH:
        reason = f"the key has {len(key)} characters; at most {_MAX_KEY_LENGTH} are allowed"
        raise DefinitionError(path, reason)
    if not pattern.match(key):
        raise DefinitionError(path, f"{shown(key)} is no key; a key consists of {allowed}")
    return key


def defined(kind: str, key: str, known: Iterable[str], path: str) -> str:
    """``key``, which must be one of ``known``."""
    choices = list(known)
    if key not in choices:
        raise DefinitionError(path, f"no {kind} `{key}` is defined{hint(key, choices)}")
    return key


def one_of(choices: type[_Choice], word: str, path: str) -> _Choice:
    """The member of ``choices`` that is written as ``word``."""
    try:
        return choices(word)
    except ValueError:
        listed = ", ".join(choices)
        raise DefinitionError(path, f"found {shown(word)}; it is one of: {listed}") from None


def basis_points(value: object, path: str) -> int:
    """A share as ``50%`` (up to two decimals) or as basis points from 0 to 10,000."""
    points = _from_percent(value) if isinstance(value, str) else value
    if isinstance(points, int) and not isinstance(points, bool) and 0 <= points <= TOTAL_TRAFFIC:
        return points
    raise DefinitionError(
        path,
        f"found {shown(value)}; expected a percentage from 0% to 100% with at most two decimals, "
        "or basis points, a whole number from 0 to 10000",
    )


def _from_percent(text: str) -> int | None:
    found = _PERCENT.match(text)
    if not found:
        return None
    return int(found["whole"]) * _BASIS + int((found["decimals"] or "0").ljust(2, "0"))


def percent(points: int) -> str:
    """Basis points as a definition file writes them: ``33.34%``."""
    whole, hundredths = divmod(points, _BASIS)
    decimals = f".{hundredths:02d}".rstrip("0") if hundredths else ""
    return f"{whole}{decimals}%"


def moment_ms(value: object, path: str) -> int | None:
    """Milliseconds since the epoch of an RFC 3339 time, or of a bare date at 00:00 UTC."""
    if value is None:
        return None
    try:
        return _parsed_ms(value) if isinstance(value, str) else _refuse_moment(value, path)
    except ValueError:
        return _refuse_moment(value, path)


def _parsed_ms(text: str) -> int:
    if len(text) == len("2026-01-31"):
        day = date.fromisoformat(text)
        at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    else:
        at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(text)
    at_ms = (at - _EPOCH) // timedelta(milliseconds=1)
    if not 0 <= at_ms <= LATEST_MS:  # events have no other times either
        raise ValueError(text)
    return at_ms


def _refuse_moment(value: object, path: str) -> int:
    raise DefinitionError(
        path,
        f"found {shown(value)}; expected a date such as 2026-01-31 or a time with its offset "
        "such as 2026-01-31T09:00:00Z, from 1970 to 9999",
    )


def moment_text(at_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    at = _EPOCH + timedelta(milliseconds=at_ms)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def is_number(value: object) -> bool:
    """True for a finite number that every SDK compares alike (booleans are no numbers)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and abs(value) <= _LARGEST


def raw_text(kind: str, value: object, path: str) -> str:
    """A variable's value as the text a datafile carries, checked against its type."""
    text = _RAW[kind](value)
    if text is None:
        raise DefinitionError(path, f"found {shown(value)}; expected {_EXPECTED[kind]}")
    return text


def _raw_boolean(value: object) -> str | None:
    return str(value).lower() if isinstance(value, bool) else None


def _raw_string(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _raw_integer(value: object) -> str | None:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _raw_double(value: object) -> str | None:
    return str(value) if is_number(value) else None


def _raw_json(value: object) -> str | None:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    try:
        json.loads(value if isinstance(value, str) else "", parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return str(value)


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are Python's, not JSON's


_RAW: Final = {
    "boolean": _raw_boolean,
    "string": _raw_string,
    "integer": _raw_integer,
    "double": _raw_double,
    "json": _raw_json,
}
_EXPECTED: Final = {
    "boolean": "true or false",
    "string": "text (in quotes, if it looks like something else)",
    "integer": "a whole number",
    "double": "a finite number",
    "json": "a mapping, a list, or text that is JSON",
}


def typed_value(kind: str, text: str) -> object:
    """The value of which :func:`raw_text` made ``text``, for writing a definition file."""
    if kind == "boolean":
        return text == "true"
    if kind == "integer":
        return int(text)
    if kind == "double":
        return float(text) if set(text) & set(".en") else int(text)
    return text
