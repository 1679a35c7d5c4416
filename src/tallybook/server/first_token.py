"""The token that a first start prints, so that whoever started it can manage it over HTTP."""

from __future__ import annotations

import sys
import time

from tallybook.catalog.access import TokenScope
from tallybook.catalog.store import Catalog


def tell_first_token(catalog: Catalog) -> None:
    """Make a token where there never was one for managing; this is the one time it is shown."""
    with catalog.transaction() as transaction:
        tokens = transaction.tokens
        if any(token.scope is TokenScope.MANAGE for token in tokens.all().values()):
            return
        _, token = tokens.make("first", TokenScope.MANAGE, time.time_ns() // 1_000_000)
    print(f"Tallybook management token, shown this once: {token}", file=sys.stderr, flush=True)  # noqa: T201
