"""Noun: how loud each kind of step is, whether it is a reason, and its sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from tallybook.model.reason_kind import ReasonKind

DEBUG: Final = 10  # the numeric levels of the standard library's logging
INFO: Final = 20
WARNING: Final = 30
ERROR: Final = 40


class Step(Struct, frozen=True):
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
    _K.CMAB_NOT_ALLOCATED: Step(
        INFO, True, 'The traffic of the bandit experiment "{experiment}" misses user "{user}".'
    ),
    _K.CMAB_CACHE_IGNORED: Step(
        DEBUG, True, 'Predictions kept for user "{user}" and rule "{rule}" are ignored, as asked.'
    ),
    _K.CMAB_CACHE_RESET: Step(
        DEBUG, True, 'All predictions kept are dropped, as asked for user "{user}", rule "{rule}".'
    ),
    _K.CMAB_CACHE_INVALIDATED: Step(
        DEBUG, True, 'The prediction kept for user "{user}" and rule "{rule}" is dropped, as asked.'
    ),
    _K.CMAB_CACHE_HIT: Step(
        DEBUG, True, 'A prediction for user "{user}" and rule "{rule}" was kept, and holds.'
    ),
    _K.CMAB_CACHE_MISMATCH: Step(
        DEBUG,
        True,
        'The prediction kept for user "{user}" and rule "{rule}" was for other attributes.',
    ),
    _K.CMAB_CACHE_MISS: Step(
        DEBUG, True, 'No prediction is kept for user "{user}" and rule "{rule}".'
    ),
    _K.CMAB_PREDICTED: Step(
        DEBUG,
        True,
        'The prediction "{cmab_uuid}" for user "{user}" and rule "{rule}"'
        ' is the variation id "{variation}".',
    ),
    _K.CMAB_REMARK: Step(DEBUG, True, 'The prediction service remarks: "{remark}".'),
    _K.CMAB_NOT_STORED: Step(
        DEBUG, False, 'The bandit experiment "{experiment}" is not kept in user profiles.'
    ),
    _K.CMAB_VARIATION_UNKNOWN: Step(
        ERROR,
        False,
        'The variation id "{variation}" predicted for experiment "{experiment}"'
        " is not in the datafile.",
    ),
    _K.CMAB_PENDING: Step(
        DEBUG, True, 'There is no prediction for experiment "{experiment}" yet: {cause}.'
    ),
    _K.CMAB_FAILED: Step(
        ERROR, True, 'No variation of experiment "{experiment}" was predicted: {cause}.'
    ),
}
