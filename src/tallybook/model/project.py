"""Noun: what a datafile says, immutable and indexed for deciding.

Nothing here refers back to what holds it, so the garbage collector need not look through it, time
and again, for as long as the process lives. What follows from a value's fields, or is found out
about it later, stands in slots beside them: it is not passed, compared or shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Self

from msgspec import Struct, field
from msgspec.structs import astuple, force_setattr, replace

from tallybook.model.condition import Condition

Check = Callable[[Any], bool | None]  # a condition, ready to be put to visitors
VariableType = Literal["boolean", "string", "double", "integer", "json"]

RUNNING = "Running"
RANDOM_GROUP = "random"
TOTAL_TRAFFIC = 10_000  # basis points; bucket numbers run from 0 to 9,999


class Variable(Struct, frozen=True, gc=False):
    """A typed value a flag carries; ``default`` is its raw text."""

    id: str
    key: str
    type: str
    default: str


class Variation(Struct, frozen=True, gc=False):
    """One arm; ``overrides`` maps a variable's *id* to its raw text.

    One that is not ``is_described`` leaves every variable unknown, so that not even defaults count:
    the official SDK knows nothing of the variables of a holdout's variations.
    """

    id: str
    key: str
    enabled: bool = False
    overrides: Mapping[str, str] = field(default_factory=dict)
    is_described: bool = True


class Range(NamedTuple):
    """Buckets below ``end_of_range`` (and not taken by an earlier range) belong to ``entity_id``.

    An empty ``entity_id`` is a gap: whoever falls there is not bucketed. A tuple, since deciding
    takes allocations apart.
    """

    entity_id: str
    end_of_range: int


class Group(Struct, frozen=True, gc=False):
    """Experiments that exclude each other when ``policy`` is ``random``."""

    id: str
    policy: str
    allocation: tuple[Range, ...]


class Cmab(Struct, frozen=True, gc=False):
    """A contextual bandit: which attributes it sees and how much traffic (basis points)."""

    attribute_ids: tuple[str, ...]
    traffic: int


class _Indexed(Struct, frozen=True, gc=False):
    """A value with more in its slots than its fields say; a copy has its own."""

    def __copy__(self) -> Self:
        return replace(self)


class Deferrable:
    """What follows from an experiment, and room for :mod:`tallybook.model.deferred`."""

    __slots__ = ("_making", "audience_check", "variation_by_id", "variation_by_key")

    audience_check: Check | None
    variation_by_id: Mapping[str, Variation]
    variation_by_key: Mapping[str, Variation]


class Experiment(Deferrable, _Indexed, frozen=True):
    """A rule that buckets visitors: an experiment, or one delivery rule of a rollout.

    ``expression`` is the audience expression as the datafile wrote it (JSON value; ``None`` when
    the rule is open to everyone) and ``audience`` the same, parsed. Deciding leaves ``audience`` in
    ``audience_check`` as it has prepared it, once it was needed.
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

    def __post_init__(self) -> None:
        force_setattr(self, "audience_check", None)
        force_setattr(self, "variation_by_id", {v.id: v for v in self.variations})
        force_setattr(self, "variation_by_key", {v.key: v for v in self.variations})


class Rollout(Struct, frozen=True, gc=False):
    """Ordered delivery rules; the last one is everyone else."""

    id: str
    rules: tuple[Experiment, ...]


class Holdout(Struct, frozen=True, gc=False):
    """Visitors who are kept away from flags, or from some rules, to measure all of them together.

    ``rule`` says who: it buckets like any other. ``rule_ids`` names the rules of a local holdout
    and is ``None`` for a global one, which holds for every flag. One that ``spares_deliveries``
    keeps its visitors away from experiments only.
    """

    rule: Experiment
    rule_ids: tuple[str, ...] | None = None
    spares_deliveries: bool = False


class Integration(Struct, frozen=True, gc=False):
    """A partner of the project: where it is reached and the key it knows the project by."""

    key: str
    host: str | None = None
    public_key: str | None = None


class _OfFlag:
    __slots__ = ("cast_values", "variable_by_key")

    cast_values: dict[int, Any]
    variable_by_key: Mapping[str, Variable]


