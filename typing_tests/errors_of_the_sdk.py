"""Every error that is raised on purpose is a ``TallybookError``, and says what it is about."""

from __future__ import annotations

from typing import assert_type

import tallybook
from tallybook import Client, ConfigError, DatafileError, TallybookError

assert_type(tallybook.__version__, str)

errors: list[type[TallybookError]] = [
    tallybook.BatchError,
    tallybook.ConfigError,
    tallybook.DatafileError,
    tallybook.DefinitionError,
    tallybook.ImportDataError,
    tallybook.InputError,
    tallybook.LockedError,
    tallybook.NotEnoughDataError,
    tallybook.NotFoundError,
    tallybook.StorageError,
]

try:
    Client("{}")
except DatafileError as error:
    assert_type(error.path, str)
    assert_type(error.reason, str)
    error.where  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
except ConfigError as error:
    error.path  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
