"""Where every kind of call decides: what is at hand, and how flags are judged."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from tallybook.client.faults import Faults
from tallybook.client.impressions import Impressions
from tallybook.client.memories import Memories
from tallybook.client.revision import Revision, Revisions
from tallybook.decide.rules import decide_experiment, decide_flag
from tallybook.model.decision import Verdict, Visitor
from tallybook.model.project import Experiment, Flag, Variation
from tallybook.model.reason import Reason, Trace
from tallybook.notify import NotificationCenter, NotificationType

_DECISION: Final = NotificationType.DECISION.value

_logger: Final = logging.getLogger("tallybook")


class Judgement(NamedTuple):
    """What one flag came to, and how."""

    flag: Flag
    verdict: Verdict
    trace: Trace


@dataclass(frozen=True, slots=True)
class Desk:
    """What the calls of one client share."""

    revisions: Revisions
    impressions: Impressions
    notifications: NotificationCenter
    memories: Memories
    faults: Faults

    def judge(
        self, revision: Revision, visitor: Visitor, flags: Iterable[Flag], *, with_profile: bool
    ) -> list[Judgement]:
        """Decide flags for one visitor: the profile is looked up once and saved once."""
        recollection = self.memories.recall(visitor.user_id, with_profile=with_profile)
        judged = []
        for flag in flags:
            trace = Trace()
            verdict = decide_flag(revision.project, flag, visitor, trace, recollection.memory)
            self.faults.tell_of(trace)
            judged.append(Judgement(flag, verdict, trace))
        self.memories.keep(recollection)
        return judged

    def judge_experiment(
        self, revision: Revision, visitor: Visitor, experiment: Experiment
    ) -> Variation | None:
        """Decide one experiment for one visitor, flags and holdouts aside."""
        recollection, trace = self.memories.recall(visitor.user_id), Trace()
        variation = decide_experiment(
            revision.project, experiment, visitor, trace, recollection.memory
        )
        self.faults.tell_of(trace)
        self.memories.keep(recollection)
        log_steps(trace, wanted=False)
        return variation

    def tell_decision(self, kind: str, visitor: Visitor, info: dict[str, object]) -> None:
        """Tell the listeners of decisions."""
        self.notifications.send_notifications(
            _DECISION, kind, visitor.user_id, dict(visitor.attributes), info
        )


def log_steps(trace: Trace, *, wanted: bool) -> tuple[Reason, ...]:
    """Log the steps as loud as they are; those that are reasons, if they are wanted."""
    for reason in trace.at_least(_logger.getEffectiveLevel()):
        _logger.log(reason.level, "%s", reason.text)
    return tuple(reason for reason in trace.reasons if reason.is_reason) if wanted else ()
