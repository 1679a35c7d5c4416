"""Which variation a visitor falls into: a hash, a bucket, a walk along the allocation.

The bucket follows from the bucketing id and the id of the rule (or group) alone, so every SDK that
hashes the same way gives a visitor the same variation, for as long as the allocation stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import mmh3

from tallybook.model.decision import Visitor
from tallybook.model.project import (
    RANDOM_GROUP,
    TOTAL_TRAFFIC,
    Experiment,
    Group,
    Range,
    Variation,
)
from tallybook.model.reason import WARNING, ReasonKind, Trace
from tallybook.model.text import is_text, plain

BUCKETING_ID_KEY: Final = "$opt_bucketing_id"
_SEED = 1
_HASH_BITS = 32
_WHOLE_BANDIT: Final = "$"  # no variation: those of a contextual bandit are predicted
_GROUP_KINDS: Final[Mapping[bool, ReasonKind]] = {
    True: ReasonKind.IN_EXPERIMENT_OF_GROUP,
    False: ReasonKind.IN_OTHER_EXPERIMENT_OF_GROUP,
}


def bucket_number(bucketing_id: str, parent_id: str) -> int:
    """The bucket, 0 to 9,999, of a visitor under the rule or group ``parent_id``.

    Source:
        MurmurHash3 (A. Appleby, public domain), the 32-bit variant for x86, over the UTF-8 bytes.

    Example:
        >>> bucket_number("ppid1", "1886780721")
        5254
    """
    key = bucketing_id + parent_id
    # A lone surrogate is no character, but what it stands for must not stop a decision.
    hashed = key if key.isascii() else key.encode("utf-8", "surrogatepass")
    return mmh3.hash(hashed, _SEED, False) * TOTAL_TRAFFIC >> _HASH_BITS


def bucketing_id_of(visitor: Visitor, trace: Trace) -> str:
    """What is hashed for a visitor: the reserved attribute where it is text, else the user id."""
    given = visitor.attributes.get(BUCKETING_ID_KEY)
    if given is None:
        return visitor.user_id
    if is_text(given):
        return plain(given)
    trace.note(ReasonKind.BUCKETING_ID_NOT_TEXT, got=type(given).__name__)
    return visitor.user_id


def bucket(rule: Experiment, user_id: str, bucketing_id: str, trace: Trace) -> Variation | None:
    """The variation a visitor is bucketed into, after the rule's group had its say."""
    if not rule.key or rule.key.isspace():
        trace.note(ReasonKind.RULE_WITHOUT_KEY, rule=rule.id)
        return None
    entity_id = _entity_of(rule, user_id, bucketing_id, trace)
    if not entity_id:
        if trace.level < WARNING:
            trace.note(ReasonKind.EMPTY_TRAFFIC_RANGE, rule=rule.key)
        return None
    variation = rule.variation_by_id.get(entity_id)
    if variation is None:
        trace.note(ReasonKind.VARIATION_UNKNOWN, rule=rule.key, variation=entity_id)
    return variation


def is_in_traffic(rule: Experiment, user_id: str, bucketing_id: str, trace: Trace) -> bool:
    """True when a visitor belongs to the traffic a contextual bandit's rule decides for."""
    return _entity_of(rule, user_id, bucketing_id, trace) is not None


def _entity_of(rule: Experiment, user_id: str, bucketing_id: str, trace: Trace) -> str | None:
    if rule.group is not None and not _is_let_in(rule, rule.group, (user_id, bucketing_id), trace):
        return None
    allocation = rule.allocation
    if rule.cmab is not None:
        allocation = (Range(_WHOLE_BANDIT, rule.cmab.traffic),)
    return _entity_at(bucketing_id, rule.id, allocation, trace)


def _is_let_in(rule: Experiment, group: Group, who: tuple[str, str], trace: Trace) -> bool:
    if group.policy != RANDOM_GROUP:
        return True
    user_id, bucketing_id = who
    chosen = _entity_at(bucketing_id, group.id, group.allocation, trace)
    is_in = bool(chosen) and chosen == rule.id
    if trace.level < WARNING:
        kind = _GROUP_KINDS[is_in] if chosen else ReasonKind.IN_NO_EXPERIMENT_OF_GROUP
        trace.note(kind, user=user_id, experiment=rule.key, group=group.id)
    return is_in


def _entity_at(
    bucketing_id: str, parent_id: str, allocation: Sequence[Range], trace: Trace
) -> str | None:
    number = bucket_number(bucketing_id, parent_id)
    if trace.level < WARNING:
        trace.note(
            ReasonKind.BUCKET_ASSIGNED, bucketing_id=bucketing_id, bucket=number, parent=parent_id
        )
    for entity_id, end_of_range in allocation:
        if number < end_of_range:
            return entity_id
    return None
