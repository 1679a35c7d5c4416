"""The notification centre under its official names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from tallybook import notify
from tallybook.deliver.process import tell_of_forks
from tallybook.model.decision import DecisionSource
from tallybook.model.project import Experiment, Variation
from tallybook.model.text import is_text, plain
from tallybook.optimizely import entities
from tallybook.optimizely._askable import askable
from tallybook.optimizely._logging import Logger, adapted
from tallybook.optimizely.logger import NoOpLogger, adapt_logger

_ACTIVATE: Final = notify.NotificationType.ACTIVATE.value

NOTIFICATION_TYPES: Final = tuple(sorted(kind.value for kind in notify.NotificationType))


class NotificationCenter(notify.NotificationCenter):
    """Who listens to what.

    Attributes:
        logger: Where an unknown type, or what a listener raised, is said.
    """

    def __init__(self, logger: Logger | None = None) -> None:
        self.logger = adapt_logger(askable(logger) or NoOpLogger())
        super().__init__(adapted(self.logger))
        tell_of_forks(self)

    def add_notification_listener(
        self, notification_type: str, notification_callback: Callable[..., object]
    ) -> int:
        """Call ``notification_callback`` on each notification of that type from now on.

        Returns:
            The listener's id, from 1; -1 for an unknown type or a callback already there.
        """
        return super().add_notification_listener(notification_type, notification_callback)

    def send_notifications(self, notification_type: str, *args: object) -> None:
        """Call the type's listeners in the order in which they were added."""
        if is_text(notification_type) and plain(notification_type) == _ACTIVATE:
            args = _under_official_names(args)
        super().send_notifications(notification_type, *args)

    def clear_notifications(self, notification_type: str) -> None:
        """Deprecated name of :meth:`clear_notification_listeners`."""
        self.clear_notification_listeners(notification_type)

    def clear_all_notifications(self) -> None:
        """Deprecated name of :meth:`clear_all_notification_listeners`."""
        self.clear_all_notification_listeners()


def _under_official_names(args: tuple[object, ...]) -> tuple[object, ...]:
    if not any(issubclass(type(arg), Experiment | Variation) for arg in args):
        return args  # somebody else's
    known = map(_under_official_name, args)
    if not _is_held(args):
        return tuple(known)
    # The variations of holdouts have no class of their own.
    return tuple(vars(arg) if isinstance(arg, entities.Variation) else arg for arg in known)


def _under_official_name(value: object) -> object:
    if issubclass(type(value), Experiment):
        return entities.experiment(cast("Experiment", value))
    if issubclass(type(value), Variation):
        return entities.variation(cast("Variation", value))
    return value


def _is_held(args: tuple[Any, ...]) -> bool:
    try:
        decision = args[-1]["params"]["visitors"][0]["snapshots"][0]["decisions"][0]
        return bool(decision["metadata"]["rule_type"] == DecisionSource.HOLDOUT)
    except Exception:  # noqa: BLE001 - it was not the client that tells of this
        return False
