"""Every call of a client, over whatever brings datafiles and takes events."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from tallybook.client.context import Decision
from tallybook.client.deciding import Decider
from tallybook.client.decision_service import DecisionService, Predicts
from tallybook.client.diagnostics import Diagnostics
from tallybook.client.experiments import Experiments
from tallybook.client.features import Features
from tallybook.client.impressions import Impressions, RecordsImpressions
from tallybook.client.memories import Memories
from tallybook.client.revision import RevisionSource
from tallybook.client.tracking import RecordsConversions, Tracker
from tallybook.notify import NotificationCenter


class RecordsEvents(RecordsImpressions, RecordsConversions, Protocol):
    """What takes events on their way."""


def _unknown(_user_id: str, _options: Collection[str]) -> None:
    return None


class Calls:
    """What a client and its user contexts answer with.

    Args:
        revisions: What knows the datafile to decide by.
        recorder: What takes the events.
        notifications: Who is told.
        memories: What is remembered of users.
        diagnostics: Where the client logs, and who is handed its errors.
        default_options: Options every decide call has, besides its own.
        new_decision: What makes decisions.
        predictions: What predicts for contextual bandits, if anything does.
        segments_of: What fetches the segments of a user, given by id, as options want it.
    """

    def __init__(  # noqa: PLR0913 - the plugs of a client, each by its name
        self,
        revisions: RevisionSource,
        recorder: RecordsEvents,
        notifications: NotificationCenter,
        memories: Memories,
        diagnostics: Diagnostics,
        *,
        default_options: Iterable[str] = (),
        new_decision: Callable[..., Decision] = Decision,
        predictions: Predicts | None = None,
        segments_of: Callable[[str, Collection[str]], list[str] | None] = _unknown,
    ) -> None:
        impressions = Impressions(recorder, notifications)
        service = DecisionService(
            revisions, impressions, notifications, memories, diagnostics, predictions
        )
        self.logger: logging.Logger = diagnostics.logger
        self.tracker = Tracker(revisions, recorder, notifications, diagnostics)
        self.experiments = Experiments(service)
        self.features = Features(service)
        decider = Decider(service, default_options, new_decision)
        self.decide = decider.decide
        self.decide_for_keys = decider.decide_for_keys
        self.decide_all = decider.decide_all
        self.track_event = self.tracker.track_event
        self.segments_of = segments_of
        self.revisions = revisions
