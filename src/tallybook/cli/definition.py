"""Commands that define: ``apply`` and ``import datafile``."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tallybook import publish
from tallybook.catalog.store import open_catalog
from tallybook.cli.options import DataOption
from tallybook.errors import ConfigError
from tallybook.keep.place import place
from tallybook.wire.definition import read_definition


def apply(file: Path, *, data: DataOption = None) -> None:
    """Declare a project, its flags, events and metrics from a definition file, and publish it.

    Applying the same file again changes nothing. Example: tallybook apply definition.yaml

    Parameters
    ----------
    file:
        The definition file (YAML).
    data:
        Data directory.
    """
    definition = read_definition(_text(file))
    with open_catalog(place(data, os.environ).catalog_url) as catalog:
        print(publish.apply(catalog, definition, now_ms=time.time_ns() // 1_000_000).text)


def datafile(
    file: Path,
    *,
    project: Annotated[str | None, Parameter(help="Project key; else taken from the file.")] = None,
    environment: Annotated[str | None, Parameter(help="Environment key; else the file's.")] = None,
    data: DataOption = None,
) -> None:
    """Import a datafile made elsewhere, keeping its ids, and serve it as it is.

    Example: tallybook import datafile production.json

    Parameters
    ----------
    file:
        The datafile (JSON, version 4).
    project:
        Key of the project to import into.
    environment:
        Key of the environment to import into.
    data:
        Data directory.
    """
    content = _content(file)
    with open_catalog(place(data, os.environ).catalog_url) as catalog:
        imported = publish.import_datafile(
            catalog,
            content,
            project=project,
            environment=environment,
            now_ms=time.time_ns() // 1_000_000,
        )
    print(imported.text)


def _text(file: Path) -> str:
    try:
        return _content(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{file}: byte {error.start} is not UTF-8; expected a text file"
        ) from None


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}; expected a readable file") from None
