"""Commands that move raw events: ``import events`` and ``export``."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from tallybook.catalog.store import open_catalog
from tallybook.cli.options import DataOption
from tallybook.cli.stores import open_stores
from tallybook.keep.events_export import export_events
from tallybook.keep.events_import import import_events
from tallybook.keep.place import place
from tallybook.lake.tables import Lake


def events(directory: Path, *, data: DataOption = None) -> None:
    """Import raw events exported elsewhere (Parquet, type=decisions and type=events).

    Ids and timestamps are kept; importing the same files again adds nothing.
    Example: tallybook import events ./export

    Parameters
    ----------
    directory:
        The export's folder, which holds type=decisions and type=events.
    data:
        Data directory; made when it is not there.
    """
    kept = place(data, os.environ)
    kept.data.mkdir(mode=0o700, parents=True, exist_ok=True)  # it tells of visitors
    promoted = open_catalog(kept.catalog_url).attribute_keys()
    with progress_bar() as bar:
        task = bar.add_task("importing", total=None)
        summary = import_events(
            directory,
            Lake(kept.lake_uri),
            promoted=promoted,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    print(summary.text)


def export(directory: Path, *, data: DataOption = None) -> None:
    """Export raw decisions and events as Parquet, in the schema that ``import events`` reads.

    Example: tallybook export ./export

    Parameters
    ----------
    directory:
        Where to write; must be empty or not there.
    data:
        Data directory.
    """
    with open_stores(data) as stores:
        summary = export_events(stores.lake, directory)
    print(summary.text)


def progress_bar() -> Progress:
    """Return a progress bar on stderr that shows only when stderr is a terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
