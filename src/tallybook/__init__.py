"""Tallybook: feature experimentation whose numbers add up."""

from __future__ import annotations

from tallybook.client import (
    Client,
    ClientSettings,
    Decision,
    DecisionContext,
    ForcedDecision,
    UserContext,
)
from tallybook.client.settings import CLIENT_VERSION
from tallybook.errors import (
    BatchError,
    ConfigError,
    DatafileError,
    DefinitionError,
    ImportDataError,
    InputError,
    LockedError,
    NotEnoughDataError,
    NotFoundError,
    StorageError,
    TallybookError,
)
from tallybook.model.decision import DecideOption
from tallybook.notify import NotificationType

__version__ = CLIENT_VERSION

__all__ = [
    "BatchError",
    "Client",
    "ClientSettings",
    "ConfigError",
    "DatafileError",
    "DecideOption",
    "Decision",
    "DecisionContext",
    "DefinitionError",
    "ForcedDecision",
    "ImportDataError",
    "InputError",
    "LockedError",
    "NotEnoughDataError",
    "NotFoundError",
    "NotificationType",
    "StorageError",
    "TallybookError",
    "UserContext",
    "__version__",
]
