"""Flags asked for by user id: is one on, which are on, what are their variables."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from tallybook.client.arguments import (
    are_attributes,
    guest_of,
    is_key,
    is_user_id,
    not_ready,
    plain,
)
from tallybook.client.context import Guest
from tallybook.client.desk import Desk, Judgement, log_steps
from tallybook.client.impressions import Shown
from tallybook.client.revision import Revision
from tallybook.decide.variables import variable_value, variable_values
from tallybook.model.decision import DecisionSource, Verdict, Visitor
from tallybook.model.project import Flag, Variable

_FEATURE: Final = "feature"  # the types of decision, as listeners know them
_FEATURE_VARIABLE: Final = "feature-variable"
_ALL_FEATURE_VARIABLES: Final = "all-feature-variables"

_logger: Final = logging.getLogger("tallybook")


class Features:
    """Answers for one client's flags, forced decisions aside. Whatever is wrong is logged."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def is_enabled(self, feature_key: object, user_id: object, attributes: object) -> bool:
        """True when the flag is on for the user; an experiment's impression is sent."""
        if not is_key("feature_key", feature_key) or not self._is_user(user_id, attributes):
            return False
        revision = self._revision("is_feature_enabled")
        flag = _flag(revision, feature_key) if revision else None
        if revision is None or flag is None:
            return False
        return self._is_on(revision, flag, guest_of(user_id, attributes), attributes)

    def enabled_keys(self, user_id: object, attributes: object) -> list[str]:
        """The keys of the flags that are on, in the datafile's order; each is asked by itself."""
        revision = None
        if self._is_user(user_id, attributes):
            revision = self._revision("get_enabled_features")
        if revision is None:
            return []
        guest = guest_of(user_id, attributes)
        flags = revision.project.flags
        return [f.key for f in flags if self._is_on(revision, f, guest, attributes)]

    def variable(
        self,
        names: tuple[object, object],
        user_id: object,
        attributes: object,
        *,
        wanted: str | None,
    ) -> Any:
        """The value of a variable by flag and variable key; ``None`` if not of type ``wanted``."""
        feature_key, variable_key = names
        keys = {"feature_key": feature_key, "variable_key": variable_key}
        asked = self._asked("get_feature_variable", keys, user_id, attributes)
        variable = _variable(asked[1], variable_key, wanted) if asked else None
        if asked is None or variable is None:
            return None
        revision, flag = asked
        visitor = guest_of(user_id, attributes).visitor
        judged = self._judge(revision, flag, visitor)
        value = variable_value(variable, flag, judged.verdict.variation, judged.trace)
        log_steps(judged.trace, wanted=False)
        info = _info(judged) | {
            "variable_key": variable.key,
            "variable_value": value,
            "variable_type": variable.type,
            "source_info": _source_info(judged.verdict, held=True),
        }
        self._desk.tell_decision(_FEATURE_VARIABLE, visitor, info)
        return value

    def all_variables(
        self, feature_key: object, user_id: object, attributes: object
    ) -> dict[str, Any] | None:
        """The values of all variables of a flag by key."""
        keys = {"feature_key": feature_key}
        asked = self._asked("get_all_feature_variables", keys, user_id, attributes)
        if asked is None:
            return None
        revision, flag = asked
        visitor = guest_of(user_id, attributes).visitor
        judged = self._judge(revision, flag, visitor)
        values = variable_values(flag, judged.verdict.variation, judged.trace)
        log_steps(judged.trace, wanted=False)
        info = {
            "feature_key": flag.key,
            "feature_enabled": _is_enabled(judged.verdict),
            "variable_values": values,
            "source": judged.verdict.source.value,
            "source_info": _source_info(judged.verdict),
        }
        self._desk.tell_decision(_ALL_FEATURE_VARIABLES, visitor, info)
        return values

    def _asked(
        self, call: str, keys: Mapping[str, object], user_id: object, attributes: object
    ) -> tuple[Revision, Flag] | None:
        revision = self._revision(call)
        if revision is None or not all(is_key(name, value) for name, value in keys.items()):
            return None
        if not self._is_user(user_id, attributes):
            return None
        flag = _flag(revision, keys["feature_key"])
        return (revision, flag) if flag else None

    def _is_user(self, user_id: object, attributes: object) -> bool:
        return is_user_id(user_id) and are_attributes(attributes, self._desk.faults)

    def _revision(self, call: str) -> Revision | None:
        revision = self._desk.revisions.newest
        if revision is None:
            not_ready(call)
        return revision

    def _judge(self, revision: Revision, flag: Flag, visitor: Visitor) -> Judgement:
        return self._desk.judge(revision, visitor, (flag,), with_profile=True)[0]

    def _is_on(self, revision: Revision, flag: Flag, guest: Guest, attributes: object) -> bool:
        judged = self._judge(revision, flag, guest.visitor)
        log_steps(judged.trace, wanted=False)
        verdict = judged.verdict
        enabled = _is_enabled(verdict)
        if _is_shown(revision, verdict):
            shown = Shown(flag, verdict, enabled)
            self._desk.impressions.send(revision, guest, shown, attributes)
        info = _info(judged) | {"source_info": _source_info(verdict)}
        self._desk.tell_decision(_FEATURE, guest.visitor, info)
        return enabled


def _flag(revision: Revision, feature_key: object) -> Flag | None:
    flag = revision.project.flag_by_key.get(plain(feature_key))
    if flag is None:
        _logger.error("The datafile has no flag %r.", feature_key)
    return flag


def _variable(flag: Flag, key: object, wanted: str | None) -> Variable | None:
    variable = flag.variable_by_key.get(plain(key))
    if variable is None:
        _logger.error("Flag %r has no variable %r.", flag.key, key)
        return None
    if wanted is not None and variable.type != wanted:
        _logger.warning("Variable %r is of type %s, not %s.", key, variable.type, wanted)
        return None
    return variable


def _is_shown(revision: Revision, verdict: Verdict) -> bool:
    """True when an impression is to be sent: unlike ``decide``, never one of a holdout."""
    if verdict.source is DecisionSource.FEATURE_TEST and verdict.variation is not None:
        return True
    return verdict.source is not DecisionSource.HOLDOUT and revision.project.send_flag_decisions


def _is_enabled(verdict: Verdict) -> bool:
    return verdict.variation is not None and verdict.variation.enabled


def _info(judged: Judgement) -> dict[str, object]:
    return {
        "feature_key": judged.flag.key,
        "feature_enabled": _is_enabled(judged.verdict),
        "source": judged.verdict.source.value,
    }


def _source_info(verdict: Verdict, *, held: bool = False) -> dict[str, str]:
    sources = {DecisionSource.FEATURE_TEST, *((DecisionSource.HOLDOUT,) if held else ())}
    if verdict.rule is None or verdict.variation is None or verdict.source not in sources:
        return {}
    return {"experiment_key": verdict.rule.key, "variation_key": verdict.variation.key}
