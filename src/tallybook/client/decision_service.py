"""Where every kind of call decides: flags and experiments are judged, told of, and remembered."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from typing import Final, Protocol

from msgspec import Struct

from tallybook.client.diagnostics import Diagnostics
from tallybook.client.impressions import Impressions
from tallybook.client.memories import Memories
from tallybook.client.revision import Revision, RevisionSource
from tallybook.decide.rules import decide_experiment, decide_flags
from tallybook.model.decision import Verdict, Visitor
from tallybook.model.memory import Memory, Predict
from tallybook.model.project import Experiment, Flag, Project, Variation
from tallybook.model.reason import DEBUG, INFO, WARNING, Reason, Trace
from tallybook.notify import NotificationCenter, NotificationType

_DECISION: Final = NotificationType.DECISION.value


DecidedFlag = tuple[Flag, Verdict, Trace]  # what a flag came to, and how


class Predicts(Protocol):
    """What knows how to predict for contextual bandits."""

    def predictor(self, project: Project, options: Collection[str]) -> Predict:
        """What predicts for the users of a project, as the options of a call want it."""


class DecisionService(Struct, frozen=True):
    """Decides for one client: what all of its calls share."""

    revisions: RevisionSource
    impressions: Impressions
    notifications: NotificationCenter
    memories: Memories
    diagnostics: Diagnostics
    predictions: Predicts | None = None

    @property
    def logger(self) -> logging.Logger:
        """Where the client logs."""
        return self.diagnostics.logger

    def revision_for(self, call: str) -> Revision | None:
        """The newest revision; without one, a line in the log says that ``call`` needs it."""
        revision = self.revisions.newest
        if revision is None:
            self.logger.error("%s: there is no valid datafile yet.", call)
        return revision

    def decide_flags(
        self,
        revision: Revision,
        visitor: Visitor,
        flags: Iterable[Flag],
        *,
        with_profile: bool = True,
        with_reasons: bool = False,
        options: Collection[str] = (),
    ) -> list[DecidedFlag]:
        """Decide flags for one visitor: the profile is looked up once and saved once."""
        project = revision.project
        recollection = self.memories.recall(visitor.user_id, with_profile=with_profile)
        memory = recollection.memory
        if project.has_bandits:
            memory = self._predicting(project, memory, options)
        at_least = DEBUG if with_reasons else self._level()
        decided = list(decide_flags(project, flags, visitor, memory, at_least=at_least))
        if self.diagnostics.has_handler:
            for _, _, trace in decided:
                self.diagnostics.tell_of(trace)
        self.memories.keep(recollection)
        return decided

    def decide_experiment(
        self, revision: Revision, visitor: Visitor, experiment: Experiment
    ) -> Variation | None:
        """Decide one experiment for one visitor, flags and holdouts aside."""
        recollection, trace = self.memories.recall(visitor.user_id), Trace(self._level())
        project, memory = revision.project, recollection.memory
        if project.has_bandits:
            memory = self._predicting(project, memory, ())
        variation = decide_experiment(project, experiment, visitor, trace, memory)
        self.diagnostics.tell_of(trace)
        self.memories.keep(recollection)
        self.log_steps(trace, wanted=False)
        return variation

    def tell_decision(self, kind: str, visitor: Visitor, info: dict[str, object]) -> None:
        """Tell the listeners of decisions."""
        self.notifications.send_notifications(
            _DECISION, kind, visitor.user_id, dict(visitor.attributes), info
        )

    def log_steps(self, trace: Trace, *, wanted: bool) -> tuple[Reason, ...]:
        """Log the steps as loud as they are; those that are reasons, if they are wanted."""
        if trace.is_empty:
            return ()
        logger = self.diagnostics.logger
        for reason in trace.at_least(logger.getEffectiveLevel()):
            logger.log(reason.level, "%s", reason.text)
        return tuple(reason for reason in trace.reasons if reason.is_reason) if wanted else ()

    def _predicting(self, project: Project, memory: Memory, options: Collection[str]) -> Memory:
        """The same memory, able to ask for predictions."""
        if self.predictions is None:
            return memory
        predict = self.predictions.predictor(project, options)
        return Memory(memory.forced, memory.profile, predict)

    def _level(self) -> int:
        """How loud a step must be to be kept: some are for the error handler, logged or not."""
        logger = self.diagnostics.logger
        return logger.getEffectiveLevel() if logger.isEnabledFor(INFO) else WARNING
