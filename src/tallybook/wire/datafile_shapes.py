"""The datafile's JSON as typed shapes, one definition for reading and for writing.

Field order is wire order. What is optional has a default and is left out again when written. Fields
the decision does not need are not named here and are ignored.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct, field

# A rule of this type hands whom its allocation leaves over to the flag's everyone-else variation.
FEATURE_ROLLOUT: Final = "fr"


class _Shape(Struct, omit_defaults=True, rename="camel"):
    """What all shapes share: names are camelCase on the wire."""


class OverrideItem(_Shape, kw_only=True):
    """``variations[].variables[]``: a variable's value in this variation."""

    id: str
    value: str


class VariationItem(_Shape, kw_only=True):
    """``variations[]`` of a rule."""

    id: str
    key: str
    feature_enabled: bool | None = None
    variables: list[OverrideItem] | None = None


class RangeItem(_Shape, kw_only=True):
    """``trafficAllocation[]``: an entry without an end is skipped."""

    entity_id: str
    end_of_range: int | None


class CmabItem(_Shape, kw_only=True):
    """``cmab`` of an experiment."""

    attribute_ids: list[str]
    traffic_allocation: int


class RuleItem(_Shape, kw_only=True):
    """``experiments[]``, ``groups[].experiments[]`` and ``rollouts[].experiments[]``."""

    id: str
    key: str
    status: str
    layer_id: str
    type: str | None = None
    variations: list[VariationItem]
    traffic_allocation: list[RangeItem]
    audience_ids: list[str]
    audience_conditions: Any = None
    forced_variations: dict[str, str]
    cmab: CmabItem | None = None


class GroupItem(_Shape, kw_only=True):
    """``groups[]``."""

    id: str
    policy: str
    traffic_allocation: list[RangeItem]
    experiments: list[RuleItem]


class HoldoutItem(_Shape, kw_only=True):
    """``holdouts[]``, where ``includedRules`` mean nothing, and ``localHoldouts[]``."""

    id: str
    key: str
    status: str
    variations: list[VariationItem]
    traffic_allocation: list[RangeItem]
    audience_ids: list[str]
    audience_conditions: Any = None
    included_rules: list[str] | None = None
    exclude_targeted_deliveries: bool | None = None


class IntegrationItem(_Shape, kw_only=True):
    """``integrations[]``."""

    key: str
    host: str | None = None
    public_key: str | None = None


class RolloutItem(_Shape, kw_only=True):
    """``rollouts[]``: delivery rules in order, everyone else last."""

    id: str
    experiments: list[RuleItem]


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
    experiment_ids: list[str]
    variables: list[VariableItem]


class EventTypeItem(_Shape, kw_only=True):
    """``events[]``."""

    id: str
    key: str
    experiment_ids: list[str]


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
    attributes: list[AttributeKeyItem]
    audiences: list[AudienceItem]
    typed_audiences: list[TypedAudienceItem] | None = None
    events: list[EventTypeItem]
    groups: list[GroupItem]
    experiments: list[RuleItem]
    rollouts: list[RolloutItem] | None = None
    feature_flags: list[FlagItem] | None = None
    holdouts: list[HoldoutItem] | None = None
    local_holdouts: list[HoldoutItem] | None = None
    integrations: list[IntegrationItem] | None = None
