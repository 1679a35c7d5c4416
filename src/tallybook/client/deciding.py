"""Decisions: ask the rules, send the impression they want, tell the listeners."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeGuard

from msgspec import Struct

from tallybook.client.context import Decision, UserContext
from tallybook.client.decide_options import DecideOptions, Wanted
from tallybook.client.decision_service import DecidedFlag, DecisionService
from tallybook.client.impressions import Shown
from tallybook.client.revision import Revision
from tallybook.client.user_state import UserState
from tallybook.decide.variables import variable_values
from tallybook.model.decision import DecisionSource, Verdict
from tallybook.model.project import Flag
from tallybook.model.reason import Reason, ReasonKind, Trace
from tallybook.model.text import is_text, plain
from tallybook.notify import NotificationType

_DECISION: Final = NotificationType.DECISION.value
_FLAG: Final = "flag"  # the type of decision, as listeners know it
_HOLDOUT: Final = DecisionSource.HOLDOUT  # looking up a member takes as long as two calls
_ALWAYS_SHOWN: Final = frozenset({DecisionSource.FEATURE_TEST, DecisionSource.HOLDOUT})


class _Call(Struct, frozen=True, gc=False):
    """One call of the decide family: on which revision, for whom, and what is wanted."""

    revision: Revision
    asker: UserContext
    state: UserState
    wanted: Wanted


class Decider:
    """Decides flags for one client's users. Never raises for data.

    Args:
        service: What decides.
        default_options: Options every call has, besides its own.
        new_decision: What makes decisions of :class:`Decision`'s arguments.
    """

    def __init__(
        self,
        service: DecisionService,
        default_options: Iterable[str],
        new_decision: Callable[..., Decision] = Decision,
    ) -> None:
        self._service = service
        self._logger = service.logger
        self._listeners = service.notifications.listeners_of(NotificationType.DECISION)
        self._new_decision = new_decision
        self._options = DecideOptions(default_options, service.logger)

    def decide(
        self, asker: UserContext, state: UserState, key: object, options: object
    ) -> Decision:
        """Decide one flag, also when it is off: ``ENABLED_FLAGS_ONLY`` does not apply."""
        if type(key) is not str:
            if not is_text(key):
                return self._undecided(asker, key, ReasonKind.FLAG_UNKNOWN)
            key = plain(key)
        revision = self._service.revisions.newest
        if revision is None:
            return self._undecided(asker, key, ReasonKind.NOT_READY)
        flag = revision.project.flag_by_key.get(key)
        if flag is None:
            return self._undecided(asker, key, ReasonKind.FLAG_UNKNOWN)
        call = _Call(revision, asker, state, self._options.read(options))
        return self._settle(call, *self._decide(call, (flag,)))

    def decide_for_keys(
        self, asker: UserContext, state: UserState, keys: object, options: object
    ) -> dict[str, Decision]:
        """Decide the flags named, each as often as it is named; unknown ones stay undecided."""
        named = self._named(keys)
        revision = self._service.revisions.newest
        if revision is None or named is None:
            return {}
        by_key = revision.project.flag_by_key
        call = _Call(revision, asker, state, self._options.read(options))
        return self._settle_all(call, named, [by_key[key] for key in named if key in by_key])

    def decide_all(
        self, asker: UserContext, state: UserState, options: object
    ) -> dict[str, Decision]:
        """Decide every flag."""
        revision = self._service.revisions.newest
        if revision is None:
            self._logger.error("No flags are decided: there is no valid datafile yet.")
            return {}
        call = _Call(revision, asker, state, self._options.read(options))
        flags = revision.project.flags
        return self._settle_all(call, [flag.key for flag in flags], flags)

    def _named(self, keys: object) -> list[str] | None:
        """The keys that are text; ``None``, and a line in the log, if there can be none."""
        try:
            given = list(keys) if _may_hold_keys(keys) else None
        except Exception:  # noqa: BLE001 - somebody else's container, whatever ails it
            given = None
        if given is None:
            name = type(keys).__name__
            self._logger.error("No flags are decided: keys must be a list, not %s.", name)
            return None
        odd = {type(key).__name__ for key in given if not is_text(key)}
        if odd:
            names = ", ".join(sorted(odd))
            self._logger.error("Flags have keys that are strings, not %s.", names)
        return [plain(key) for key in given if is_text(key)]

    def _settle_all(
        self, call: _Call, keys: Iterable[str], flags: Iterable[Flag]
    ) -> dict[str, Decision]:
        # All are decided before the first is told: a listener cannot change what others get.
        decided = self._decide(call, flags)
        settled = {each[0].key: self._settle(call, each) for each in decided}
        failed = {flag.key for flag, verdict, _ in decided if verdict.is_error}
        decisions: dict[str, Decision] = {}
        for key in keys:
            decision = settled.get(key)
            if decision is None:
                decisions[key] = self._undecided(call.asker, key, None)
            elif decision.enabled or call.wanted.off_too or key in failed:
                decisions[key] = decision
        return decisions

    def _decide(self, call: _Call, flags: Iterable[Flag]) -> list[DecidedFlag]:
        return self._service.decide_flags(
            call.revision,
            call.state.visitor,
            flags,
            with_profile=call.wanted.profile,
            with_reasons=call.wanted.reasons,
            options=call.wanted.options,
        )

    def _settle(self, call: _Call, decided: DecidedFlag) -> Decision:
        flag, verdict, trace = decided
        if verdict.is_error:
            return self._failed(call, flag, trace)
        variation, rule, wanted = verdict.variation, verdict.rule, call.wanted
        enabled = variation is not None and variation.enabled
        is_sent = wanted.events and self._show(call, flag, verdict, enabled=enabled)
        variables = variable_values(flag, variation, trace) if wanted.variables else {}
        steps = self._service.log_steps(trace, wanted=wanted.reasons)
        decision = self._new_decision(
            variation_key=variation.key if variation else None,
            enabled=enabled,
            variables=variables,
            rule_key=rule.key if rule else None,
            flag_key=flag.key,
            user_context=call.asker,
            reasons=[step.text for step in steps] if steps else [],
            steps=steps,
        )
        if self._listeners:
            self._tell_decision(decision, verdict, is_sent=is_sent)
        return decision

    def _failed(self, call: _Call, flag: Flag, trace: Trace) -> Decision:
        """What a flag gets whose prediction failed: its reasons unasked, and nobody is told."""
        steps = self._service.log_steps(trace, wanted=True)
        return self._nothing(call.asker, flag.key, steps)

    def _show(self, call: _Call, flag: Flag, verdict: Verdict, *, enabled: bool) -> bool:
        """Send the impressions that are wanted; true when there were some."""
        is_held = verdict.source is _HOLDOUT
        spared_by = None if is_held else verdict.spared_by
        if spared_by is not None:
            is_on = spared_by.variation is not None and spared_by.variation.enabled
            self._send_impression(call, flag, spared_by, enabled=is_on)
        is_shown = verdict.source in _ALWAYS_SHOWN or call.revision.project.send_flag_decisions
        if is_shown:
            self._send_impression(call, flag, verdict, enabled=enabled)
        return is_shown or spared_by is not None

    def _send_impression(self, call: _Call, flag: Flag, verdict: Verdict, *, enabled: bool) -> None:
        shown, attributes = Shown(flag, verdict, enabled), call.state.visitor.attributes
        self._service.impressions.send(call.revision, call.state, shown, attributes)

    def _tell_decision(self, decision: Decision, verdict: Verdict, *, is_sent: bool) -> None:
        asker = decision.user_context
        self._service.notifications.send_notifications(
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

    def _undecided(self, asker: UserContext, key: object, why: ReasonKind | None) -> Decision:
        named = key if is_text(key) else f"<{type(key).__name__}>"
        steps = () if why is None else (Reason(why, {"flag": named}),)
        for step in steps:
            self._logger.log(step.level, "%s", step.text)
        return self._nothing(asker, key, steps)

    def _nothing(self, asker: UserContext, key: object, steps: tuple[Reason, ...]) -> Decision:
        return self._new_decision(
            variation_key=None,
            enabled=False,
            variables={},
            rule_key=None,
            flag_key=key,  # as it was asked, whatever it was
            user_context=asker,
            reasons=[step.text for step in steps],
            steps=steps,
        )


def _may_hold_keys(keys: object) -> TypeGuard[Iterable[object]]:
    return isinstance(keys, Iterable) and not issubclass(type(keys), str | bytes)
