"""Commands that care for the store: ``compact``, ``forget`` and ``doctor``."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.table import Table

from tallybook.catalog.store import open_catalog
from tallybook.cli.data import progress_bar
from tallybook.cli.options import DataOption
from tallybook.cli.stores import existing_place
from tallybook.collect import drain_leftovers
from tallybook.keep.compaction import CompactSettings
from tallybook.keep.compaction import compact as compact_lake
from tallybook.keep.examination import examine
from tallybook.keep.finding import Finding, State, is_healthy
from tallybook.keep.forgetting import Holdings, Patience
from tallybook.keep.forgetting import forget as forget_visitor
from tallybook.keep.place import Place
from tallybook.lake.tables import Lake

_STYLES: Final = {State.OK: "green", State.WARN: "yellow", State.BAD: "bold red"}


def compact(
    *,
    keep_days: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    drop_copies: bool = False,
    retention_hours: Annotated[int, Parameter(validator=Number(gte=1, lte=100_000))] = 24,
    memory_mb: Annotated[int, Parameter(validator=Number(gte=64))] = 1024,
    data: DataOption = None,
) -> None:
    """Merge the lake's small files, and remove what nobody reads any more.

    Works beside a running server; may be stopped and run again.
    Example: tallybook compact --keep-days 400

    Parameters
    ----------
    keep_days:
        Remove events older than this, whole UTC days of event time; default: keep all.
    drop_copies:
        Keep one row of an event that was sent several times; results stay the same.
    retention_hours:
        Remove replaced files when they are this old; no query may take longer.
    memory_mb:
        Memory for sorting; more spills to the disk.
    data:
        Data directory.
    """
    kept = existing_place(data)
    settings = CompactSettings(retention_hours, keep_days, drop_copies, memory_mb * 2**20)
    with progress_bar() as bar:
        task = bar.add_task("compacting", total=None)
        done = compact_lake(
            kept.lake_uri,
            settings,
            now_ms=_now_ms(),
            progress=lambda day, days: bar.update(task, completed=day, total=days),
        )
    print(done.text)


def forget(
    visitor: str,
    *,
    grace_s: Annotated[float, Parameter(validator=Number(gte=0))] = 30.0,
    drain_s: Annotated[float, Parameter(validator=Number(gte=0))] = 60.0,
    format: Literal["text", "json"] = "text",  # noqa: A002 - the flag's name
    data: DataOption = None,
) -> int:
    """Remove everything of a visitor from lake, log and dead letters, and print a receipt.

    Works beside a running server; may be stopped and run again. Example: tallybook forget user123

    Parameters
    ----------
    visitor:
        The visitor's id.
    grace_s:
        Seconds that queries under way are given before replaced files are erased.
    drain_s:
        Seconds that a running server is given to bring its log into the lake.
    format:
        Lines for people, or the receipt's document.
    data:
        Data directory.
    """
    kept = existing_place(data)
    holdings = Holdings(kept.lake_uri, kept.log, lambda: _drain(kept))
    receipt = forget_visitor(
        holdings, visitor, clock_ms=_now_ms, patience=Patience(drain_s, grace_s)
    )
    file = receipt.keep(kept.data)
    if format == "json":
        print(json.dumps(receipt.document | {"receipt": str(file)}, indent=2))
    else:
        print(f"{receipt.text}\nreceipt: {file}")
    return 0 if receipt.is_complete else 1


def doctor(
    *,
    quick: bool = False,
    format: Literal["table", "json"] = "table",  # noqa: A002 - the flag's name
    data: DataOption = None,
) -> int:
    """Examine a data directory, change nothing, and say what is wrong and what to do.

    Works beside a running server; status 1 when something is broken. Example: tallybook doctor

    Parameters
    ----------
    quick:
        Read only the ends of the lake's files instead of every page.
    format:
        A table for people, or a document.
    data:
        Data directory.
    """
    kept = existing_place(data)
    findings = list(examine(kept, is_quick=quick))
    if format == "json":
        document = {"healthy": is_healthy(findings), "findings": [asdict(f) for f in findings]}
        print(json.dumps(document, indent=2))
    else:
        _show(kept.data, findings)
    return 0 if is_healthy(findings) else 1


def _show(data: Path, findings: list[Finding]) -> None:
    table = Table(title=str(data), title_justify="left", box=None, pad_edge=False)
    for head in ("", "part", "what", "found"):
        table.add_column(head, overflow="fold")
    for finding in findings:
        said = f"{finding.found}\n→ {finding.advice}" if finding.advice else finding.found
        state = f"[{_STYLES[finding.state]}]{finding.state}[/]"
        table.add_row(state, finding.part, _plain(finding.subject), _plain(said))
    console = Console()
    console.print(table)
    bad = sum(finding.state is State.BAD for finding in findings)
    warned = sum(finding.state is State.WARN for finding in findings)
    verdict = "broken" if bad else "healthy"
    console.print(f"\n{verdict}: {bad} bad, {warned} to look at", highlight=False)


def _plain(text: str) -> str:
    """Text in which rich finds no markup."""
    return text.replace("[", "\\[")


def _drain(kept: Place) -> None:
    with open_catalog(kept.catalog_url) as catalog:
        promoted = catalog.attribute_keys()
    drain_leftovers(kept.log, Lake(kept.lake_uri), promoted=promoted)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
