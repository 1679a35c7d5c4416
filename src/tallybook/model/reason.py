"""Noun: one step of a decision, as a kind and the values it speaks of.

Deciding reaches no logger: it notes steps in a :class:`Trace`, and whoever called it logs them at
the kind's level and shows those that are reasons. A note is a kind and a few values; its sentence
is written only when somebody reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

DEBUG: Final = 10  # the numeric levels of the standard library's logging
INFO: Final = 20
WARNING: Final = 30
ERROR: Final = 40


class ReasonKind(StrEnum):
    """Every step a decision can take note of."""

    NOT_READY = "not_ready"
    FLAG_UNKNOWN = "flag_unknown"
    FORCED_FOR_FLAG = "forced_for_flag"
    FORCED_FOR_RULE = "forced_for_rule"
    FORCED_FOR_FLAG_UNKNOWN = "forced_for_flag_unknown"
    FORCED_FOR_RULE_UNKNOWN = "forced_for_rule_unknown"
    NOT_RUNNING = "not_running"
    ALLOWLISTED = "allowlisted"
    ALLOWLISTED_UNKNOWN = "allowlisted_unknown"
    AUDIENCE_CHECKING = "audience_checking"
    AUDIENCE_CHECKED = "audience_checked"
    CONDITIONS_NOT_MET = "conditions_not_met"
    BUCKETING_ID_NOT_TEXT = "bucketing_id_not_text"
    BUCKET_ASSIGNED = "bucket_assigned"
    RULE_WITHOUT_KEY = "rule_without_key"
    IN_NO_EXPERIMENT_OF_GROUP = "in_no_experiment_of_group"
    IN_OTHER_EXPERIMENT_OF_GROUP = "in_other_experiment_of_group"
    IN_EXPERIMENT_OF_GROUP = "in_experiment_of_group"
    EMPTY_TRAFFIC_RANGE = "empty_traffic_range"
    VARIATION_UNKNOWN = "variation_unknown"
    IN_VARIATION = "in_variation"
    IN_NO_VARIATION = "in_no_variation"
    ROLLOUT_UNKNOWN = "rollout_unknown"
    ROLLOUT_WITHOUT_RULES = "rollout_without_rules"
    RULE_CONDITIONS_MET = "rule_conditions_met"
    RULE_CONDITIONS_NOT_MET = "rule_conditions_not_met"
    RULE_BUCKETED = "rule_bucketed"
    RULE_NOT_BUCKETED = "rule_not_bucketed"
    ROLLOUT_BUCKETED = "rollout_bucketed"
    ROLLOUT_NOT_BUCKETED = "rollout_not_bucketed"
    AUDIENCE_UNKNOWN = "audience_unknown"
    AUDIENCE_STARTED = "audience_started"
    AUDIENCE_ANSWERED = "audience_answered"
    CONDITION_MALFORMED = "condition_malformed"
    CONDITION_TYPE_UNKNOWN = "condition_type_unknown"
    MATCH_UNKNOWN = "match_unknown"
    ATTRIBUTE_ABSENT = "attribute_absent"
    ATTRIBUTE_NULL = "attribute_null"
    CONDITION_VALUE_UNUSABLE = "condition_value_unusable"
    ATTRIBUTE_TYPE_UNEXPECTED = "attribute_type_unexpected"
    ATTRIBUTE_OUT_OF_RANGE = "attribute_out_of_range"
    VERSION_INVALID = "version_invalid"
    VARIABLE_USED = "variable_used"
    VARIABLE_UNCASTABLE = "variable_uncastable"


class _Step(NamedTuple):
    level: int
    is_reason: bool
    sentence: str


_K = ReasonKind
_STEPS: Final[Mapping[ReasonKind, _Step]] = {
    _K.NOT_READY: _Step(ERROR, True, "The client is not ready: it has no valid datafile yet."),
    _K.FLAG_UNKNOWN: _Step(ERROR, True, 'The datafile has no flag with the key "{flag}".'),
    _K.FORCED_FOR_FLAG: _Step(
        INFO, True, 'Variation "{variation}" was forced for flag "{flag}" and user "{user}".'
    ),
    _K.FORCED_FOR_RULE: _Step(
        INFO,
        True,
        'Variation "{variation}" was forced for flag "{flag}", rule "{rule}" and user "{user}".',
    ),
    _K.FORCED_FOR_FLAG_UNKNOWN: _Step(
        INFO,
        True,
        'The variation forced for flag "{flag}" and user "{user}" is none of the flag\'s.',
    ),
    _K.FORCED_FOR_RULE_UNKNOWN: _Step(
        INFO,
        True,
        'The variation forced for flag "{flag}", rule "{rule}" and user "{user}"'
        " is none of the flag's.",
    ),
    _K.NOT_RUNNING: _Step(INFO, True, 'Experiment "{experiment}" is not running.'),
    _K.ALLOWLISTED: _Step(
        INFO, True, 'User "{user}" is on the allowlist for variation "{variation}".'
    ),
    _K.ALLOWLISTED_UNKNOWN: _Step(
        ERROR,
        False,
        'The allowlist of experiment "{experiment}" names the unknown variation "{variation}".',
    ),
    _K.AUDIENCE_CHECKING: _Step(
        DEBUG, True, 'Checking the audience of {what} "{name}": {expression}.'
    ),
    _K.AUDIENCE_CHECKED: _Step(INFO, True, 'The audience of {what} "{name}" is {result}.'),
    _K.CONDITIONS_NOT_MET: _Step(
        INFO, True, 'User "{user}" is not in the audience of experiment "{experiment}".'
    ),
    _K.BUCKETING_ID_NOT_TEXT: _Step(
        WARNING, True, "The bucketing id has type {got} instead of str; the user id buckets."
    ),
    _K.BUCKET_ASSIGNED: _Step(
        DEBUG, False, 'Bucketing id "{bucketing_id}" falls into bucket {bucket} of "{parent}".'
    ),
    _K.RULE_WITHOUT_KEY: _Step(DEBUG, False, 'Rule "{rule}" has a blank key and buckets nobody.'),
    _K.IN_NO_EXPERIMENT_OF_GROUP: _Step(
        INFO, True, 'User "{user}" is in no experiment of group "{group}".'
    ),
    _K.IN_OTHER_EXPERIMENT_OF_GROUP: _Step(
        INFO, True, 'User "{user}" is not in experiment "{experiment}" of group "{group}".'
    ),
    _K.IN_EXPERIMENT_OF_GROUP: _Step(
        INFO, True, 'User "{user}" is in experiment "{experiment}" of group "{group}".'
    ),
    _K.EMPTY_TRAFFIC_RANGE: _Step(INFO, True, 'The bucket in "{rule}" has no variation.'),
    _K.VARIATION_UNKNOWN: _Step(
        ERROR, False, 'The allocation of "{rule}" names the unknown variation id "{variation}".'
    ),
    _K.IN_VARIATION: _Step(
        INFO, True, 'User "{user}" is in variation "{variation}" of experiment "{experiment}".'
    ),
    _K.IN_NO_VARIATION: _Step(
        INFO, True, 'User "{user}" is in no variation of experiment "{experiment}".'
    ),
    _K.ROLLOUT_UNKNOWN: _Step(DEBUG, True, 'Flag "{flag}" names the unknown rollout "{rollout}".'),
    _K.ROLLOUT_WITHOUT_RULES: _Step(DEBUG, True, 'Rollout "{rollout}" has no rules.'),
    _K.RULE_CONDITIONS_MET: _Step(
        DEBUG, True, 'User "{user}" is in the audience of delivery rule "{rule}".'
    ),
    _K.RULE_CONDITIONS_NOT_MET: _Step(
        DEBUG, True, 'User "{user}" is not in the audience of delivery rule "{rule}".'
    ),
    _K.RULE_BUCKETED: _Step(DEBUG, True, 'Delivery rule "{rule}" reaches user "{user}".'),
    _K.RULE_NOT_BUCKETED: _Step(
        DEBUG,
        True,
        'The traffic of delivery rule "{rule}" misses user "{user}"; everyone else is next.',
    ),
    _K.ROLLOUT_BUCKETED: _Step(DEBUG, False, 'A delivery rule of flag "{flag}" has user "{user}".'),
    _K.ROLLOUT_NOT_BUCKETED: _Step(
        DEBUG, False, 'No delivery rule of flag "{flag}" has user "{user}".'
    ),
    _K.AUDIENCE_UNKNOWN: _Step(
        ERROR, False, 'The datafile has no audience with the id "{audience}".'
    ),
    _K.AUDIENCE_STARTED: _Step(
        DEBUG, False, 'Evaluating audience "{audience}" with conditions {conditions}.'
    ),
    _K.AUDIENCE_ANSWERED: _Step(DEBUG, False, 'Audience "{audience}" is {result}.'),
    _K.CONDITION_MALFORMED: _Step(WARNING, False, "This is no audience condition: {value}."),
    _K.CONDITION_TYPE_UNKNOWN: _Step(
        WARNING, False, 'The condition on attribute "{attribute}" has the unknown type {type}.'
    ),
    _K.MATCH_UNKNOWN: _Step(
        WARNING, False, 'The condition on attribute "{attribute}" has the unknown match {match}.'
    ),
    _K.ATTRIBUTE_ABSENT: _Step(
        DEBUG, False, 'The user has no attribute "{attribute}"; its {match} condition is unknown.'
    ),
    _K.ATTRIBUTE_NULL: _Step(
        DEBUG,
        False,
        'The user\'s attribute "{attribute}" is null; its {match} condition is unknown.',
    ),
    _K.CONDITION_VALUE_UNUSABLE: _Step(
        WARNING,
        False,
        'The {match} condition on attribute "{attribute}" has an unusable value: {expected}.',
    ),
    _K.ATTRIBUTE_TYPE_UNEXPECTED: _Step(
        WARNING,
        False,
        'The user\'s attribute "{attribute}" has type {got}, which {match} cannot compare with'
        " {expected}.",
    ),
    _K.ATTRIBUTE_OUT_OF_RANGE: _Step(
        WARNING,
        False,
        'The user\'s attribute "{attribute}" is not a finite number up to 2^53;'
        " its {match} condition is unknown.",
    ),
    _K.VERSION_INVALID: _Step(
        WARNING,
        False,
        'Attribute "{attribute}" or the value {expected} of its {match} condition'
        " is no semantic version.",
    ),
    _K.VARIABLE_USED: _Step(
        DEBUG, False, 'Variable "{variable}" of flag "{flag}" is "{value}" in this variation.'
    ),
    _K.VARIABLE_UNCASTABLE: _Step(
        ERROR,
        False,
        'Variable "{variable}" of flag "{flag}" cannot be read as {type}: "{value}".',
    ),
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One step taken; ``values`` fill the kind's sentence."""

    kind: ReasonKind
    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def level(self) -> int:
        """How loud the step is, in the numbers of the standard library's logging."""
        return _STEPS[self.kind].level

    @property
    def is_reason(self) -> bool:
        """True when the step is shown to whoever asks for reasons; others are for the log only."""
        return _STEPS[self.kind].is_reason

    @property
    def text(self) -> str:
        """The step as one English sentence."""
        shown = {name: _shown(value) for name, value in self.values.items()}
        return _STEPS[self.kind].sentence.format_map(shown)


class Trace:
    """Collects the steps of one decision, in the order in which they were taken."""

    __slots__ = ("_notes",)

    def __init__(self) -> None:
        self._notes: list[tuple[ReasonKind, dict[str, object]]] = []

    def note(self, kind: ReasonKind, /, **values: object) -> None:
        """Remember a step; ``values`` are text, numbers or JSON values out of the datafile."""
        self._notes.append((kind, values))

    @property
    def reasons(self) -> list[Reason]:
        """Every step noted so far, those for the log only included."""
        return [Reason(kind, values) for kind, values in self._notes]

    def at_least(self, level: int) -> list[Reason]:
        """The steps noted so far that are as loud as ``level`` or louder."""
        return [Reason(kind, values) for kind, values in self._notes if _STEPS[kind].level >= level]


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
