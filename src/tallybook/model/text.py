"""Noun: text as somebody passed it, and any value as a message shows it.

No code of a class derived from ``str`` is run here, nor any of a value that is shown: it might
raise.
"""

from __future__ import annotations

from typing import Final, TypeGuard

LONGEST_SHOWN: Final = 500  # characters

_LONGEST_BITS: Final = 1_000  # of an integer that is shown: 300 digits


def is_text(value: object) -> TypeGuard[str]:
    """True for text; what merely says that it is some, as stand-ins do, is none."""
    return issubclass(type(value), str)


def plain(text: object) -> str:
    """Text as the built-in type, of which a class derived from it (an enum's) may show another.

    Of anything else it is what that says of itself, or if it raises instead, its type.
    """
    if type(text) is str:
        return text
    if is_text(text):
        return str.__str__(text)
    try:
        return str(text)
    except Exception:  # noqa: BLE001 - somebody else's code
        return f"<{type(text).__name__}>"


def excerpt(value: object) -> str:
    """Text in quotes, cut where it is long; numbers as they are; of anything else its type."""
    if is_text(value):
        text = plain(value)
        return repr(text) if len(text) <= LONGEST_SHOWN else _cut(text, repr(text[:LONGEST_SHOWN]))
    if value is None or type(value) is bool or type(value) is float:
        return repr(value)
    if type(value) is int and value.bit_length() <= _LONGEST_BITS:
        return repr(value)
    return type(value).__name__


def readable(text: str) -> str:
    """Text within a sentence: cut where it is long, and fit for every log file and terminal."""
    shown = text if len(text) <= LONGEST_SHOWN else _cut(text, text[:LONGEST_SHOWN])
    return shown if shown.isascii() else shown.encode("utf-8", "backslashreplace").decode()


def _cut(text: str, beginning: str) -> str:
    return f"{beginning}… ({len(text):,} characters)"
