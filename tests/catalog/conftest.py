"""A catalog of its own for each test, on SQLite and, where one is named, on PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tallybook.catalog.store import Catalog, open_catalog

# Such as postgresql+psycopg://user@127.0.0.1/test: a database in which databases may be made.
POSTGRESQL = os.getenv("TALLYBOOK_TEST_POSTGRESQL")
BACKENDS = ["sqlite", "postgresql"] if POSTGRESQL else ["sqlite"]


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a database may be made that nobody else uses."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'catalog.sqlite3'}"
        return
    assert POSTGRESQL is not None
    admin = sa.create_engine(POSTGRESQL, isolation_level="AUTOCOMMIT")
    name = f"tallybook_{os.getpid()}"
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield admin.url.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture
def catalog(url: str) -> Iterator[Catalog]:
    """An empty catalog."""
    with open_catalog(url) as opened:
        yield opened
