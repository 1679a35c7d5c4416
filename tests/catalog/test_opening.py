"""Opening a catalog: made once whoever comes first, and clear about what it cannot open."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from tallybook.catalog import migrations
from tallybook.catalog.migrations import env
from tallybook.catalog.schema import NEWEST
from tallybook.catalog.store import open_catalog
from tallybook.catalog.tables import Row
from tallybook.errors import ConfigError, StorageError

OPEN_AND_WRITE = """
import os, sys
from tallybook.catalog.store import open_catalog

sys.stdin.readline()
for _ in range(3):
    with open_catalog(sys.argv[1]) as catalog, catalog.transaction() as transaction:
        account = transaction.account_id() or str(os.getpid())
        transaction.keep_account(account, transaction.next_id(0) + 1)
print(account)
"""


def test_processes_that_open_at_once_make_one_catalog_and_lose_no_write(url):
    command = [sys.executable, "-c", OPEN_AND_WRITE, url]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True))
            for _ in range(3)
        ]
        for process in processes:  # each waits for it when its imports are done
            process.stdin.write("go\n")
            process.stdin.flush()
        accounts = {process.stdout.read() for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(accounts) == 1
    with open_catalog(url) as catalog, catalog.transaction() as transaction:
        assert transaction.next_id(0) == 9


def test_the_migrations_make_exactly_the_tables(url):
    with open_catalog(url):
        engine = sa.create_engine(url)
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, Row.metadata) == []
            assert context.get_current_revision() == NEWEST
        engine.dispose()


def test_the_newest_step_is_the_last_migration():
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert scripts.get_current_head() == NEWEST
    assert callable(env.run)


def test_a_plain_path_is_a_sqlite_file_made_with_its_directory(tmp_path):
    path = tmp_path / "data" / "catalog.sqlite3"
    with open_catalog(str(path)):
        assert path.is_file()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_readers_do_not_wait_for_a_writer(tmp_path):
    path = str(tmp_path / "catalog.sqlite3")
    with open_catalog(path) as writer, open_catalog(path) as reader, writer.transaction() as open_:
        open_.keep_account("1", 2)
        assert reader.experiments() == ()


@pytest.mark.parametrize("content", [b"this is no database, " * 100, b"PAR1" * 1000])
def test_a_file_that_is_no_database_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "catalog.sqlite3"
    path.write_bytes(content)
    with pytest.raises(StorageError) as error:
        open_catalog(str(path))
    assert str(path) in str(error.value)
    assert "not a database" in str(error.value)
    assert "\n" not in str(error.value)
    assert path.read_bytes() == content


def test_a_directory_that_cannot_be_made_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot be made"):
        open_catalog(str(tmp_path / "file" / "catalog.sqlite3"))


def test_a_directory_in_place_of_the_file_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match="unable to open"):
        open_catalog(str(tmp_path))


def test_a_catalog_of_a_newer_version_is_left_alone(url):
    open_catalog(url).close()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StorageError, match="step 9999, this version knows"):
        open_catalog(url)


@pytest.mark.parametrize("url", ["://", "nosuch://host/name", "sqlite+nosuch:///x"])
def test_a_url_nobody_understands_is_a_config_error(url):
    with pytest.raises(ConfigError) as error:
        open_catalog(url)
    assert "\n" not in str(error.value)


def test_a_password_is_not_shown():
    with pytest.raises((ConfigError, StorageError)) as error:
        open_catalog("postgresql://someone:hunter2@127.0.0.1:1/nowhere")
    assert "hunter2" not in str(error.value)


def test_several_threads_may_read_one_catalog(url):
    with open_catalog(url) as catalog, ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda i: catalog.datafile(f"key-{i}"), range(64)))
    assert answers == [None] * 64
