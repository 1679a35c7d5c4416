"""Noun: what a project's people declare, from environments to metrics, as one value.

Sequences are tuples throughout: their order means something (the first environment is the primary
one, rules are tried in order, a split's order fixes the buckets), so it takes part in equality.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tallybook.model.condition import Condition
from tallybook.model.metric import Metric
from tallybook.model.project import TOTAL_TRAFFIC

OFF = "off"  # the variation of everyone else when a flag names no default; always disabled


class RuleType(StrEnum):
    """What a rule is for: to measure, to deliver, or to measure and shift traffic."""

    AB = "a/b"
    DELIVERY = "targeted_delivery"
    BANDIT = "multi_armed_bandit"


class RuleStatus(StrEnum):
    """Where a rule is in its life; only a running one decides."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    CONCLUDED = "concluded"


@dataclass(frozen=True, slots=True)
class DefinedEnvironment:
    """A place where flags are served; ``sdk_key`` is ``None`` when one is to be generated.

    ``access_token`` says that its datafile needs a token, ``event_token`` that its events do.
    """

    key: str
    sdk_key: str | None = None
    access_token: bool = False
    event_token: bool = False


@dataclass(frozen=True, slots=True)
class DefinedAudience:
    """A named condition on attributes; its leaves are comparisons."""

    key: str
    condition: Condition


@dataclass(frozen=True, slots=True)
class DefinedVariable:
    """A typed value a flag carries; ``default`` is its raw text, as a datafile writes it."""

    key: str
    type: str
    default: str


@dataclass(frozen=True, slots=True)
class DefinedVariation:
    """One arm of a flag; ``values`` maps a variable's key to its raw text where it differs."""

    key: str
    enabled: bool = True
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Share:
    """What ``key`` gets of a split or an exclusion group, in basis points."""

    key: str
    basis_points: int


@dataclass(frozen=True, slots=True)
class DefinedRule:
    """One rule of a flag, in one environment or in all.

    ``audience`` holds references by audience *key*. ``split`` adds up to 10,000 and is what
    visitors within ``traffic`` are divided by; a delivery has one share. ``allowlist`` pairs a
    user id with a variation key.
    """

    key: str
    type: RuleType
    split: tuple[Share, ...]
    audience: Condition | None = None
    traffic: int = TOTAL_TRAFFIC
    metrics: tuple[str, ...] = ()
    allowlist: tuple[tuple[str, str], ...] = ()
    baseline: str | None = None
    group: str | None = None
    status: RuleStatus = RuleStatus.RUNNING
    start_ms: int | None = None
    end_ms: int | None = None


@dataclass(frozen=True, slots=True)
class FlagOverride:
    """What one environment does otherwise; ``None`` means as everywhere."""

    environment: str
    enabled: bool | None = None
    rules: tuple[DefinedRule, ...] | None = None


@dataclass(frozen=True, slots=True)
class Ruleset:
    """What a flag does in one environment."""

    enabled: bool
    rules: tuple[DefinedRule, ...]


@dataclass(frozen=True, slots=True)
class DefinedFlag:
    """A flag; ``default`` is the variation of everyone else (``None``: off)."""

    key: str
    variables: tuple[DefinedVariable, ...] = ()
    variations: tuple[DefinedVariation, ...] = ()
    enabled: bool = True
    rules: tuple[DefinedRule, ...] = ()
    default: str | None = None
    overrides: tuple[FlagOverride, ...] = ()

    def ruleset(self, environment: str) -> Ruleset:
        """What holds in ``environment``: its own override, and the flag's word for the rest."""
        own = next((o for o in self.overrides if o.environment == environment), None)
        if own is None:
            return Ruleset(self.enabled, self.rules)
        enabled = self.enabled if own.enabled is None else own.enabled
        return Ruleset(enabled, self.rules if own.rules is None else own.rules)

    def all_rules(self) -> tuple[DefinedRule, ...]:
        """Every rule in any environment, the common ones first; one key may occur once for each."""
        return self.rules + tuple(r for o in self.overrides for r in o.rules or ())


@dataclass(frozen=True, slots=True)
class DefinedGroup:
    """Experiments that exclude each other: the share of visitors each may choose from."""

    key: str
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Definition:
    """A project as its definition file says it is."""

    project: str
    environments: tuple[DefinedEnvironment, ...]
    anonymize_ip: bool = True
    bot_filtering: bool = False
    send_flag_decisions: bool = True
    attributes: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    audiences: tuple[DefinedAudience, ...] = ()
    metrics: tuple[Metric, ...] = ()
    flags: tuple[DefinedFlag, ...] = ()
    groups: tuple[DefinedGroup, ...] = ()
