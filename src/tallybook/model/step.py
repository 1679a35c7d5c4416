"""Noun: the kinds of steps a decision can take, how loud each is, and its sentence."""

from __future__ import annotations

from collections.abc import Mapping
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
    FORCED_VARIATION = "forced_variation"
    FORCED_VARIATION_UNKNOWN = "forced_variation_unknown"
    STORED_VARIATION = "stored_variation"
    STORED_VARIATION_UNKNOWN = "stored_variation_unknown"
    HELD_IN_VARIATION = "held_in_variation"
    NOT_HELD = "not_held"
    HOLDOUT_CONDITIONS_NOT_MET = "holdout_conditions_not_met"
    HELD_FROM_FLAG = "held_from_flag"
    HELD_FROM_RULE = "held_from_rule"
    HOLDOUT_SPARES_DELIVERIES = "holdout_spares_deliveries"
    DELIVERIES_NEXT = "deliveries_next"
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
    VARIABLES_UNKNOWN = "variables_unknown"
    VARIABLE_UNCASTABLE = "variable_uncastable"


class Step(NamedTuple):
    """How loud a kind of step is, whether it is a reason, and its sentence."""

    level: int
    is_reason: bool
    sentence: str


_K = ReasonKind
STEPS: Final[Mapping[ReasonKind, Step]] = {
    _K.NOT_READY: Step(ERROR, True, "The client is not ready: it has no valid datafile yet."),
    _K.FLAG_UNKNOWN: Step(ERROR, True, 'The datafile has no flag with the key "{flag}".'),
    _K.FORCED_FOR_FLAG: Step(
        INFO, True, 'Variation "{variation}" was forced for flag "{flag}" and user "{user}".'
    ),
    _K.FORCED_FOR_RULE: Step(
        INFO,
        True,
        'Variation "{variation}" was forced for flag "{flag}", rule "{rule}" and user "{user}".',
    ),
    _K.FORCED_FOR_FLAG_UNKNOWN: Step(
        INFO,
        True,
        'The variation forced for flag "{flag}" and user "{user}" is none of the flag\'s.',
    ),
    _K.FORCED_FOR_RULE_UNKNOWN: Step(
        INFO,
        True,
        'The variation forced for flag "{flag}", rule "{rule}" and user "{user}"'
        " is none of the flag's.",
    ),
    _K.NOT_RUNNING: Step(INFO, True, 'Experiment "{experiment}" is not running.'),
    _K.ALLOWLISTED: Step(
        INFO, True, 'User "{user}" is on the allowlist for variation "{variation}".'
    ),
    _K.ALLOWLISTED_UNKNOWN: Step(
        ERROR,
        False,
        'The allowlist of experiment "{experiment}" names the unknown variation "{variation}".',
    ),
    _K.AUDIENCE_CHECKING: Step(
        DEBUG, True, 'Checking the audience of {what} "{name}": {expression}.'
    ),
    _K.AUDIENCE_CHECKED: Step(INFO, True, 'The audience of {what} "{name}" is {result}.'),
    _K.CONDITIONS_NOT_MET: Step(
        INFO, True, 'User "{user}" is not in the audience of experiment "{experiment}".'
    ),
    _K.FORCED_VARIATION: Step(
        DEBUG,
        True,
        'Variation "{variation}" was forced for experiment "{experiment}" and user "{user}".',
    ),
    _K.FORCED_VARIATION_UNKNOWN: Step(
        ERROR,
        False,
        'The variation id "{variation}" forced for experiment "{experiment}"'
        " is not in the datafile.",
    ),
    _K.STORED_VARIATION: Step(
        INFO,
        True,
        'User "{user}" keeps variation "{variation}" of experiment "{experiment}",'
        " as the user profile says.",
    ),
    _K.STORED_VARIATION_UNKNOWN: Step(
        ERROR,
        False,
        'The user profile names the variation id "{variation}" for experiment "{experiment}",'
        " which the datafile does not have.",
    ),
    _K.HELD_IN_VARIATION: Step(
        INFO, True, 'User "{user}" is in variation "{variation}" of holdout "{holdout}".'
    ),
    _K.NOT_HELD: Step(INFO, True, 'User "{user}" is in no variation of holdout "{holdout}".'),
    _K.HOLDOUT_CONDITIONS_NOT_MET: Step(
        DEBUG, True, 'User "{user}" is not in the audience of holdout "{holdout}".'
    ),
    _K.HELD_FROM_FLAG: Step(
        INFO, True, 'Holdout "{holdout}" holds user "{user}" back from flag "{flag}".'
    ),
    _K.HELD_FROM_RULE: Step(
        INFO, True, 'Holdout "{holdout}" holds user "{user}" back from rule "{rule}".'
    ),
    _K.HOLDOUT_SPARES_DELIVERIES: Step(
        INFO, True, 'Holdout "{holdout}" lets targeted deliveries through.'
    ),
    _K.DELIVERIES_NEXT: Step(
        INFO, True, 'The delivery rules of flag "{flag}" are next, in spite of holdout "{holdout}".'
    ),
    _K.BUCKETING_ID_NOT_TEXT: Step(
        WARNING, True, "The bucketing id has type {got} instead of str; the user id buckets."
    ),
    _K.BUCKET_ASSIGNED: Step(
        DEBUG, False, 'Bucketing id "{bucketing_id}" falls into bucket {bucket} of "{parent}".'
    ),
    _K.RULE_WITHOUT_KEY: Step(DEBUG, False, 'Rule "{rule}" has a blank key and buckets nobody.'),
    _K.IN_NO_EXPERIMENT_OF_GROUP: Step(
        INFO, True, 'User "{user}" is in no experiment of group "{group}".'
    ),
    _K.IN_OTHER_EXPERIMENT_OF_GROUP: Step(
        INFO, True, 'User "{user}" is not in experiment "{experiment}" of group "{group}".'
    ),
    _K.IN_EXPERIMENT_OF_GROUP: Step(
        INFO, True, 'User "{user}" is in experiment "{experiment}" of group "{group}".'
    ),
    _K.EMPTY_TRAFFIC_RANGE: Step(INFO, True, 'The bucket in "{rule}" has no variation.'),
    _K.VARIATION_UNKNOWN: Step(
        ERROR, False, 'The allocation of "{rule}" names the unknown variation id "{variation}".'
    ),
    _K.IN_VARIATION: Step(
        INFO, True, 'User "{user}" is in variation "{variation}" of experiment "{experiment}".'
    ),
    _K.IN_NO_VARIATION: Step(
        INFO, True, 'User "{user}" is in no variation of experiment "{experiment}".'
    ),
    _K.ROLLOUT_UNKNOWN: Step(DEBUG, True, 'Flag "{flag}" names the unknown rollout "{rollout}".'),
    _K.ROLLOUT_WITHOUT_RULES: Step(DEBUG, True, 'Rollout "{rollout}" has no rules.'),
    _K.RULE_CONDITIONS_MET: Step(
        DEBUG, True, 'User "{user}" is in the audience of delivery rule "{rule}".'
    ),
    _K.RULE_CONDITIONS_NOT_MET: Step(
        DEBUG, True, 'User "{user}" is not in the audience of delivery rule "{rule}".'
    ),
    _K.RULE_BUCKETED: Step(DEBUG, True, 'Delivery rule "{rule}" reaches user "{user}".'),
    _K.RULE_NOT_BUCKETED: Step(
        DEBUG,
        True,
        'The traffic of delivery rule "{rule}" misses user "{user}"; everyone else is next.',
    ),
    _K.ROLLOUT_BUCKETED: Step(DEBUG, False, 'A delivery rule of flag "{flag}" has user "{user}".'),
    _K.ROLLOUT_NOT_BUCKETED: Step(
        DEBUG, False, 'No delivery rule of flag "{flag}" has user "{user}".'
    ),
    _K.AUDIENCE_UNKNOWN: Step(
        ERROR, False, 'The datafile has no audience with the id "{audience}".'
    ),
    _K.AUDIENCE_STARTED: Step(
        DEBUG, False, 'Evaluating audience "{audience}" with conditions {conditions}.'
    ),
    _K.AUDIENCE_ANSWERED: Step(DEBUG, False, 'Audience "{audience}" is {result}.'),
    _K.CONDITION_MALFORMED: Step(WARNING, False, "This is no audience condition: {value}."),
    _K.CONDITION_TYPE_UNKNOWN: Step(
        WARNING, False, 'The condition on attribute "{attribute}" has the unknown type {type}.'
    ),
    _K.MATCH_UNKNOWN: Step(
        WARNING, False, 'The condition on attribute "{attribute}" has the unknown match {match}.'
    ),
    _K.ATTRIBUTE_ABSENT: Step(
        DEBUG, False, 'The user has no attribute "{attribute}"; its {match} condition is unknown.'
    ),
    _K.ATTRIBUTE_NULL: Step(
        DEBUG,
        False,
        'The user\'s attribute "{attribute}" is null; its {match} condition is unknown.',
    ),
    _K.CONDITION_VALUE_UNUSABLE: Step(
        WARNING,
        False,
        'The {match} condition on attribute "{attribute}" has an unusable value: {expected}.',
    ),
    _K.ATTRIBUTE_TYPE_UNEXPECTED: Step(
        WARNING,
        False,
        'The user\'s attribute "{attribute}" has type {got}, which {match} cannot compare with'
        " {expected}.",
    ),
    _K.ATTRIBUTE_OUT_OF_RANGE: Step(
        WARNING,
        False,
        'The user\'s attribute "{attribute}" is not a finite number up to 2^53;'
        " its {match} condition is unknown.",
    ),
    _K.VERSION_INVALID: Step(
        WARNING,
        False,
        'Attribute "{attribute}" or the value {expected} of its {match} condition'
        " is no semantic version.",
    ),
    _K.VARIABLE_USED: Step(
        DEBUG, False, 'Variable "{variable}" of flag "{flag}" is "{value}" in this variation.'
    ),
    _K.VARIABLES_UNKNOWN: Step(
        ERROR,
        False,
        'The datafile describes no variables for the variation "{variation}" of flag "{flag}".',
    ),
    _K.VARIABLE_UNCASTABLE: Step(
        ERROR,
        False,
        'Variable "{variable}" of flag "{flag}" cannot be read as {type}: "{value}".',
    ),
}
