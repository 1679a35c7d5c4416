"""Noun: what a datafile says, immutable and indexed for deciding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tallybook.model.condition import Condition

VariableType = Literal["boolean", "string", "double", "integer", "json"]

RUNNING = "Running"
RANDOM_GROUP = "random"
TOTAL_TRAFFIC = 10_000  # basis points; bucket numbers run from 0 to 9,999


@dataclass(frozen=True, slots=True)
class Variable:
    """A typed value a flag carries; ``default`` is its raw text."""

    id: str
    key: str
    type: str
    default: str


@dataclass(frozen=True, slots=True)
class Variation:
    """One arm; ``overrides`` maps a variable's *id* to its raw text.

    One that is not ``is_described`` leaves every variable unknown, so that not even defaults count:
    the official SDK knows nothing of the variables of a holdout's variations.
    """

    id: str
    key: str
    enabled: bool = False
    overrides: Mapping[str, str] = field(default_factory=dict)
    is_described: bool = True


@dataclass(frozen=True, slots=True)
class Range:
    """Buckets below ``end_of_range`` (and not taken by an earlier range) belong to ``entity_id``.

    An empty ``entity_id`` is a gap: whoever falls there is not bucketed.
    """

    entity_id: str
    end_of_range: int


@dataclass(frozen=True, slots=True)
class Group:
    """Experiments that exclude each other when ``policy`` is ``random``."""

    id: str
    policy: str
    allocation: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Cmab:
    """A contextual bandit: which attributes it sees and how much traffic (basis points)."""

    attribute_ids: tuple[str, ...]
    traffic: int


@dataclass(frozen=True, slots=True)
class Experiment:
    """A rule that buckets visitors: an experiment, or one delivery rule of a rollout.

    ``expression`` is the audience expression as the datafile wrote it (JSON value; ``None`` when
    the rule is open to everyone) and ``audience`` the same, parsed.
    """

    id: str
    key: str
    status: str
    layer_id: str
    variations: tuple[Variation, ...]
    allocation: tuple[Range, ...]
    expression: object = None
    audience: Condition | None = None
    allowlist: Mapping[str, str] = field(default_factory=dict)
    group: Group | None = None
    type: str | None = None
    cmab: Cmab | None = None
    audience_ids: tuple[str, ...] = ()
    variation_by_id: Mapping[str, Variation] = field(init=False, repr=False, compare=False)
    variation_by_key: Mapping[str, Variation] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "variation_by_id", {v.id: v for v in self.variations})
        object.__setattr__(self, "variation_by_key", {v.key: v for v in self.variations})


@dataclass(frozen=True, slots=True)
class Rollout:
    """Ordered delivery rules; the last one is everyone else."""

    id: str
    rules: tuple[Experiment, ...]


@dataclass(frozen=True, slots=True)
class Holdout:
    """Visitors who are kept away from flags, or from some rules, to measure all of them together.

    ``rule`` says who: it buckets like any other. ``rule_ids`` names the rules of a local holdout
    and is ``None`` for a global one, which holds for every flag. One that ``spares_deliveries``
    keeps its visitors away from experiments only.
    """

    rule: Experiment
    rule_ids: tuple[str, ...] | None = None
    spares_deliveries: bool = False


@dataclass(frozen=True, slots=True)
class Integration:
    """A partner of the project: where it is reached and the key it knows the project by."""

    key: str
    host: str | None = None
    public_key: str | None = None


@dataclass(frozen=True, slots=True)
class Flag:
    """A feature flag: experiments first, then its rollout."""

    id: str
    key: str
    experiments: tuple[Experiment, ...]
    rollout_id: str
    rollout: Rollout | None
    variables: tuple[Variable, ...]
    variations: tuple[Variation, ...] = field(init=False, repr=False, compare=False)
    variable_by_key: Mapping[str, Variable] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rules = self.experiments + (self.rollout.rules if self.rollout else ())
        seen: dict[str, Variation] = {}  # where ids repeat across rules the first one counts
        for rule in rules:
            for variation in rule.variation_by_id.values():
                seen.setdefault(variation.id, variation)
        object.__setattr__(self, "variations", tuple(seen.values()))
        object.__setattr__(self, "variable_by_key", {v.key: v for v in self.variables})


@dataclass(frozen=True, slots=True)
class EventType:
    """An event that may be tracked."""

    id: str
    key: str
    experiment_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attribute:
    """A visitor attribute known to the project."""

    id: str
    key: str


@dataclass(frozen=True, slots=True)
class Audience:
    """A named condition; ``conditions`` is the JSON value as written, ``tree`` the same, parsed."""

    id: str
    name: str
    conditions: object
    tree: Condition | None
    typed: bool = True


@dataclass(frozen=True, slots=True)
class Project:
    """Everything a client needs to decide and track, from one datafile revision.

    ``remarks`` are sentences about what of the datafile is not used.
    """

    account_id: str
    project_id: str
    revision: str
    version: str = "4"
    sdk_key: str | None = None
    environment_key: str | None = None
    anonymize_ip: bool = False
    bot_filtering: bool | None = None
    send_flag_decisions: bool = False
    region: str = "US"
    experiments: tuple[Experiment, ...] = ()
    groups: tuple[Group, ...] = ()
    rollouts: tuple[Rollout, ...] = ()
    flags: tuple[Flag, ...] = ()
    events: tuple[EventType, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    audiences: tuple[Audience, ...] = ()
    holdouts: tuple[Holdout, ...] = ()
    integrations: tuple[Integration, ...] = ()
    remarks: tuple[str, ...] = field(default=(), compare=False)
    flag_by_key: Mapping[str, Flag] = field(init=False, repr=False, compare=False)
    event_by_key: Mapping[str, EventType] = field(init=False, repr=False, compare=False)
    attribute_by_key: Mapping[str, Attribute] = field(init=False, repr=False, compare=False)
    audience_by_id: Mapping[str, Audience] = field(init=False, repr=False, compare=False)
    experiment_by_id: Mapping[str, Experiment] = field(init=False, repr=False, compare=False)
    experiment_by_key: Mapping[str, Experiment] = field(init=False, repr=False, compare=False)
    flag_experiment_ids: frozenset[str] = field(init=False, repr=False, compare=False)
    running_holdouts: tuple[Holdout, ...] = field(init=False, repr=False, compare=False)
    running_holdouts_by_rule: Mapping[str, tuple[Holdout, ...]] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        by_id = {e.id: e for e in self._rules()}
        self._index("flag_by_key", {f.key: f for f in self.flags})
        self._index("event_by_key", {e.key: e for e in self.events})
        self._index("attribute_by_key", {a.key: a for a in self.attributes})
        self._index("audience_by_id", {a.id: a for a in self.audiences})
        self._index("experiment_by_id", by_id)
        self._index("experiment_by_key", {e.key: e for e in by_id.values()})
        used = frozenset(e.id for flag in self.flags for e in flag.experiments)
        self._index("flag_experiment_ids", used)
        running = [h for h in self.holdouts if h.rule.status == RUNNING]
        self._index("running_holdouts", tuple(h for h in running if h.rule_ids is None))
        self._index("running_holdouts_by_rule", _by_rule(running))

    def _rules(self) -> Sequence[Experiment]:
        # Ungrouped experiments, then delivery rules, then grouped ones: of equal ids the last wins.
        delivery = [rule for rollout in self.rollouts for rule in rollout.rules]
        ungrouped = [e for e in self.experiments if e.group is None]
        grouped = [e for e in self.experiments if e.group is not None]
        return [*ungrouped, *delivery, *grouped]

    def _index(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)


def _by_rule(holdouts: Sequence[Holdout]) -> dict[str, tuple[Holdout, ...]]:
    found: dict[str, tuple[Holdout, ...]] = {}
    for holdout in holdouts:
        for rule_id in holdout.rule_ids or ():
            found[rule_id] = (*found.get(rule_id, ()), holdout)
    return found
