"""Verb: bodies that are almost JSON, read so that only what is unreadable in them is lost.

The official Python SDK writes ``NaN``, ``Infinity`` and lone surrogates when a caller hands them
in. Taken strictly one such token makes the whole body unreadable and with it everybody's events.
Here every such token becomes a marked string, which the reader refuses item by item.
"""

from __future__ import annotations

import json
import math
import re
from typing import Final

# U+E000 announces a number in a string and "?" begins none: nobody's value looks like this.
MARK: Final = "\ue000?"
MARK_BYTES: Final = b"\\ue000?"  # as it stands in ASCII JSON
NOT_JSON: Final = "holds NaN, an infinity or text that is not Unicode"

_SUSPECT: Final = re.compile(rb"NaN|Infinity|\\u[dD][89a-fA-F]|[\x80-\xff]")
_MARKED_NUMBER: Final = re.compile(rb'"\\ue000\?(NaN|-?Infinity|-?\d[\d.eE+-]*)"')
_ESCAPES: Final = re.compile(
    r"\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2}|(?P<lone>\\ud[89a-f][0-9a-f]{2})|\\."
)


def salvage(body: bytes) -> bytes | None:
    """The body as proper ASCII JSON, unreadable tokens marked; ``None`` if it is not even that."""
    if not _SUSPECT.search(body):
        return None
    try:
        text = body.decode("utf-8", errors="surrogateescape")
        value = json.loads(text, parse_constant=_marked, parse_float=_finite, parse_int=_whole)
        return _ESCAPES.sub(_without_lone, json.dumps(value)).encode("ascii")
    except (ValueError, RecursionError):
        return None


def unmarked(json_text: bytes) -> bytes:
    """JSON as it was sent, with marked numbers written as they were."""
    return _MARKED_NUMBER.sub(rb"\1", json_text)


def _marked(token: str) -> str:
    return MARK + token


def _finite(token: str) -> float | str:
    value = float(token)
    return value if math.isfinite(value) else MARK + token


def _whole(token: str) -> int | str:
    try:
        return int(token)
    except ValueError:  # more digits than Python reads
        return MARK + token


def _without_lone(escape: re.Match[str]) -> str:
    return "\\ue000?" if escape["lone"] else escape[0]
