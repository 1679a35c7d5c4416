"""One revision of a project, made ready for writing events; and where the newest one is kept."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tallybook.client.addresses import Addresses
from tallybook.client.faults import Faults
from tallybook.client.settings import ClientSettings
from tallybook.deliver.journal import Envelope
from tallybook.deliver.process import tell_of_forks
from tallybook.errors import DatafileError
from tallybook.model.event import Sender
from tallybook.model.optimizely_config import OptimizelyConfig
from tallybook.model.project import Project
from tallybook.notify import NotificationCenter, NotificationType
from tallybook.wire.batch_writer import BATCH_CLOSING, EventHead, write_head, write_opening
from tallybook.wire.datafile import read_datafile
from tallybook.wire.optimizely_config import describe_datafile

_logger: Final = logging.getLogger("tallybook")


@dataclass(frozen=True, slots=True)
class Revision:
    """A project with what its events have in common: the envelope, and each event's head by key."""

    project: Project
    envelope: Envelope
    heads: Mapping[str, EventHead]
    description: Description


class Description:
    """A datafile described, once somebody asks for it.

    There is no lock that a fork could copy while it is held: of two threads that ask first, both
    describe and one keeps.
    """

    __slots__ = ("_kept", "_text")

    def __init__(self, text: str | bytes) -> None:
        self._text = text
        self._kept: dict[str, OptimizelyConfig] = {}

    def config(self) -> OptimizelyConfig:
        """The description, always the same object."""
        kept = self._kept.get("config")
        return kept or self._kept.setdefault("config", describe_datafile(self._text))


def prepare(datafile: str | bytes, addresses: Addresses, settings: ClientSettings) -> Revision:
    """Read a datafile, and write once what every event of the project repeats.

    Raises:
        DatafileError: It cannot be read.
    """
    project = read_datafile(datafile)
    sender = Sender(
        account_id=project.account_id,
        project_id=project.project_id,
        revision=project.revision,
        client_name=settings.client_name,
        client_version=settings.client_version,
        anonymize_ip=project.anonymize_ip,
    )
    url = addresses.for_events(project.region)
    envelope = Envelope(url, write_opening(sender), BATCH_CLOSING)
    heads = {key: write_head(event) for key, event in project.event_by_key.items()}
    return Revision(project, envelope, heads, Description(datafile))


class Revisions:
    """The newest revision, ``None`` before the first; whoever reads ``newest`` needs no lock."""

    def __init__(
        self,
        addresses: Addresses,
        settings: ClientSettings,
        notifications: NotificationCenter,
        faults: Faults,
    ) -> None:
        self._addresses = addresses
        self._settings = settings
        self._notifications = notifications
        self._faults = faults
        self._waiting: list[Callable[[], object]] = []
        self._is_over = False
        self.newest: Revision | None = None
        self.begin_in_child()
        tell_of_forks(self)

    def begin_in_child(self) -> None:
        """Have a lock of its own: the parent's may be held for ever."""
        self._lock = threading.RLock()

    def install(self, datafile: str | bytes) -> None:
        """Make a datafile the newest; one of the revision that is there already changes nothing.

        Raises:
            DatafileError: It cannot be read; what is there stays.
        """
        revision = prepare(datafile, self._addresses, self._settings)
        with self._lock:
            newest = self.newest
            if newest is not None and newest.project.revision == revision.project.revision:
                return
            self.newest = revision
        for remark in revision.project.remarks:
            _logger.warning("%s", remark)
        self._notifications.send_notifications(NotificationType.OPTIMIZELY_CONFIG_UPDATE)
        self._call_back()

    def offer(self, datafile: bytes) -> bool:
        """Install a datafile that came by itself; false, and one line in the log, if it is bad."""
        try:
            self.install(datafile)
        except DatafileError as error:
            _logger.error("The datafile is not used: %s", error)  # noqa: TRY400 - one line
            self._tell(error)
            return False
        return True

    def _tell(self, error: DatafileError) -> None:
        try:
            self._faults.hand_over(error)
        except Exception:  # nobody called, so nobody is to be interrupted: polling goes on
            _logger.exception("The error handler raised.")

    def when_ready(self, callback: Callable[[], object]) -> None:
        """Call back once there is a revision, or nobody waits for one any more; at once if so.

        The callback must not raise.
        """
        with self._lock:
            if self.newest is None and not self._is_over:
                self._waiting.append(callback)
                return
        callback()

    def stop_waiting(self) -> None:
        """Call back everyone: no datafile is asked for any more."""
        self._is_over = True
        self._call_back()

    def forget(self, callback: Callable[[], object]) -> None:
        """Call back no more."""
        with self._lock:
            if callback in self._waiting:
                self._waiting.remove(callback)

    def _call_back(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()
