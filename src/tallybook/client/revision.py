"""One revision of a project, made ready for writing events; and where the newest one is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from tallybook.client.addresses import Addresses
from tallybook.client.diagnostics import Diagnostics
from tallybook.deliver.journal import Envelope
from tallybook.deliver.process import tell_of_forks
from tallybook.errors import DatafileError
from tallybook.model.decision import Verdict
from tallybook.model.event import Sender
from tallybook.model.project import EventType, Project
from tallybook.notify import NotificationCenter, NotificationType
from tallybook.wire.author import AuthorWriter
from tallybook.wire.batch_writer import (
    BATCH_CLOSING,
    EventFrame,
    conversion_frame,
    decision_item,
    impression_frame,
    write_opening,
)
from tallybook.wire.datafile import read_datafile

if TYPE_CHECKING:
    from tallybook.model.optimizely_config import OptimizelyConfig


class SentBy(Struct, frozen=True):
    """How events name the SDK that sent them."""

    client_name: str
    client_version: str


class Revision:
    """A project with what its events have in common: the envelope, and the frame of each kind.

    Frames are written when first needed. There is no lock that a fork could copy while it is held:
    of two threads that need one first, both write the same.
    """

    __slots__ = (
        "_impression_frames",
        "authors",
        "conversion_frames",
        "description",
        "envelope",
        "project",
    )

    def __init__(self, project: Project, envelope: Envelope, description: Description) -> None:
        self.project = project
        self.envelope = envelope
        self.description = description
        self.authors = AuthorWriter(project)
        self.conversion_frames: dict[str, EventFrame] = {}
        self._impression_frames: dict[tuple[object, ...], EventFrame] = {}

    def frame_of(self, event: EventType) -> EventFrame:
        """What frames the conversions of an event of the project."""
        frame = self.conversion_frames.get(event.key)
        if frame is None:
            frame = self.conversion_frames[event.key] = conversion_frame(event)
        return frame

    def frame_of_decision(self, flag_key: str, verdict: Verdict, *, enabled: bool) -> EventFrame:
        """What frames the impressions of a verdict."""
        if verdict.cmab_uuid:  # each prediction has a frame of its own, which few events share
            return impression_frame(decision_item(flag_key, verdict, enabled=enabled))
        rule, variation = verdict.rule, verdict.variation
        said = (
            (flag_key, verdict.source, enabled),
            rule and (rule.id, rule.key, rule.layer_id),
            variation and (variation.id, variation.key),
        )
        frame = self._impression_frames.get(said)
        if frame is None:
            frame = impression_frame(decision_item(flag_key, verdict, enabled=enabled))
            self._impression_frames[said] = frame
        return frame


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
        if kept is not None:
            return kept
        from tallybook.wire.optimizely_config import describe_datafile  # noqa: PLC0415 - for few

        return self._kept.setdefault("config", describe_datafile(self._text))


def prepare(datafile: str | bytes, addresses: Addresses, sent_by: SentBy) -> Revision:
    """Read a datafile, and write once what every event of the project repeats.

    Raises:
        DatafileError: It cannot be read.
    """
    project = read_datafile(datafile)
    sender = Sender(
        account_id=project.account_id,
        project_id=project.project_id,
        revision=project.revision,
        client_name=sent_by.client_name,
        client_version=sent_by.client_version,
        anonymize_ip=project.anonymize_ip,
    )
    url = addresses.for_events(project.region)
    envelope = Envelope(url, write_opening(sender), BATCH_CLOSING)
    return Revision(project, envelope, Description(datafile))


class RevisionSource(Protocol):
    """What knows the revision to decide by."""

    @property
    def newest(self) -> Revision | None:
        """The newest revision, ``None`` while there is none."""
        ...


class Revisions:
    """The newest revision, ``None`` before the first; whoever reads ``newest`` needs no lock."""

    def __init__(
        self,
        addresses: Addresses,
        sent_by: SentBy,
        notifications: NotificationCenter,
        diagnostics: Diagnostics,
    ) -> None:
        self._addresses = addresses
        self._sent_by = sent_by
        self._notifications = notifications
        self._diagnostics = diagnostics
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
        revision = prepare(datafile, self._addresses, self._sent_by)
        with self._lock:
            newest = self.newest
            if newest is not None and newest.project.revision == revision.project.revision:
                return
            self.newest = revision
        for remark in revision.project.remarks:
            self._diagnostics.logger.warning("%s", remark)
        self._notifications.send_notifications(NotificationType.OPTIMIZELY_CONFIG_UPDATE)
        self._call_back()

    def offer(self, datafile: bytes) -> bool:
        """Install a datafile that came by itself; false, and one line in the log, if it is bad."""
        try:
            self.install(datafile)
        except DatafileError as error:
            self._diagnostics.logger.error("The datafile is not used: %s", error)  # noqa: TRY400 - one line
            self._tell(error)
            return False
        return True

    def _tell(self, error: DatafileError) -> None:
        try:
            self._diagnostics.hand_over(error)
        except Exception:  # nobody called, so nobody is to be interrupted: polling goes on
            self._diagnostics.logger.exception("The error handler raised.")

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
