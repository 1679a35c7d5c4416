"""Commands that say who may do what: ``token create``, ``token list`` and ``token revoke``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Literal

from tallybook.catalog.access import KeptToken, TokenScope
from tallybook.catalog.store import Catalog, open_catalog
from tallybook.cli.options import DataOption
from tallybook.cli.stores import existing_place
from tallybook.errors import ConfigError
from tallybook.keep.place import place
from tallybook.model.time import EPOCH
from tallybook.report.layout import aligned

_HEADS = ("id", "name", "scope", "environment", "created", "last used", "revoked")


def create(
    name: str,
    *,
    scope: Literal["manage", "read", "events"] = "read",
    environment: str | None = None,
    data: DataOption = None,
) -> None:
    """Make a token; it alone is printed on stdout, this once, and only its hash is kept.

    Example: tallybook token create dashboard --scope read

    Parameters
    ----------
    name:
        What to call it.
    scope:
        manage: everything; read: results; events: sending an environment's events.
    environment:
        Project and environment, such as shop/production, of a token for events.
    data:
        Data directory; made when it is not there.
    """
    of = None if environment is None else _environment(environment)
    with (
        open_catalog(place(data, os.environ).catalog_url) as catalog,
        catalog.transaction() as transaction,
    ):
        kept, token = transaction.tokens.make(name, TokenScope(scope), _now_ms(), of)
    print(token)
    what = f"token {kept.id} ({kept.scope}) is shown this once; only its hash is kept"
    print(what, file=sys.stderr)


def list_(*, data: DataOption = None) -> None:
    """List every token ever made, without what is secret of it.

    Example: tallybook token list

    Parameters
    ----------
    data:
        Data directory.
    """
    with _existing_catalog(data) as catalog, catalog.transaction() as transaction:
        tokens = transaction.tokens.all().values()
    print("\n".join(aligned([_HEADS, *map(_row, tokens)], text_columns=len(_HEADS))))


def revoke(token: str, *, data: DataOption = None) -> None:
    """Have a token hold no more; servers know within a second.

    Example: tallybook token revoke dashboard

    Parameters
    ----------
    token:
        Its id or its name.
    data:
        Data directory.
    """
    with _existing_catalog(data) as catalog, catalog.transaction() as transaction:
        revoked = transaction.tokens.revoke(token, _now_ms())
    print(f"token {revoked.id} ({revoked.name}) is revoked")


@contextmanager
def _existing_catalog(data: Path | None) -> Iterator[Catalog]:
    with open_catalog(existing_place(data).catalog_url) as catalog:
        yield catalog


def _environment(text: str) -> tuple[str, str]:
    project, slash, key = text.partition("/")
    if not (project and slash and key):
        raise ConfigError(f"--environment is {text!r}; expected PROJECT/ENVIRONMENT")
    return project, key


def _row(token: KeptToken) -> tuple[str, ...]:
    place = f"{token.project}/{token.environment}" if token.project else "-"
    times = (token.created_ms, token.used_ms, token.revoked_ms)
    return (token.id, token.name, str(token.scope), place, *map(_moment, times))


def _moment(at_ms: int | None) -> str:
    if at_ms is None:
        return "-"
    return (EPOCH + timedelta(milliseconds=at_ms)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
