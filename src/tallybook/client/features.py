"""Flags asked for by user id: is one on, which are on, what are their variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tallybook.client.arguments import are_attributes, is_key, is_user_id
from tallybook.client.decision_service import DecisionService
from tallybook.client.impressions import Shown
from tallybook.client.revision import Revision
from tallybook.client.user_state import UserState, state_of
from tallybook.decide.variables import variable_value, variable_values
from tallybook.model.decision import DecisionSource, Verdict, Visitor
from tallybook.model.project import Flag, Variable
from tallybook.model.reason import Trace
from tallybook.model.text import excerpt, plain

_FEATURE: Final = "feature"  # the types of decision, as listeners know them
_FEATURE_VARIABLE: Final = "feature-variable"
_ALL_FEATURE_VARIABLES: Final = "all-feature-variables"


class Features:
    """Answers for one client's flags, forced decisions aside. Whatever is wrong is logged."""

    def __init__(self, service: DecisionService) -> None:
        self._service = service
        self._diagnostics = service.diagnostics
        self._logger = service.logger

    def is_enabled(self, feature_key: object, user_id: object, attributes: object) -> bool:
        """True when the flag is on for the user; an experiment's impression is sent."""
        if not is_key("feature_key", feature_key, self._diagnostics):
            return False
        if not self._is_user(user_id, attributes):
            return False
        revision = self._service.revision_for("is_feature_enabled")
        flag = self._flag(revision, feature_key) if revision else None
        if revision is None or flag is None:
            return False
        return self._is_on(revision, flag, state_of(user_id, attributes), attributes)

    def enabled_keys(self, user_id: object, attributes: object) -> list[str]:
        """The keys of the flags that are on, in the datafile's order; each is asked by itself."""
        revision = None
        if self._is_user(user_id, attributes):
            revision = self._service.revision_for("get_enabled_features")
        if revision is None:
            return []
        state = state_of(user_id, attributes)
        flags = revision.project.flags
        return [f.key for f in flags if self._is_on(revision, f, state, attributes)]

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
        variable = self._variable(asked[1], variable_key, wanted) if asked else None
        if asked is None or variable is None:
            return None
        revision, flag = asked
        visitor = state_of(user_id, attributes).visitor
        verdict, trace = self._decide(revision, flag, visitor)
        value = variable_value(variable, flag, verdict.variation, trace)
        self._service.log_steps(trace, wanted=False)
        info = _info(flag, verdict) | {
            "variable_key": variable.key,
            "variable_value": value,
            "variable_type": variable.type,
            "source_info": _source_info(verdict, held=True),
        }
        self._service.tell_decision(_FEATURE_VARIABLE, visitor, info)
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
        visitor = state_of(user_id, attributes).visitor
        verdict, trace = self._decide(revision, flag, visitor)
        values = variable_values(flag, verdict.variation, trace)
        self._service.log_steps(trace, wanted=False)
        info = {
            "feature_key": flag.key,
            "feature_enabled": _is_enabled(verdict),
            "variable_values": values,
            "source": verdict.source.value,
            "source_info": _source_info(verdict),
        }
        self._service.tell_decision(_ALL_FEATURE_VARIABLES, visitor, info)
        return values

    def _asked(
        self, call: str, keys: Mapping[str, object], user_id: object, attributes: object
    ) -> tuple[Revision, Flag] | None:
        revision = self._service.revision_for(call)
        if revision is None:
            return None
        if not all(is_key(name, value, self._diagnostics) for name, value in keys.items()):
            return None
        if not self._is_user(user_id, attributes):
            return None
        flag = self._flag(revision, keys["feature_key"])
        return (revision, flag) if flag else None

    def _is_user(self, user_id: object, attributes: object) -> bool:
        if not is_user_id(user_id, self._diagnostics):
            return False
        return are_attributes(attributes, self._diagnostics)

    def _decide(self, revision: Revision, flag: Flag, visitor: Visitor) -> tuple[Verdict, Trace]:
        _, verdict, trace = self._service.decide_flags(revision, visitor, (flag,))[0]
        return verdict, trace

    def _is_on(self, revision: Revision, flag: Flag, state: UserState, attributes: object) -> bool:
        verdict, trace = self._decide(revision, flag, state.visitor)
        self._service.log_steps(trace, wanted=False)
        enabled = _is_enabled(verdict)
        if _is_shown(revision, verdict):
            shown = Shown(flag, verdict, enabled)
            self._service.impressions.send(revision, state, shown, attributes)
        info = _info(flag, verdict) | {"source_info": _source_info(verdict)}
        self._service.tell_decision(_FEATURE, state.visitor, info)
        return enabled

    def _flag(self, revision: Revision, feature_key: object) -> Flag | None:
        flag = revision.project.flag_by_key.get(plain(feature_key))
        if flag is None:
            self._logger.error("The datafile has no flag %s.", excerpt(feature_key))
        return flag

    def _variable(self, flag: Flag, key: object, wanted: str | None) -> Variable | None:
        variable = flag.variable_by_key.get(plain(key))
        if variable is None:
            self._logger.error("Flag %r has no variable %s.", flag.key, excerpt(key))
            return None
        if wanted is not None and variable.type != wanted:
            message = "Variable %s is of type %s, not %s."
            self._logger.warning(message, excerpt(key), variable.type, wanted)
            return None
        return variable


def _is_shown(revision: Revision, verdict: Verdict) -> bool:
    """True when an impression is to be sent: unlike ``decide``, never one of a holdout."""
    if verdict.source is DecisionSource.FEATURE_TEST and verdict.variation is not None:
        return True
    return verdict.source is not DecisionSource.HOLDOUT and revision.project.send_flag_decisions


def _is_enabled(verdict: Verdict) -> bool:
    return verdict.variation is not None and verdict.variation.enabled


def _info(flag: Flag, verdict: Verdict) -> dict[str, object]:
    return {
        "feature_key": flag.key,
        "feature_enabled": _is_enabled(verdict),
        "source": verdict.source.value,
    }


def _source_info(verdict: Verdict, *, held: bool = False) -> dict[str, str]:
    sources = {DecisionSource.FEATURE_TEST, *((DecisionSource.HOLDOUT,) if held else ())}
    if verdict.rule is None or verdict.variation is None or verdict.source not in sources:
        return {}
    return {"experiment_key": verdict.rule.key, "variation_key": verdict.variation.key}
