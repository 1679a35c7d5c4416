"""Text in columns, and numbers as people read them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

LEAST_P_SHOWN = 0.0001
WHOLE_FROM = 100.0  # from here on two decimals say enough


def plain(text: str) -> str:
    r"""Return ``text`` fit for a terminal: what is not printable is escaped.

    Example:
        >>> print(plain("a\x1b[31mb"))
        a\x1b[31mb
    """
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return "".join(shown)


def aligned(rows: Sequence[Sequence[str]], *, text_columns: int = 1) -> list[str]:
    """Return rows as lines with columns of equal width, two spaces apart.

    Args:
        rows: Cells, as many in each row.
        text_columns: So many columns from the left lean left, all others right.
    """
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    return [_line(row, widths, text_columns) for row in rows]


def count(number: float) -> str:
    """Return a total with thousands separated, and decimals only where it has some.

    Example:
        >>> count(1390833), count(2.5)
        ('1,390,833', '2.5')
    """
    return f"{number:,.10g}" if isinstance(number, float) else f"{number:,}"


def percent(proportion: float, *, sign: bool = False) -> str:
    """Return a proportion as a percentage with two decimals.

    Example:
        >>> percent(0.0493), percent(0.3578, sign=True)
        ('4.93 %', '+35.78 %')
    """
    return f"{100 * proportion:{'+' if sign else ''},.2f} %"


def average(number: float) -> str:
    """Return a mean with enough digits to tell two apart.

    Example:
        >>> average(0.098668), average(4585.657)
        ('0.09867', '4,585.66')
    """
    return f"{number:,.2f}" if abs(number) >= WHOLE_FROM else f"{number:.4g}"


def p_value(p: float) -> str:
    """Return a p-value with four decimals, or that it is smaller.

    Example:
        >>> p_value(0.14319), p_value(1e-45)
        ('0.1432', '<0.0001')
    """
    return f"<{LEAST_P_SHOWN}" if p < LEAST_P_SHOWN else f"{p:.4f}"


def _line(row: Sequence[str], widths: Sequence[int], text_columns: int) -> str:
    cells = []
    for place, (cell, width) in enumerate(zip(row, widths, strict=True)):
        padding = " " * (width - _width(cell))
        cells.append(cell + padding if place < text_columns else padding + cell)
    return "  ".join(cells).rstrip()


def _width(text: str) -> int:
    # East Asian wide and full-width characters take two cells, combining ones none.
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) != 0 for c in text)
