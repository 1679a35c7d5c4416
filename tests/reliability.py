"""The page of what faults do, ``docs/reference/reliability.md``, whose tables a run writes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "reliability.md"


def write_table(name: str, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Put a table where the page has ``name``, when the whole run was asked for."""
    if os.getenv("TALLYBOOK_FAULTS") != "all":
        return
    lines = [_line(heads), _line(["---"] * len(heads)), *map(_line, rows)]
    write_section(PAGE, name, "\n".join(lines))


def write_section(page: Path, name: str, text: str) -> None:
    """Replace what stands between a section's two marks."""
    opening, closing = f"<!-- {name} -->", f"<!-- end of {name} -->"
    marked = re.compile(f"(?<={re.escape(opening)}).*?(?={re.escape(closing)})", re.DOTALL)
    before = page.read_text("utf-8")
    after, times = marked.subn(lambda _: f"\n{text}\n", before)
    if times != 1:
        raise LookupError(f"{page}: expected the section {name!r} once, found it {times} times")
    page.write_text(after, "utf-8")


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"
