"""A catalog of its own for each test, on SQLite and, where one answers, on PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa

from tallybook.catalog.store import Catalog, open_catalog

# A database in which databases may be made; by default the one that usually is on a developer's machine.
POSTGRESQL = os.getenv(
    "TALLYBOOK_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"
)
numbers = count()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[sa.Engine]:
    """A PostgreSQL server, where one answers."""
    admin = sa.create_engine(
        POSTGRESQL, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3}
    )
    try:
        admin.connect().close()
    except sa.exc.OperationalError as error:
        pytest.skip(f"no PostgreSQL answers at {admin.url}: {str(error).splitlines()[0]}")
    yield admin
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a database may be made that nobody else uses."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'catalog.sqlite3'}"
        return
    admin: sa.Engine = request.getfixturevalue("postgresql")
    name = f"tallybook_{os.getpid()}_{next(numbers)}"
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield admin.url.set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def catalog(url: str) -> Iterator[Catalog]:
    """An empty catalog."""
    with open_catalog(url) as opened:
        yield opened
