"""Opening what a data directory holds, for commands that read it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tallybook.catalog.store import Catalog, open_catalog
from tallybook.collect import drain_leftovers
from tallybook.engines.duckdb import DuckDB
from tallybook.errors import NotFoundError
from tallybook.keep.place import Place, place
from tallybook.lake.tables import Lake


@dataclass(frozen=True, slots=True)
class Stores:
    """The catalog, the lake and an engine over it."""

    catalog: Catalog
    lake: Lake
    engine: DuckDB


def existing_place(data: Path | None) -> Place:
    """Return the place of a data directory that is already there.

    Raises:
        NotFoundError: There is none.
    """
    kept = place(data, os.environ)
    if not kept.data.is_dir():
        raise NotFoundError(
            f"no data directory at {kept.data}; start one with "
            f"'tallybook serve --data {kept.data}' or name another with --data"
        )
    return kept


@contextmanager
def open_stores(data: Path | None) -> Iterator[Stores]:
    """Open a data directory for reading, after draining what a killed server left in its log."""
    kept = existing_place(data)
    lake = Lake(kept.lake_uri)
    with open_catalog(kept.catalog_url) as catalog:
        drain_leftovers(kept.log, lake, promoted=catalog.attribute_keys())
        with DuckDB(lake) as engine:
            yield Stores(catalog, lake, engine)
