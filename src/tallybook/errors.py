"""Every error Tallybook raises on purpose, as a tree that says whose fault it was.

``TallybookError``
├── ``ConfigError``          you: a setting, flag or environment variable
├── ``DefinitionError``      you: a definition file
├── ``NotFoundError``        you: a key or id that nothing here has
├── ``InputError``           you: what a call was passed, or what the datafile says of it
├── ``DatafileError``        the publisher of the datafile
│   └── ``DatafileVersionError``
├── ``BatchError``           the sender of an Event API body
├── ``ImportDataError``      the producer of an export that was to be imported
├── ``LockedError``          another process owns the directory
├── ``StorageError``         the disk, or the store behind it
└── ``NotEnoughDataError``   nobody: the data cannot answer yet
"""

from __future__ import annotations


class TallybookError(Exception):
    """Base of every error raised on purpose; ``str(error)`` is one line fit for a terminal."""


class ConfigError(TallybookError):
    """A setting has an unusable value; the message names it, what was found, what is expected."""


class NotFoundError(TallybookError):
    """Something asked for by key or id is not there."""


class InputError(TallybookError):
    """A call came upon something it could not use; never raised, but handed to an error handler.

    Attributes:
        subject: What it was: ``attributes``, ``event_tags``, or the kind of thing that the datafile
            does not have (``experiment``, ``variation``, ``audience``, ``event``, ``attribute``).
    """

    def __init__(self, subject: str, message: str) -> None:
        super().__init__(message)
        self.subject = subject


class _AtPathError(TallybookError):
    """An error in a document, with the path of the fault inside it."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class DefinitionError(_AtPathError):
    """A definition file is wrong at ``path`` (``flags.checkout.rules[0].split``)."""


class DatafileError(_AtPathError):
    """A datafile is wrong at the JSON path ``path`` (``$.experiments[0].layerId``)."""


class DatafileVersionError(DatafileError):
    """A datafile is of a version nothing here reads."""


class BatchError(_AtPathError):
    """An Event API body is unusable as a whole; ``path`` is a JSON path."""


class ImportDataError(TallybookError):
    """Files that were to be imported are not what they should be."""


class LockedError(TallybookError):
    """Another live process holds the lock of a directory."""


class StorageError(TallybookError):
    """The disk or the store refused to keep or give data."""


class NotEnoughDataError(TallybookError):
    """A statistic is undefined for the data at hand; the message is the reason shown to people."""
