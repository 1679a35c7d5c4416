"""Event tags as JSON: the reserved ones read, the unusable ones left out and told.

A tag that JSON or a reader of numbers cannot hold costs itself alone. Plain scalars, which is what
tags nearly always are, take a short way in two halves: their text is taken at once
(``encode_plain``) and looked at when it is sent (:func:`members_of_all`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from numbers import Integral, Real
from typing import Any, Final

from msgspec import Struct, json

from tallybook.model.text import is_text, plain

REVENUE: Final = "revenue"  # an integer number of cents
VALUE: Final = "value"  # anything Python's float takes
MAX_DEPTH: Final = 64  # deeper nesting (or a value that holds itself) is refused
MAX_NODES: Final = 100_000  # values inside one tag
MAX_INTEGER_BITS: Final = 1024  # beyond this an integer is beyond every double too

# Holding None, these keys vanish at any depth: what the Event API's own clients do.
_VANISH_WHEN_NONE: Final = frozenset({REVENUE, VALUE, "tags", "decisions"})
_EMPTY: Final = b"{}"
_SHORT: Final = 300  # bytes; an integer beyond a double has at least 309 digits
_KEY_TEXT: Final[Mapping[object, str]] = {True: "true", False: "false", None: "null"}

_encode: Final = json.Encoder().encode

PLAIN: Final[frozenset[type]] = frozenset({str, int, bool, float})
# Takes the text of tags whose values are of those very types, or raises.
encode_plain: Final[Callable[[Mapping[Any, object]], bytes]] = _encode
_decode: Final = json.Decoder().decode


class Flaw(StrEnum):
    """Why a tag or an attribute did not travel as it was given."""

    NOT_FINITE = "not_finite"
    NOT_JSON = "not_json"
    NOT_TEXT = "not_text"
    TOO_DEEP = "too_deep"
    TOO_LARGE = "too_large"
    REVENUE_NOT_CENTS = "revenue_not_cents"
    VALUE_NOT_NUMERIC = "value_not_numeric"
    ATTRIBUTE_UNKNOWN = "attribute_unknown"
    ATTRIBUTE_RESERVED = "attribute_reserved"


class Remark(Struct, frozen=True):
    """One ``flaw`` of one tag or attribute, by its ``key`` as text."""

    flaw: Flaw
    key: str


Remarks = tuple[Remark, ...]

_NO_REMARKS: Final[Remarks] = ()


class _Counted(Struct, gc=False):
    """The tags that count by themselves."""

    revenue: Any = None
    value: Any = None


_decode_counted: Final = json.Decoder(_Counted).decode
_decode_all_counted: Final = json.Decoder(list[_Counted]).decode


class _UnsendableError(Exception):
    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw)
        self.flaw = flaw


def write_tags(tags: Mapping[Any, object]) -> tuple[bytes, Remarks]:
    """The members ``revenue``, ``value`` and ``tags`` of an event, each led by a comma.

    Args:
        tags: What the caller passed, of any content; it is not kept.

    Returns:
        The JSON text, and what had to be left out or could not be read.
    """
    text = text_of(tags)
    return _written(*_sendable(tags)) if text is None else members_of(text)


def text_of(tags: Mapping[Any, object]) -> bytes | None:
    """The text of tags, for :func:`members_of`, ``None`` unless all are plain."""
    try:
        return encode_plain(tags) if PLAIN.issuperset(map(type, tags.values())) else None
    except Exception:  # noqa: BLE001 - a lone surrogate, an odd key, another thread's change
        return None


def members_of(text: bytes) -> tuple[bytes, Remarks]:
    """What :func:`write_tags` returns, of tags that were plain when their ``text`` was taken.

    No text stands for no tags at all.
    """
    if not text:
        return b"", _NO_REMARKS
    if len(text) > _SHORT or text.find(b"null") >= 0:  # twice as fast as ``in``
        tags = _decode(text)
        if any(value is None or _is_beyond_double(value) for value in tags.values()):
            # A number without end is written as null, and nothing else is.
            given = {key: math.nan if value is None else value for key, value in tags.items()}
            return _written(*_sendable(given))
    counted = _decode_counted(text)
    revenue, value = counted.revenue, counted.value
    if type(revenue) is int and type(value) is float:  # what both should be
        return b',"revenue":%d,"value":%b,"tags":%b' % (revenue, _encode(value), text), _NO_REMARKS
    return _with_counted(text, revenue, value, [])


def members_of_all(texts: Sequence[bytes]) -> tuple[list[bytes], Remarks]:
    """The same of many texts, in one go where none is unusual; and what there is to say of any."""
    whole = b"[%b]" % b",".join([text or _EMPTY for text in texts])
    if whole.find(b"null") >= 0 or max(map(len, texts), default=0) > _SHORT:
        each = [members_of(text) for text in texts]
        return [members for members, _ in each], tuple(r for _, remarks in each for r in remarks)
    written: list[bytes] = []
    remarks: list[Remark] = []
    for text, counted in zip(texts, _decode_all_counted(whole), strict=True):
        revenue, value = counted.revenue, counted.value
        if type(revenue) is int and type(value) is float:
            parts = (
                b',"revenue":',
                _encode(revenue),
                b',"value":',
                _encode(value),
                b',"tags":',
                text,
            )
            members = b"".join(parts)
        else:
            members = _with_counted(text, revenue, value, remarks)[0] if text else text
        written.append(members)
    return written, tuple(remarks)


def _is_beyond_double(value: object) -> bool:
    return isinstance(value, int) and value.bit_length() > MAX_INTEGER_BITS


def _written(kept: dict[str, object], remarks: list[Remark]) -> tuple[bytes, Remarks]:
    return _with_counted(_encode(kept), kept.get(REVENUE), kept.get(VALUE), remarks)


def _with_counted(
    text: bytes, revenue: object, value: object, remarks: list[Remark]
) -> tuple[bytes, Remarks]:
    members = b',"tags":' + text
    if value is not None:
        members = _value_member(value, remarks) + members
    if revenue is not None:
        members = _revenue_member(revenue, remarks) + members
    return members, tuple(remarks) if remarks else _NO_REMARKS


def _revenue_member(revenue: object, remarks: list[Remark]) -> bytes:
    if type(revenue) is int:
        return b',"revenue":%d' % revenue
    remarks.append(Remark(Flaw.REVENUE_NOT_CENTS, REVENUE))
    return b""


def _value_member(value: object, remarks: list[Remark]) -> bytes:
    number = value if type(value) is float else _as_number(value)
    if number is not None:
        return b',"value":' + _encode(number)
    remarks.append(Remark(Flaw.VALUE_NOT_NUMERIC, VALUE))
    return b""


def _as_number(value: object) -> float | None:
    if type(value) is not int and type(value) is not str:
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _sendable(tags: Mapping[Any, object]) -> tuple[dict[str, object], list[Remark]]:
    kept: dict[str, object] = {}
    remarks: list[Remark] = []
    for key, value in list(tags.items()):
        try:
            if value is None and key in _VANISH_WHEN_NONE:
                continue
            kept[_key_text(key)] = _Cleaning().clean(value, 0)
        except _UnsendableError as error:
            remarks.append(Remark(error.flaw, _printable(key)))
        except Exception:  # noqa: BLE001 - a value's own code runs here and may raise anything
            remarks.append(Remark(Flaw.NOT_JSON, _printable(key)))
    return kept, remarks


def _printable(key: object) -> str:
    text = str(key) if type(key) in (str, int, float) else f"a key of type {type(key).__name__}"
    return text.encode("utf-8", "replace").decode()


def _key_text(key: object) -> str:
    if is_text(key):
        return _text(key)
    if key is None or isinstance(key, bool):
        return _KEY_TEXT[key]
    if isinstance(key, int):
        return int.__repr__(key)
    if isinstance(key, float):
        return float.__repr__(key)
    raise _UnsendableError(Flaw.NOT_JSON)


def _text(value: str) -> str:
    try:
        return plain(value).encode().decode()
    except UnicodeEncodeError:
        raise _UnsendableError(Flaw.NOT_TEXT) from None


def _integer(value: Integral) -> int:
    number = int(value)
    if number.bit_length() > MAX_INTEGER_BITS:
        raise _UnsendableError(Flaw.TOO_LARGE)
    return number


def _real(value: Real) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise _UnsendableError(Flaw.NOT_FINITE)
    return number


class _Cleaning:
    """The walk through one tag's value, which has a bounded depth and a bounded size."""

    def __init__(self) -> None:
        self._nodes = 0

    def clean(self, value: object, depth: int) -> object:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _UnsendableError(Flaw.TOO_LARGE)
        if value is None or type(value) is bool:
            return value
        for kind, convert in _SCALARS:
            if issubclass(type(value), kind):  # what a stand-in says of itself does not count
                return convert(value)
        if depth >= MAX_DEPTH:
            raise _UnsendableError(Flaw.TOO_DEEP)
        return self._container(value, depth + 1)

    def _container(self, value: object, depth: int) -> object:
        if isinstance(value, dict):
            return {
                _key_text(key): self.clean(item, depth)
                for key, item in value.items()
                if not (item is None and key in _VANISH_WHEN_NONE)
            }
        if isinstance(value, list | tuple):
            return [self.clean(item, depth) for item in value]
        raise _UnsendableError(Flaw.NOT_JSON)


_SCALARS: Final[tuple[tuple[type, Callable[[Any], object]], ...]] = (
    (str, _text),
    (Integral, _integer),
    (Real, _real),
)
