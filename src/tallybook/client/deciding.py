"""Decisions: ask the rules, send the impression they want, tell the listeners."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tallybook.client.context import Decision, Guest, UserContext
from tallybook.client.desk import Desk, Judgement, log_steps
from tallybook.client.impressions import Shown
from tallybook.client.revision import Revision
from tallybook.decide.variables import variable_values
from tallybook.model.decision import DecideOption, DecisionSource, Verdict
from tallybook.model.project import Flag
from tallybook.model.reason import Reason, ReasonKind
from tallybook.notify import NotificationType

_DECISION: Final = NotificationType.DECISION.value
_FLAG: Final = "flag"  # the type of decision, as listeners know it
_ALWAYS_SHOWN: Final = frozenset({DecisionSource.FEATURE_TEST, DecisionSource.HOLDOUT})

_logger: Final = logging.getLogger("tallybook")


@dataclass(slots=True)
class _Call:
    """One call of the decide family: on which revision, for whom, with what options."""

    revision: Revision
    asker: UserContext
    guest: Guest
    options: frozenset[str]


class Decider:
    """Decides flags for one client's users. Never raises for data."""

    def __init__(self, desk: Desk, default_options: Iterable[str]) -> None:
        self._desk = desk
        self._defaults = frozenset(map(str, default_options))

    def decide(self, asker: UserContext, guest: Guest, key: object, options: object) -> Decision:
        """Decide one flag, also when it is off: ``ENABLED_FLAGS_ONLY`` does not apply."""
        revision = self._desk.revisions.newest
        if not isinstance(key, str):
            return _undecided(asker, key, ReasonKind.FLAG_UNKNOWN)
        if revision is None:
            return _undecided(asker, key, ReasonKind.NOT_READY)
        flag = revision.project.flag_by_key.get(key)
        if flag is None:
            return _undecided(asker, key, ReasonKind.FLAG_UNKNOWN)
        call = _Call(revision, asker, guest, self._options(options))
        return self._settle(call, *self._judge(call, (flag,)))

    def decide_for_keys(
        self, asker: UserContext, guest: Guest, keys: object, options: object
    ) -> dict[str, Decision]:
        """Decide the flags named, each as often as it is named; unknown ones stay undecided."""
        if not isinstance(keys, list | tuple | set | frozenset):
            _logger.error("No flags are decided: keys must be a list, not %s.", type(keys).__name__)
            return {}
        revision = self._desk.revisions.newest
        if revision is None:
            return {}
        by_key = revision.project.flag_by_key
        named = [key for key in keys if isinstance(key, str)]
        call = _Call(revision, asker, guest, self._options(options))
        return self._settle_all(call, named, [by_key[key] for key in named if key in by_key])

    def decide_all(self, asker: UserContext, guest: Guest, options: object) -> dict[str, Decision]:
        """Decide every flag."""
        revision = self._desk.revisions.newest
        if revision is None:
            _logger.error("No flags are decided: there is no valid datafile yet.")
            return {}
        call = _Call(revision, asker, guest, self._options(options))
        flags = revision.project.flags
        return self._settle_all(call, [flag.key for flag in flags], flags)

    def _options(self, options: object) -> frozenset[str]:
        if isinstance(options, list):
            return self._defaults.union(o for o in options if isinstance(o, str))
        if options is not None:
            _logger.debug("Decide options must be a list; the client's defaults are used.")
        return self._defaults

    def _settle_all(
        self, call: _Call, keys: Iterable[str], flags: Iterable[Flag]
    ) -> dict[str, Decision]:
        # All are decided before the first is told: a listener cannot change what others get.
        judged = self._judge(call, flags)
        settled = {judgement.flag.key: self._settle(call, judgement) for judgement in judged}
        is_brief = DecideOption.ENABLED_FLAGS_ONLY in call.options
        decisions: dict[str, Decision] = {}
        for key in keys:
            decision = settled.get(key)
            if decision is None:
                decisions[key] = _undecided(call.asker, key, None)
            elif decision.enabled or not is_brief:
                decisions[key] = decision
        return decisions

    def _judge(self, call: _Call, flags: Iterable[Flag]) -> list[Judgement]:
        with_profile = DecideOption.IGNORE_USER_PROFILE_SERVICE not in call.options
        return self._desk.judge(call.revision, call.guest.visitor, flags, with_profile=with_profile)

    def _settle(self, call: _Call, judgement: Judgement) -> Decision:
        flag, verdict, trace = judgement
        variation, rule = verdict.variation, verdict.rule
        enabled = variation is not None and variation.enabled
        is_sent = self._show(call, flag, verdict, enabled=enabled)
        with_variables = DecideOption.EXCLUDE_VARIABLES not in call.options
        variables = variable_values(flag, variation, trace) if with_variables else {}
        steps = log_steps(trace, wanted=DecideOption.INCLUDE_REASONS in call.options)
        decision = Decision(
            variation_key=variation.key if variation else None,
            enabled=enabled,
            variables=variables,
            rule_key=rule.key if rule else None,
            flag_key=flag.key,
            user_context=call.asker,
            reasons=[step.text for step in steps],
            steps=steps,
        )
        if self._desk.notifications.has_listeners(_DECISION):
            self._tell_decision(decision, verdict, is_sent=is_sent)
        return decision

    def _show(self, call: _Call, flag: Flag, verdict: Verdict, *, enabled: bool) -> bool:
        """Send the impressions that are wanted; true when there were some."""
        if DecideOption.DISABLE_DECISION_EVENT in call.options:
            return False
        is_held = verdict.source is DecisionSource.HOLDOUT
        spared_by = None if is_held else verdict.spared_by
        if spared_by is not None:
            is_on = spared_by.variation is not None and spared_by.variation.enabled
            self._send_impression(call, flag, spared_by, enabled=is_on)
        is_shown = verdict.source in _ALWAYS_SHOWN or call.revision.project.send_flag_decisions
        if is_shown:
            self._send_impression(call, flag, verdict, enabled=enabled)
        return is_shown or spared_by is not None

    def _send_impression(self, call: _Call, flag: Flag, verdict: Verdict, *, enabled: bool) -> None:
        shown, attributes = Shown(flag, verdict, enabled), call.guest.visitor.attributes
        self._desk.impressions.send(call.revision, call.guest, shown, attributes)

    def _tell_decision(self, decision: Decision, verdict: Verdict, *, is_sent: bool) -> None:
        asker = decision.user_context
        self._desk.notifications.send_notifications(
            _DECISION,
            _FLAG,
            asker.user_id,
            asker.get_user_attributes(),
            {
                "flag_key": decision.flag_key,
                "enabled": decision.enabled,
                "variables": decision.variables,
                "variation_key": decision.variation_key,
                "rule_key": decision.rule_key,
                "reasons": decision.reasons,
                "decision_event_dispatched": is_sent,
                "experiment_id": verdict.rule.id if verdict.rule else None,
                "variation_id": verdict.variation.id if verdict.variation else None,
            },
        )


def _undecided(asker: UserContext, key: object, why: ReasonKind | None) -> Decision:
    steps = (
        ()
        if why is None
        else (Reason(why, {"flag": key if isinstance(key, str) else type(key).__name__}),)
    )
    for step in steps:
        _logger.log(step.level, "%s", step.text)
    return Decision(
        variation_key=None,
        enabled=False,
        variables={},
        rule_key=None,
        flag_key=key,  # type: ignore[arg-type]  # as it was asked, whatever it was
        user_context=asker,
        reasons=[step.text for step in steps],
        steps=steps,
    )
