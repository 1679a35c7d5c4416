"""Verb: what is wrong with a part of an Event API body, in words and with its address."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from tallybook.errors import BatchError

# What decoding raises for bytes that others wrote: malformed, mistyped, not UTF-8, nested too deep.
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_TYPES: Final = {
    "int": "an integer",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "object": "an object",
    "array": "an array",
    "null": "null",
}
_FOUND: Final = {"float": "a number with a fraction or an exponent"}
_TIMES: Final = "expected milliseconds since 1970 (UTC), up to the year 9999"
_ADDRESS: Final = re.compile(r"^(?P<what>.*?)(?: - at `\$(?P<where>.*)`)?$", re.DOTALL)
_MISMATCH: Final = re.compile(r"Expected `(?P<expected>[^`]+)`, got `(?P<found>[^`]+)`")
_MISSING: Final = re.compile(r"Object missing required field `(?P<name>[^`]+)`")
_BOUND: Final = re.compile(r"Expected `int` (?P<side>[<>]=) (?P<bound>-?\d+)")
_SENTENCES: Final = {
    "Expected `str` of length >= 1": "must not be empty",
    "Integer value out of range": "a number out of range",
    "Number out of range": "a number out of range",
}
_MALFORMED: Final = "JSON is malformed: "


class IrregularError(Exception):
    """A part cannot be kept: ``where`` inside it (a JSON path without its root) and why."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(where, reason)
        self.where = where
        self.reason = reason


def explain(error: Exception) -> IrregularError:
    """The same fault in our words, with its place relative to what was decoded."""
    if isinstance(error, IrregularError):
        return error
    if isinstance(error, UnicodeDecodeError):
        return IrregularError("", "holds text that is not UTF-8")
    if isinstance(error, RecursionError):
        return IrregularError("", "nested too deep")
    parts = _ADDRESS.match(str(error))
    what, where = (parts["what"], parts["where"] or "") if parts else (str(error), "")
    if missing := _MISSING.fullmatch(what):
        return IrregularError(f"{where}.{missing['name']}", "required, but missing")
    return IrregularError(where, _in_words(what, where))


def refusal(error: Exception) -> BatchError:
    """The error to answer a sender with whose body is unusable as a whole."""
    fault = explain(error)
    return BatchError(f"${fault.where}", fault.reason)


def child(where: str, name: str) -> str:
    """The path of a member: ``.name``, or ``["any name"]`` where it is no identifier."""
    if name.isidentifier():
        return f"{where}.{name}"
    return f"{where}[{msgspec.json.encode(name).decode()}]"


def _in_words(what: str, where: str) -> str:
    if mismatch := _MISMATCH.fullmatch(what):
        expected = " or ".join(_TYPES.get(t, t) for t in mismatch["expected"].split(" | "))
        found = mismatch["found"]
        return f"expected {expected}, found {_FOUND.get(found) or _TYPES.get(found, found)}"
    if bound := _BOUND.fullmatch(what):
        side = "least" if bound["side"] == ">=" else "most"
        return _TIMES if where.endswith(".timestamp") else f"expected at {side} {bound['bound']}"
    if what.startswith(_MALFORMED):
        return f"not JSON: {what.removeprefix(_MALFORMED)}"
    return _SENTENCES.get(what, "not JSON: it ends too early or holds text that is not Unicode")
