"""Writes what follows from the code: references of the API, the command line, reasons; the map.

Run by ``make docs``.
"""

from __future__ import annotations

import ast
import logging
import re
from pathlib import Path

import api_reference

from tallybook.cli.app import build_app
from tallybook.model.step import STEPS

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
API = REFERENCE / "api"
SOURCE = ROOT / "src" / "tallybook"
ROOMS = (
    *("errors", "model", "wire", "decide", "deliver", "notify", "log", "lake", "engines"),
    *("attribution", "stats", "report", "catalog", "client", "collect", "analyse", "publish"),
    *("keep", "optimizely", "openfeature", "simulate", "telemetry", "testing", "server", "cli"),
)
MAP_BEGINS = "| file | what it is |\n|---|---|\n"
MAP_ENDS = "\n\nThe tests mirror"
REASONS = """# Reasons

Every step that deciding can take, as `decision.reason_kinds` names it for programs and as
`decision.reasons` and the log say it to people. [Flags](../concepts/flags.md#why) shows how to ask.
What stands in braces is filled in. Written by `make docs` from the code.

## Told to whoever asks

With `INCLUDE_REASONS` these are in the decision. Each is logged too, at its level.

{asked}

## Told in the log only

{logged}
"""


def command_line() -> str:
    """The reference of every command and flag, from the commands themselves."""
    pages = build_app().generate_docs(output_format="markdown")
    return pages.replace("``", "`").rstrip() + "\n"


def reasons() -> str:
    """The reference of every step of a decision, from the table of steps."""
    return REASONS.format(asked=_steps(is_reason=True), logged=_steps(is_reason=False))


def _steps(*, is_reason: bool) -> str:
    steps = ((kind, step) for kind, step in STEPS.items() if step.is_reason is is_reason)
    rows = (
        f"| `{kind.value}` | {logging.getLevelName(step.level)} | {step.sentence} |"
        for kind, step in steps
    )
    return "\n".join(["| kind | level | sentence |", "|---|---|---|", *rows])


def pages() -> dict[Path, str]:
    """Every page that is written as a whole, by its place."""
    return {
        REFERENCE / "cli.md": command_line(),
        REFERENCE / "reasons.md": reasons(),
        **{API / name: text for name, text in api_reference.pages().items()},
    }


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
    """Write the pages and the map where they stand."""
    written = pages()
    for path, text in written.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for stale in set(API.glob("*.md")) - set(written):
        stale.unlink()
    contributing = ROOT / "CONTRIBUTING.md"
    text = contributing.read_text(encoding="utf-8")
    begin = text.index(MAP_BEGINS) + len(MAP_BEGINS)
    end = text.index(MAP_ENDS)
    contributing.write_text(text[:begin] + file_map() + text[end:], encoding="utf-8")


if __name__ == "__main__":
    main()
