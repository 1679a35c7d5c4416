"""Impressions: what was decided is recorded, and whoever listens is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

from tallybook.client.context import Guest
from tallybook.client.recording import Recorder, told
from tallybook.client.revision import Revision
from tallybook.model.decision import Verdict
from tallybook.model.project import Experiment, Flag
from tallybook.notify import NotificationCenter, NotificationType
from tallybook.wire.batch_writer import decision_item

_ACTIVATE: Final = NotificationType.ACTIVATE.value
_NO_RULE: Final = Experiment("", "", "", "", (), ())  # what listeners get where no rule decided


class Shown(NamedTuple):
    """What an impression is of: the flag (none for an experiment alone), and whether it is on."""

    flag: Flag | None
    verdict: Verdict
    enabled: bool


class Impressions:
    """Sends the impressions of one client."""

    def __init__(self, recorder: Recorder, notifications: NotificationCenter) -> None:
        self._recorder = recorder
        self._notifications = notifications

    def send(self, revision: Revision, guest: Guest, shown: Shown, attributes: object) -> None:
        """Record an impression; listeners get ``attributes`` as they were passed."""
        flag_key = shown.flag.key if shown.flag else ""
        decided = decision_item(flag_key, _named(shown), enabled=shown.enabled)
        item = self._recorder.impression(revision, guest, decided)
        if item is None or not self._notifications.has_listeners(_ACTIVATE):
            return
        self._notifications.send_notifications(
            _ACTIVATE,
            shown.verdict.rule or _NO_RULE,
            guest.visitor.user_id,
            dict(attributes) if attributes is guest.visitor.attributes else attributes,
            shown.verdict.variation,
            told(revision, item),
        )


def _named(shown: Shown) -> Verdict:
    # As in the official SDK an impression names no variation that is none of the flag's. Only of
    # experiments that share a key can one get another's.
    flag, verdict = shown.flag, shown.verdict
    rule, variation = verdict.rule, verdict.variation
    if flag is None or rule is None or variation is None:
        return verdict
    if variation.id in rule.variation_by_id or variation in flag.variations:
        return verdict
    return replace(verdict, variation=None)
