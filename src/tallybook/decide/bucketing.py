"""Which variation a visitor falls into: a hash, a bucket, a walk along the allocation.

The bucket follows from the bucketing id and the id of the rule (or group) alone, so every SDK that
hashes the same way gives a visitor the same variation, for as long as the allocation stays.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from tallybook.model.reason import ReasonKind, Trace

BUCKETING_ID_KEY: Final = "$opt_bucketing_id"
_SEED = 1
_HASH_BITS = 32


def bucket_number(bucketing_id: str, parent_id: str) -> int:
    """The bucket, 0 to 9,999, of a visitor under the rule or group ``parent_id``.

    Source:
        MurmurHash3 (A. Appleby, public domain), the 32-bit variant for x86, over the UTF-8 bytes.

    Example:
        >>> bucket_number("ppid1", "1886780721")
        5254
    """
    # A lone surrogate is no character, but what it stands for must not stop a decision.
    key = (bucketing_id + parent_id).encode("utf-8", "surrogatepass")
    return mmh3.hash(key, _SEED, False) * TOTAL_TRAFFIC >> _HASH_BITS


def bucketing_id_of(visitor: Visitor, trace: Trace) -> str:
    """What is hashed for a visitor: the reserved attribute where it is text, else the user id."""
    given = visitor.attributes.get(BUCKETING_ID_KEY)
    if given is None:
        return visitor.user_id
    if isinstance(given, str):
        return given
    trace.note(ReasonKind.BUCKETING_ID_NOT_TEXT, got=type(given).__name__)
    return visitor.user_id


def bucket(rule: Experiment, user_id: str, bucketing_id: str, trace: Trace) -> Variation | None:
    """The variation a visitor is bucketed into, after the rule's group had its say."""
    if not rule.key.strip():
        trace.note(ReasonKind.RULE_WITHOUT_KEY, rule=rule.id)
        return None
    entity_id = None
    if rule.group is None or _is_let_in(rule, rule.group, (user_id, bucketing_id), trace):
        entity_id = _entity_at(bucketing_id, rule.id, rule.allocation, trace)
    if not entity_id:
        trace.note(ReasonKind.EMPTY_TRAFFIC_RANGE, rule=rule.key)
        return None
    variation = rule.variation_by_id.get(entity_id)
    if variation is None:
        trace.note(ReasonKind.VARIATION_UNKNOWN, rule=rule.key, variation=entity_id)
    return variation


def _is_let_in(rule: Experiment, group: Group, who: tuple[str, str], trace: Trace) -> bool:
    if group.policy != RANDOM_GROUP:
        return True
    user_id, bucketing_id = who
    chosen = _entity_at(bucketing_id, group.id, group.allocation, trace)
    if not chosen:
        trace.note(ReasonKind.IN_NO_EXPERIMENT_OF_GROUP, user=user_id, group=group.id)
        return False
    is_in = chosen == rule.id
    kind = ReasonKind.IN_EXPERIMENT_OF_GROUP if is_in else ReasonKind.IN_OTHER_EXPERIMENT_OF_GROUP
    trace.note(kind, user=user_id, experiment=rule.key, group=group.id)
    return is_in


def _entity_at(
    bucketing_id: str, parent_id: str, allocation: Sequence[Range], trace: Trace
) -> str | None:
    number = bucket_number(bucketing_id, parent_id)
    trace.note(
        ReasonKind.BUCKET_ASSIGNED, bucketing_id=bucketing_id, bucket=number, parent=parent_id
    )
    for share in allocation:
        if number < share.end_of_range:
            return share.entity_id
    return None
