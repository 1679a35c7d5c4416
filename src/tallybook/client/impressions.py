"""Impressions: what was decided is recorded, and whoever listens is told."""

from __future__ import annotations

from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from tallybook.client.revision import Revision
from tallybook.client.told import told
from tallybook.client.user_state import UserState
from tallybook.model.decision import Verdict
from tallybook.model.project import Experiment, Flag
from tallybook.notify import NotificationCenter, NotificationType

_ACTIVATE: Final = NotificationType.ACTIVATE.value
_NO_RULE: Final = Experiment("", "", "", "", (), ())  # what listeners get where no rule decided


class Shown(Struct, frozen=True, gc=False):
    """What an impression is of: the flag (none for an experiment alone), and whether it is on."""

    flag: Flag | None
    verdict: Verdict
    enabled: bool


class RecordsImpressions(Protocol):
    """What takes impressions on their way."""

    def impression(self, revision: Revision, state: UserState, shown: Shown) -> bytes | None:
        """Record an impression; what was recorded, or ``None`` if it cannot be."""
        ...


class Impressions:
    """Sends the impressions of one client."""

    def __init__(self, recorder: RecordsImpressions, notifications: NotificationCenter) -> None:
        self._recorder = recorder
        self._notifications = notifications

    def send(self, revision: Revision, state: UserState, shown: Shown, attributes: object) -> None:
        """Record an impression; listeners get ``attributes`` as they were passed."""
        item = self._recorder.impression(revision, state, _named(shown))
        if item is None or not self._notifications.has_listeners(_ACTIVATE):
            return
        self._notifications.send_notifications(
            _ACTIVATE,
            shown.verdict.rule or _NO_RULE,
            state.visitor.user_id,
            dict(attributes) if attributes is state.visitor.attributes else attributes,
            shown.verdict.variation,
            told(revision, item),
        )


def _named(shown: Shown) -> Shown:
    # As in the official SDK an impression names no variation that is none of the flag's. Only of
    # experiments that share a key can one get another's.
    flag, verdict = shown.flag, shown.verdict
    rule, variation = verdict.rule, verdict.variation
    if flag is None or rule is None or variation is None:
        return shown
    if variation.id in rule.variation_by_id or variation in flag.variations:
        return shown
    return replace(shown, verdict=replace(verdict, variation=None))
