"""Slicing by attributes: SQL that reads a row's values, and their way back into Python.

Attributes are flat JSON objects without blanks. In such a text ``,"key":`` and ``{"key":`` name a
member and nothing else: inside a string a quote has a backslash before it, and the quote that ends
one has no key after it. So a regular expression finds a value exactly and keeps its type, in every
engine, where JSON functions differ.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from tallybook.model.moments import Segment

_VALUE: Final = r'("(?:[^"\\]|\\.)*"|[^,}"]+)'
_PUNCTUATION: Final = re.compile(r"[!-/:-@\[-`{-~]")


def segment_sql(segment_by: Sequence[str]) -> str:
    """SQL of a row's segment: a JSON array of its values of the attributes, null where absent."""
    if not segment_by:
        return "'[]'"
    values = [
        f"COALESCE(NULLIF(REGEXP_EXTRACT(attributes, ${name}, 1), ''), 'null')"
        for name in segment_parameters(segment_by)
    ]
    between = ", ',', "
    return f"CONCAT('[', {between.join(values)}, ']')"


def segment_parameters(segment_by: Sequence[str]) -> Mapping[str, object]:
    """The regular expressions that find each attribute's value, by parameter name."""
    return {f"attribute_{n}": _pattern(key) for n, key in enumerate(segment_by, start=1)}


def read_segment(segment_by: Sequence[str], text: object) -> Segment:
    """Return the segment that a query wrote.

    Example:
        >>> read_segment(["plan", "seats"], '["gold",3]')
        (('plan', 'gold'), ('seats', 3))
    """
    return tuple(zip(segment_by, json.loads(str(text)), strict=True))


def _pattern(key: str) -> str:
    text = json.dumps(key, ensure_ascii=False)
    return "[{,]" + _PUNCTUATION.sub(r"\\\g<0>", text) + ":" + _VALUE
