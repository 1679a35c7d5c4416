"""Writes the pages that follow from the code: the command line's reference and the map of files.

Run by ``make docs``.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tallybook.cli.app import build_app

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "tallybook"
ROOMS = (
    *("errors", "model", "wire", "decide", "deliver", "notify", "log", "lake", "engines"),
    *("attribution", "stats", "report", "catalog", "client", "collect", "analyse", "publish"),
    *("keep", "openfeature", "simulate", "testing", "server", "cli"),
)
MAP_BEGINS = "| file | what it is |\n|---|---|\n"
MAP_ENDS = "\n\nThe tests mirror"


def command_line() -> str:
    """The reference of every command and flag, from the commands themselves."""
    pages = build_app().generate_docs(output_format="markdown")
    return pages.replace("``", "`").rstrip() + "\n"


def file_map() -> str:
    """One line a file of the package: its path and the first sentence it says of itself."""
    files = sorted([*SOURCE.rglob("*.py"), *SOURCE.rglob("*.sql")], key=_place)
    return "\n".join(f"| `{p.relative_to(SOURCE).as_posix()}` | {_sentence(p)} |" for p in files)


def _place(path: Path) -> tuple[int, bool, str]:
    relative = path.relative_to(SOURCE)
    room = relative.parts[0] if len(relative.parts) > 1 else relative.stem
    place = ROOMS.index(room) if room in ROOMS else -1
    return place, path.name != "__init__.py", relative.as_posix()


def _sentence(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".sql":
        comments = (line.strip() for line in text.splitlines() if line.strip().startswith("--"))
        said = next(comments).removeprefix("-- ")
    else:
        said = " ".join((ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0].split())
    first = re.match(r"(.*?\.)(\s+[A-Z(]|$)", said)
    named = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", first[1] if first else said)
    return named.replace("``", "`").replace("|", "\\|")


def main() -> None:
    """Write both pages where they stand."""
    (ROOT / "docs" / "reference" / "cli.md").write_text(command_line(), encoding="utf-8")
    contributing = ROOT / "CONTRIBUTING.md"
    text = contributing.read_text(encoding="utf-8")
    begin = text.index(MAP_BEGINS) + len(MAP_BEGINS)
    end = text.index(MAP_ENDS)
    contributing.write_text(text[:begin] + file_map() + text[end:], encoding="utf-8")


if __name__ == "__main__":
    main()
