"""A client's customer data platform: its managers, and what the newest datafile tells them."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from tallybook.client.revision import Revision, RevisionSource
from tallybook.model.customer_data import customer_data_of
from tallybook.notify import NotificationType
from tallybook.optimizely.helpers.enums import OdpManagerConfig
from tallybook.optimizely.helpers.sdk_settings import OptimizelySdkSettings
from tallybook.optimizely.notification_center import NotificationCenter

if TYPE_CHECKING:
    from tallybook.optimizely.odp.odp_manager import OdpManager

Answer = TypeVar("Answer")


class CustomerData:
    """Makes the managers when they are first needed: most projects integrate no platform.

    Args:
        settings: What the managers are made of, or the managers.
        revisions: What knows the datafile.
        logger: What the managers log with.
    """

    def __init__(
        self, settings: OptimizelySdkSettings, revisions: RevisionSource, logger: logging.Logger
    ) -> None:
        self._settings = settings
        self._revisions = revisions
        self._logger = logger
        self._told: Revision | None = None
        self._is_closed = False

    @cached_property
    def manager(self) -> OdpManager:
        """Both managers together."""
        from tallybook.optimizely.odp.odp_manager import OdpManager  # noqa: PLC0415 - 15 ms, see above

        settings = self._settings
        return OdpManager(
            settings.odp_disabled,
            settings.segments_cache,
            settings.odp_segment_manager,
            settings.odp_event_manager,
            settings.fetch_segments_timeout,
            settings.odp_event_timeout,
            settings.odp_flush_interval,
            self._logger,
        )

    @property
    def is_foreign(self) -> bool:
        """True where a manager is somebody else's, who may want to know of each datafile."""
        settings = self._settings
        is_given = settings.odp_event_manager or settings.odp_segment_manager
        return bool(is_given) and not settings.odp_disabled

    def tell(self) -> None:
        """Tell the managers what the newest datafile says, if that is not the one they know."""
        revision = self._revisions.newest
        if revision is None or revision is self._told:
            return
        self._told = revision
        source = customer_data_of(revision.project)
        update, segments = self.manager.update_odp_config, list(source.segments)
        self._tried("update_odp_config", lambda: update(source.api_key, source.host, segments))

    def tell_at_once(self, notifications: NotificationCenter) -> None:
        """Tell the managers of every further datafile as soon as it is there."""
        itself = weakref.ref(self)

        def tell(*_: Any) -> None:
            data = itself()
            if data is not None:
                data.tell()

        notifications.add_notification_listener(NotificationType.OPTIMIZELY_CONFIG_UPDATE, tell)

    def identify(self, user_id: str) -> None:
        """Tell the managers of a user, once they were told of a datafile."""
        if self._told is not None:
            known = {OdpManagerConfig.KEY_FOR_USER_ID: user_id}
            self._tried("identify_user", lambda: self.manager.identify_user(known))

    def segments_of(self, user_id: str, options: list[str]) -> list[str] | None:
        """The segments a user is in, ``None`` where that is not known."""
        self.tell()
        fetch = self.manager.fetch_qualified_segments
        return self._tried("fetch_qualified_segments", lambda: fetch(user_id, options))

    def send_event(
        self, kind: str, action: str, identifiers: dict[str, str], data: dict[str, Any]
    ) -> None:
        """Have an event delivered."""
        if self._is_closed and self._made is None and not self._settings.odp_disabled:
            self._logger.warning("send_odp_event: after close() no event is sent.")
            return
        self.tell()
        send = self.manager.send_event
        self._tried("send_odp_event", lambda: send(kind, action, identifiers, data))

    def close(self) -> None:
        """Deliver the events that wait, and take no further ones."""
        self._is_closed = True
        if self._made is not None:
            self._tried("close", self._made.close)

    @property
    def _made(self) -> OdpManager | None:
        made: OdpManager | None = self.__dict__.get("manager")
        return made

    def _tried(self, call: str, do: Callable[[], Answer]) -> Answer | None:
        """What ``do`` answers; what somebody else's manager raises is logged."""
        try:
            return do()
        except Exception:
            self._logger.exception("%s: a manager of customer data raised.", call)
            return None
