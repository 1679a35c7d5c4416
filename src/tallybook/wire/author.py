"""Verb: what events say of a visitor, the *author*: their attributes and their id, as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any, Final

from msgspec import json

from tallybook.model.project import Project
from tallybook.model.text import is_text
from tallybook.wire.event_api import AttributeItem
from tallybook.wire.event_tags import Flaw, Remark, Remarks

BOT_FILTERING: Final = "$opt_bot_filtering"
RESERVED_PREFIX: Final = "$opt_"
MAX_NUMBER: Final = 2**53  # attributes beyond it are left out, in either sign

_NO_REMARKS: Final[Remarks] = ()
_encode: Final = json.Encoder().encode


class AuthorWriter:
    """Writes the visitors of one project.

    What precedes an attribute's value is written once: of two threads that write it first, both
    write the same.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._openings: dict[str, bytes] = {}
        self._last = self._row_of_bot_filtering()

    def write(self, user_id: str, attributes: Mapping[Any, object]) -> tuple[bytes, Remarks]:
        """A visitor's attributes and id, closing the visitor object, and what was left out.

        Values that are no text, boolean or finite number within ±2^53 are left out without a
        remark, as the Event API's own clients do; keys unknown to the project with one.

        Raises:
            UnicodeEncodeError: ``user_id`` holds a lone surrogate, which no JSON text can carry.
        """
        rows: list[bytes] = []
        remarks: list[Remark] = []
        openings = self._openings
        for name, value in attributes.items():
            opening = openings.get(name) if type(name) is str else None
            if opening is not None and _is_plain(value):
                rows.append(opening + _encode(value))
            else:
                rows += self._with_care(name, value, remarks)
        rows += self._last
        text = b'"attributes":[%b],"visitor_id":%b}' % (
            b"},".join(rows) + b"}" if rows else b"",
            _encode(user_id),
        )
        return text, tuple(remarks) if remarks else _NO_REMARKS

    def _with_care(self, name: object, given: object, remarks: list[Remark]) -> list[bytes]:
        """The row of an attribute but for its last brace, none if it is left out."""
        value = _attribute_value(given)
        if value is None or not is_text(name):
            return []
        key = str.__str__(name)
        entity_id = self._entity_id(key, remarks)
        if entity_id is None:
            return []
        if isinstance(value, str) and not _is_sendable(value):
            remarks.append(Remark(Flaw.NOT_TEXT, key))
            return []
        opening = _opening(entity_id, key)
        if key in self._project.attribute_by_key and not key.startswith(RESERVED_PREFIX):
            self._openings[key] = opening
        return [opening + _encode(value)]

    def _entity_id(self, key: str, remarks: list[Remark]) -> str | None:
        attribute = self._project.attribute_by_key.get(key)
        is_reserved = key.startswith(RESERVED_PREFIX)
        if attribute is not None:
            if is_reserved:
                remarks.append(Remark(Flaw.ATTRIBUTE_RESERVED, key))
            return attribute.id
        if is_reserved and _is_sendable(key):
            return key
        remarks.append(Remark(Flaw.ATTRIBUTE_UNKNOWN, key.encode("utf-8", "replace").decode()))
        return None

    def _row_of_bot_filtering(self) -> list[bytes]:
        value = self._project.bot_filtering
        if not isinstance(value, bool):
            return []
        return [_opening(BOT_FILTERING, BOT_FILTERING) + _encode(value)]


def _opening(entity_id: str, key: str) -> bytes:
    row = AttributeItem(entity_id=entity_id, key=key, type="custom", value=0)
    return _encode(row)[: -len(b"0}")]


def _is_plain(value: object) -> bool:
    """True for values that need no care, or only that an encoder has words for."""
    if type(value) is str:
        return value.isascii()  # so it has no lone surrogate
    if type(value) is bool:
        return True
    if type(value) is int or type(value) is float:
        return -MAX_NUMBER <= value <= MAX_NUMBER  # which NaN is not
    return False


def _attribute_value(value: object) -> str | bool | int | float | None:
    try:
        return _as_json(value)
    except Exception:  # noqa: BLE001 - a value's own code runs here and may raise anything
        return None


def _as_json(value: object) -> str | bool | int | float | None:
    """The value as one of JSON's own types, which classes derived from them are not."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        return value
    if not isinstance(value, float | Integral):
        return None
    number = float.__float__(value) if isinstance(value, float) else int(value)
    return number if abs(number) <= MAX_NUMBER else None  # NaN is not within either


def _is_sendable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
