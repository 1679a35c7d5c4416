"""``RESULTS.md`` has several writers: each replaces what is its own, and keeps what is not."""

from __future__ import annotations

import re
from typing import Final

INTAKE: Final = "intake"


def fenced(name: str, text: str) -> str:
    """A section between its marks."""
    return f"<!-- {name} -->\n\n{text.strip()}\n\n<!-- end of {name} -->\n"


def put(page: str, name: str, section: str) -> str:
    """The page with a section in place of the one of that name, or at its end."""
    pattern = _pattern(name)
    if pattern.search(page):
        return pattern.sub(lambda _: section, page)
    return f"{page.rstrip()}\n\n{section}" if page.strip() else section


def kept(page: str, name: str) -> str:
    """The section of that name with its marks; nothing when there is none."""
    found = _pattern(name).search(page)
    return found[0] if found else ""


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(f"<!-- {name} -->\n.*?<!-- end of {name} -->\n", re.DOTALL)
