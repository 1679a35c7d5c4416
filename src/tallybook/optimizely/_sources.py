"""What a client decides by: the config of whatever config manager it was given."""

from __future__ import annotations

import logging
from typing import Any, Final

from tallybook.client.addresses import Addresses
from tallybook.client.revision import Revision, RevisionSource, prepare
from tallybook.deliver.journal import Envelope
from tallybook.errors import DatafileError
from tallybook.optimizely.config_manager import PollingConfigManager, StaticConfigManager
from tallybook.optimizely.project_config import SENT_BY, ProjectConfig

_OWN: Final = (StaticConfigManager.get_config, PollingConfigManager.get_config)


class NoSource:
    """No datafile, and never one: a client that cannot be used."""

    newest: Revision | None = None


class _Asked:
    """Asks a config manager of somebody else's for its config.

    A config that is not ours is read from its text, once as long as it is the same object.
    """

    def __init__(self, manager: Any, logger: logging.Logger) -> None:
        self._manager = manager
        self._logger = logger
        self._read: tuple[object, Revision | None] = (None, None)

    @property
    def newest(self) -> Revision | None:
        """The config's revision."""
        config = self._manager.get_config()
        if isinstance(config, ProjectConfig):
            return config.prepared
        if not config:
            return None
        known, revision = self._read
        if known is not config:
            revision = self._revision(config)
            self._read = (config, revision)
        return revision

    def _revision(self, config: Any) -> Revision | None:
        try:
            return prepare(config.to_datafile(), Addresses(), SENT_BY)
        except DatafileError as error:
            self._logger.error("The config cannot be used: %s", error)  # noqa: TRY400 - one line
            return None


class _Redirected:
    """The same revisions, with another address for their events."""

    def __init__(self, source: RevisionSource, event_url: str) -> None:
        self._source = source
        self._event_url = event_url
        self._made: tuple[Revision | None, Revision | None] = (None, None)

    @property
    def newest(self) -> Revision | None:
        """The revision."""
        revision = self._source.newest
        known, redirected = self._made
        if revision is not known:
            redirected = revision and self._redirect(revision)
            self._made = (revision, redirected)
        return redirected

    def _redirect(self, revision: Revision) -> Revision:
        envelope = revision.envelope
        to = Envelope(self._event_url, envelope.opening, envelope.closing)
        return Revision(revision.project, to, revision.description)


def source_of(manager: Any, event_url: str | None, logger: logging.Logger) -> RevisionSource:
    """What a client with that config manager decides by.

    Args:
        manager: Anything with ``get_config``.
        event_url: Where events go instead of the project's own place.
        logger: Where it is said that somebody else's config cannot be used.

    Raises:
        ConfigError: ``event_url`` is no URL.
    """
    is_own = isinstance(manager, StaticConfigManager) and type(manager).get_config in _OWN
    source: RevisionSource = manager if is_own else _Asked(manager, logger)
    return (
        _Redirected(source, Addresses(event_url=event_url).for_events("")) if event_url else source
    )
