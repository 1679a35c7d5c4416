"""An examination of a data directory: log, lake, catalog and disk, read and left as they are."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tallybook.catalog.examine import examine as examine_catalog
from tallybook.catalog.schema import NEWEST
from tallybook.errors import ConfigError, TallybookError
from tallybook.keep.finding import Finding, State
from tallybook.keep.lake_examination import examine_lake
from tallybook.keep.log_examination import examine_logs
from tallybook.keep.place import Place
from tallybook.lake.durable import local_path

_SCARCE: Final = 10  # percent of the disk
_FULL_BYTES: Final = 100 * 2**20


def examine(place: Place, *, is_quick: bool = False) -> Iterator[Finding]:
    """Look at everything an installation keeps; may be asked beside a running server.

    Args:
        place: Where it keeps things.
        is_quick: Read only the ends of the lake's files instead of every page.
    """
    yield from examine_logs(place.log)
    try:
        yield from examine_lake(place.lake_uri, is_quick=is_quick)
    except ConfigError:
        yield Finding("lake", "tables", State.WARN, "in an object store; not looked at")
    yield _catalog(place)
    for path in _disks(place):
        yield _room(path)


def _catalog(place: Place) -> Finding:
    try:
        step = examine_catalog(place.catalog_url)
    except TallybookError as error:
        return Finding(
            "catalog", "database", State.BAD, str(error), "restore the catalog from a backup"
        )
    if step is None:
        return Finding("catalog", "database", State.OK, "none yet")
    if step != NEWEST:
        found = f"its tables are of step {step}, this version's are of {NEWEST}"
        return Finding("catalog", "database", State.OK, f"{found}; brought up to date when opened")
    return Finding("catalog", "database", State.OK, f"opens; its tables are of step {step}")


def _disks(place: Place) -> list[Path]:
    """One path on each disk that something is kept on."""
    paths = [path for path in (place.data, local_path(place.lake_uri)) if path and path.exists()]
    return list({path.stat().st_dev: path for path in reversed(paths)}.values())


def _room(path: Path) -> Finding:
    usage = shutil.disk_usage(path)
    percent = 100 * usage.free // usage.total
    found = f"{usage.free / 2**30:,.1f} GiB free, {percent} %"
    if usage.free < _FULL_BYTES:
        state, advice = State.BAD, "make room: a full disk takes no events"
    elif percent < _SCARCE:
        state, advice = State.WARN, "make room, or keep fewer days: tallybook compact --keep-days"
    else:
        state, advice = State.OK, ""
    return Finding("disk", str(path), state, found, advice)
