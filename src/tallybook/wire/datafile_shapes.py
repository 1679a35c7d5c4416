"""The datafile's JSON as typed shapes, one definition for reading and for writing.

Field order is wire order. What is optional has a default and is left out again when written. Fields
the decision does not need are not named here and are ignored.

Annotations are no text here: the decoder would have to read it at every start of a service.
"""

from typing import Any, Final

from msgspec import Struct, field

# A rule of this type hands whom its allocation leaves over to the flag's everyone-else variation.
FEATURE_ROLLOUT: Final = "fr"


class _Shape(Struct, omit_defaults=True, rename="camel", gc=False):
    """What all shapes share: names are camelCase on the wire.

    JSON has no circles, so the garbage collector needs to know of none of these; nor does it keep
    track of tuples of them, as it would of lists: a large datafile would have it look through
    thousands more objects, time and again, while it is read and ever after.
    """


class OverrideItem(_Shape, kw_only=True):
    """``variations[].variables[]``: a variable's value in this variation."""

    id: str
    value: str


class VariationItem(_Shape, kw_only=True):
    """``variations[]`` of a rule."""

    id: str
    key: str
    feature_enabled: bool | None = None
    variables: tuple[OverrideItem, ...] | None = None


class RangeItem(_Shape, kw_only=True):
    """``trafficAllocation[]``: an entry without an end is skipped."""

    entity_id: str
    end_of_range: int | None


class CmabItem(_Shape, kw_only=True):
    """``cmab`` of an experiment; an empty object is as good as none."""

    attribute_ids: tuple[str, ...] | None = None
    traffic_allocation: int | None = None

    def __post_init__(self) -> None:
        if (self.attribute_ids is None) is not (self.traffic_allocation is None):
            raise ValueError("expected attributeIds and trafficAllocation, found one of them")


class RuleItem(_Shape, kw_only=True):
    """``experiments[]``, ``groups[].experiments[]`` and ``rollouts[].experiments[]``."""

    id: str
    key: str
    status: str
    layer_id: str
    type: str | None = None
    variations: tuple[VariationItem, ...]
    traffic_allocation: tuple[RangeItem, ...]
    audience_ids: tuple[str, ...]
    audience_conditions: Any = None
    forced_variations: dict[str, str]
    cmab: CmabItem | None = None


class GroupItem(_Shape, kw_only=True):
    """``groups[]``."""

    id: str
    policy: str
    traffic_allocation: tuple[RangeItem, ...]
    experiments: tuple[RuleItem, ...]


class HoldoutItem(_Shape, kw_only=True):
    """``holdouts[]``, where ``includedRules`` mean nothing, and ``localHoldouts[]``."""

    id: str
    key: str
    status: str
    variations: tuple[VariationItem, ...]
    traffic_allocation: tuple[RangeItem, ...]
    audience_ids: tuple[str, ...]
    audience_conditions: Any = None
    included_rules: tuple[str, ...] | None = None
    exclude_targeted_deliveries: bool | None = None


class IntegrationItem(_Shape, kw_only=True):
    """``integrations[]``."""

    key: str
    host: str | None = None
    public_key: str | None = None


class RolloutItem(_Shape, kw_only=True):
    """``rollouts[]``: delivery rules in order, everyone else last."""

    id: str
    experiments: tuple[RuleItem, ...]


class VariableItem(_Shape, kw_only=True):
    """``featureFlags[].variables[]``."""

    id: str
    key: str
    type: str
    sub_type: str | None = None
    default_value: str


class FlagItem(_Shape, kw_only=True):
    """``featureFlags[]``."""

    id: str
    key: str
    rollout_id: str
    experiment_ids: tuple[str, ...]
    variables: tuple[VariableItem, ...]


class EventTypeItem(_Shape, kw_only=True):
    """``events[]``."""

    id: str
    key: str
    experiment_ids: tuple[str, ...]


class AttributeKeyItem(_Shape, kw_only=True):
    """``attributes[]``."""

    id: str
    key: str


class AudienceItem(_Shape, kw_only=True):
    """``audiences[]``: the conditions are JSON text."""

    id: str
    name: str
    conditions: str


class TypedAudienceItem(_Shape, kw_only=True):
    """``typedAudiences[]``: the conditions are JSON itself."""

    id: str
    name: str
    conditions: Any


class DatafileItem(_Shape, kw_only=True):
    """The datafile."""

    version: str
    account_id: str
    project_id: str
    revision: str
    sdk_key: str | None = None
    environment_key: str | None = None
    region: str | None = None
    anonymize_ip: bool | None = field(name="anonymizeIP", default=None)
    bot_filtering: bool | None = None
    send_flag_decisions: bool | None = None
    attributes: tuple[AttributeKeyItem, ...]
    audiences: tuple[AudienceItem, ...]
    typed_audiences: tuple[TypedAudienceItem, ...] | None = None
    events: tuple[EventTypeItem, ...]
    groups: tuple[GroupItem, ...]
    experiments: tuple[RuleItem, ...]
    rollouts: tuple[RolloutItem, ...] | None = None
    feature_flags: tuple[FlagItem, ...] | None = None
    holdouts: tuple[HoldoutItem, ...] | None = None
    local_holdouts: tuple[HoldoutItem, ...] | None = None
    integrations: tuple[IntegrationItem, ...] | None = None
