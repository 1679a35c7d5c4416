"""The command's tree, and how its errors reach people: one line on stderr and a status."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from cyclopts import App, CycloptsError, Parameter

from tallybook import __version__
from tallybook.errors import NotEnoughDataError, StorageError, TallybookError

# Named, not imported: a command loads what it needs and nothing of its neighbours.
COMMANDS: Final[Mapping[str, str]] = {
    "tallybook.cli.serve:serve": "Receive events, serve datafiles and results.",
    "tallybook.cli.definition:apply": "Declare a project from a definition file, and publish it.",
    "tallybook.cli.definition:datafile": "Import a datafile, keeping its ids.",
    "tallybook.cli.data:events": "Import raw events, keeping ids and timestamps.",
    "tallybook.cli.data:export": "Export raw decisions and events as Parquet.",
    "tallybook.cli.results:results": "Show an experiment's results.",
    "tallybook.cli.results:why": "Show what counted of a visitor, and why the rest did not.",
    "tallybook.cli.results:sql": "Show the query behind an experiment's results.",
    "tallybook.cli.tokens:create": "Make a token, shown this once.",
    "tallybook.cli.tokens:list_": "List tokens.",
    "tallybook.cli.tokens:revoke": "Have a token hold no more, within a second.",
    "tallybook.cli.upkeep:compact": "Merge small files, and remove what nobody reads any more.",
    "tallybook.cli.upkeep:forget": "Remove everything of a visitor, and print a receipt.",
    "tallybook.cli.upkeep:doctor": "Examine a data directory and say what is wrong.",
    "tallybook.cli.demo:demo": "Send traffic with a known truth and show the results beside it.",
}
GROUPS: Final[Mapping[str, tuple[str, Sequence[str]]]] = {
    "import": (
        "Bring in a datafile or raw events made elsewhere.",
        ("tallybook.cli.definition:datafile", "tallybook.cli.data:events"),
    ),
    "token": (
        "Who may manage, read results, or send events.",
        tuple(f"tallybook.cli.tokens:{name}" for name in ("create", "list_", "revoke")),
    ),
}
DONE, FAILED, WRONGLY_ASKED, INTERRUPTED = 0, 1, 2, 130


def build_app() -> App:
    """Return the command tree; every command returns its exit status or ``None`` for 0."""
    app = App(
        name="tallybook",
        help="Feature experimentation: receive events, define flags and metrics, read results.",
        version=__version__,
        help_format="plaintext",
        default_parameter=Parameter(negative=()),
        result_action="return_value",
    )
    parents: dict[str, App] = {}
    for name, (about, members) in GROUPS.items():
        group = App(name=name, help=about)
        app.command(group)
        parents |= dict.fromkeys(members, group)
    for path, summary in COMMANDS.items():
        parents.get(path, app).command(path, help=summary)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status; errors are one line on stderr."""
    try:
        status = build_app()(list(arguments), exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except CycloptsError as error:
        return _complain(str(error), WRONGLY_ASKED)
    except TallybookError as error:
        is_data_fault = isinstance(error, StorageError | NotEnoughDataError)
        return _complain(str(error), FAILED if is_data_fault else WRONGLY_ASKED)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader went away (``| head``); give the interpreter nothing left to flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        return _complain(f"{error.strerror or error}{place}", FAILED)
    return status if isinstance(status, int) else DONE


def _complain(message: str, status: int) -> int:
    line = " ".join(message.split())
    print(f"tallybook: {line}", file=sys.stderr)
    return status