class Flag(_OfFlag, _Indexed, frozen=True):
    """A feature flag: experiments first, then its rollout.

    Deciding leaves the values of its variables in ``cast_values`` once they were needed.
    """

    id: str
    key: str
    experiments: tuple[Experiment, ...]
    rollout_id: str
    rollout: Rollout | None
    variables: tuple[Variable, ...]

    def __post_init__(self) -> None:
        force_setattr(self, "cast_values", {})
        force_setattr(self, "variable_by_key", {v.key: v for v in self.variables})

    @property
    def variations(self) -> tuple[Variation, ...]:
        """Those of all its rules; where ids repeat across rules the first one counts."""
        seen: dict[str, Variation] = {}
        for rule in self.experiments + (self.rollout.rules if self.rollout else ()):
            for variation in rule.variation_by_id.values():
                seen.setdefault(variation.id, variation)
        return tuple(seen.values())


class EventType(Struct, frozen=True, gc=False):
    """An event that may be tracked."""

    id: str
    key: str
    experiment_ids: tuple[str, ...] = ()


class Attribute(Struct, frozen=True, gc=False):
    """A visitor attribute known to the project."""

    id: str
    key: str


class _OfAudience:
    __slots__ = ("check",)

    check: Check | None


class Audience(_OfAudience, _Indexed, frozen=True):
    """A named condition; ``conditions`` is the JSON value as written, ``tree`` the same, parsed.

    Deciding leaves ``tree`` in ``check`` as it has prepared it, once it was needed.
    """

    id: str
    name: str
    conditions: object
    tree: Condition | None
    typed: bool = True

    def __post_init__(self) -> None:
        force_setattr(self, "check", None)


class _OfProject:
    __slots__ = (
        *("attribute_by_key", "audience_by_id", "event_by_key", "experiment_by_id"),
        *("experiment_by_key", "flag_by_key", "flag_experiment_ids", "has_bandits"),
        *("running_holdouts", "running_holdouts_by_rule"),
    )

    flag_by_key: Mapping[str, Flag]
    event_by_key: Mapping[str, EventType]
    attribute_by_key: Mapping[str, Attribute]
    audience_by_id: Mapping[str, Audience]
    experiment_by_id: Mapping[str, Experiment]
    experiment_by_key: Mapping[str, Experiment]
    flag_experiment_ids: frozenset[str]
    has_bandits: bool
    running_holdouts: tuple[Holdout, ...]
    running_holdouts_by_rule: Mapping[str, tuple[Holdout, ...]]


class Project(_OfProject, _Indexed, frozen=True):
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
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        by_id = {e.id: e for e in self._rules()}
        force_setattr(self, "flag_by_key", {f.key: f for f in self.flags})
        force_setattr(self, "event_by_key", {e.key: e for e in self.events})
        force_setattr(self, "attribute_by_key", {a.key: a for a in self.attributes})
        force_setattr(self, "audience_by_id", {a.id: a for a in self.audiences})
        force_setattr(self, "experiment_by_id", by_id)
        force_setattr(self, "experiment_by_key", {e.key: e for e in by_id.values()})
        used = frozenset(e.id for flag in self.flags for e in flag.experiments)
        force_setattr(self, "flag_experiment_ids", used)
        force_setattr(self, "has_bandits", any(e.cmab is not None for e in by_id.values()))
        running = [h for h in self.holdouts if h.rule.status == RUNNING]
        force_setattr(self, "running_holdouts", tuple(h for h in running if h.rule_ids is None))
        force_setattr(self, "running_holdouts_by_rule", _by_rule(running))

    def _rules(self) -> Sequence[Experiment]:
        # Ungrouped experiments, then delivery rules, then grouped ones: of equal ids the last wins.
        delivery = [rule for rollout in self.rollouts for rule in rollout.rules]
        ungrouped = [e for e in self.experiments if e.group is None]
        grouped = [e for e in self.experiments if e.group is not None]
        return [*ungrouped, *delivery, *grouped]

    def __eq__(self, other: object) -> bool:
        # The remarks, which come last, are not compared.
        return isinstance(other, Project) and astuple(self)[:-1] == astuple(other)[:-1]

    def __hash__(self) -> int:
        return hash(astuple(self)[:-1])


def _by_rule(holdouts: Sequence[Holdout]) -> dict[str, tuple[Holdout, ...]]:
    found: dict[str, tuple[Holdout, ...]] = {}
    for holdout in holdouts:
        for rule_id in holdout.rule_ids or ():
            found[rule_id] = (*found.get(rule_id, ()), holdout)
    return found
