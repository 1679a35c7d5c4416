"""Definition and ids → what one environment's datafile says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from tallybook.catalog.publication import ProjectIdentity
from tallybook.model.definition import (
    OFF,
    DefinedFlag,
    DefinedRule,
    DefinedVariation,
    Definition,
    RuleStatus,
    RuleType,
)
from tallybook.model.project import (
    RANDOM_GROUP,
    RUNNING,
    TOTAL_TRAFFIC,
    Attribute,
    Audience,
    EventType,
    Experiment,
    Flag,
    Group,
    Project,
    Range,
    Rollout,
    Variable,
    Variation,
)
from tallybook.publish.conditions import nested_lists, with_ids
from tallybook.publish.ids import Ids
from tallybook.publish.layout import slots

_PAUSED: Final = "Paused"
_STATUS: Final = {
    RuleStatus.DRAFT: "Not started",
    RuleStatus.RUNNING: RUNNING,
    RuleStatus.PAUSED: _PAUSED,
    RuleStatus.CONCLUDED: "Archived",
}
_TYPE: Final = {RuleType.AB: "ab", RuleType.BANDIT: "mab", RuleType.DELIVERY: "td"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a datafile is served, as which revision."""

    identity: ProjectIdentity
    environment: str
    sdk_key: str
    revision: str


def project_at(definition: Definition, place: Place, ids: Ids) -> Project:
    """What the datafile of ``place`` says; objects without an id are given one."""
    return _Builder(definition, place, ids).project()


class _Builder:
    """Holds what every part needs to know: the definition, the place and the ids."""

    def __init__(self, definition: Definition, place: Place, ids: Ids) -> None:
        self._definition = definition
        self._place = place
        self._environment = place.environment
        self._ids = ids

    def project(self) -> Project:
        definition, place, ids = self._definition, self._place, self._ids
        # Ids are given in this order, so that a file's own order shows in them.
        attributes = tuple(Attribute(ids.of("attribute", k), k) for k in definition.attributes)
        event_ids = {key: ids.of("event", key) for key in definition.events}
        audiences = self._audiences()
        groups = self._groups()
        flags = tuple(self._flag(flag, groups) for flag in definition.flags)
        experiments = tuple(e for flag in flags for e in flag.experiments)
        return Project(
            account_id=place.identity.account_id,
            project_id=place.identity.project_id,
            revision=place.revision,
            sdk_key=place.sdk_key,
            environment_key=place.environment,
            anonymize_ip=definition.anonymize_ip,
            bot_filtering=definition.bot_filtering,
            send_flag_decisions=definition.send_flag_decisions,
            experiments=experiments,
            groups=tuple(groups.values()),
            rollouts=tuple(flag.rollout for flag in flags if flag.rollout),
            flags=flags,
            events=self._events(event_ids, experiments),
            attributes=attributes,
            audiences=audiences,
        )

    def _audiences(self) -> tuple[Audience, ...]:
        return tuple(
            Audience(
                id=self._ids.of("audience", audience.key),
                name=audience.key,
                conditions=nested_lists(audience.condition),
                tree=audience.condition,
            )
            for audience in self._definition.audiences
        )

    def _events(
        self, ids: Mapping[str, str], experiments: tuple[Experiment, ...]
    ) -> tuple[EventType, ...]:
        event_of = {metric.key: metric.event_key for metric in self._definition.metrics}
        measured_by: dict[str, list[str]] = {key: [] for key in ids}
        rules = self._rules()
        for experiment in experiments:
            _, rule = rules[experiment.key]
            for event_key in dict.fromkeys(event_of[metric] for metric in rule.metrics):
                measured_by[event_key].append(experiment.id)
        return tuple(EventType(id_, key, tuple(measured_by[key])) for key, id_ in ids.items())

    def _rules(self) -> dict[str, tuple[str, DefinedRule]]:
        """The experiments of this environment by key, each with its flag's key."""
        return {
            rule.key: (flag.key, rule)
            for flag in self._definition.flags
            for rule in flag.ruleset(self._environment).rules
            if rule.type is not RuleType.DELIVERY
        }

    def _groups(self) -> dict[str, Group]:
        # A share of a rule that this environment does not have is a gap: the others keep theirs.
        rules = self._rules()
        groups = {}
        for group in self._definition.groups:
            if not any(share.key in rules for share in group.shares):
                continue
            shares = [
                (self._experiment_id(*rules[s.key]) if s.key in rules else "", s.basis_points)
                for s in group.shares
            ]
            id_ = self._ids.of("group", group.key, self._environment)
            groups[group.key] = Group(id_, RANDOM_GROUP, slots(shares))
        return groups

    def _experiment_id(self, flag_key: str, rule: DefinedRule) -> str:
        kind = "delivery" if rule.type is RuleType.DELIVERY else "experiment"
        return self._ids.of(kind, flag_key, rule.key, self._environment)

    def _flag(self, flag: DefinedFlag, groups: Mapping[str, Group]) -> Flag:
        id_ = self._ids.of("flag", flag.key)
        variables = tuple(
            Variable(self._ids.of("variable", flag.key, v.key), v.key, v.type, v.default)
            for v in flag.variables
        )
        for variation in flag.variations:
            self._ids.of("variation", flag.key, variation.key)
        ruleset = flag.ruleset(self._environment)
        built = [(rule, self._rule(flag, rule, groups)) for rule in ruleset.rules]
        rollout = self._rollout(
            flag,
            id_,
            # SDKs do not look at the status of a delivery: one that is not running is left out.
            delivered=tuple(
                rule
                for defined, rule in built
                if defined.type is RuleType.DELIVERY
                and ruleset.enabled
                and defined.status is RuleStatus.RUNNING
            ),
            default=flag.default if ruleset.enabled else None,
        )
        experiments = [rule for defined, rule in built if defined.type is not RuleType.DELIVERY]
        if not ruleset.enabled:
            experiments = [
                replace(e, status=_PAUSED) if e.status == RUNNING else e for e in experiments
            ]
        return Flag(
            id=id_,
            key=flag.key,
            experiments=tuple(experiments),
            rollout_id=rollout.id,
            rollout=rollout,
            variables=variables,
        )

    def _rule(
        self, flag: DefinedFlag, rule: DefinedRule, groups: Mapping[str, Group]
    ) -> Experiment:
        id_ = self._experiment_id(flag.key, rule)
        variations = tuple(self._variation(flag, rule.key, share.key) for share in rule.split)
        shares = [(v.id, s.basis_points) for v, s in zip(variations, rule.split, strict=True)]
        audience = rule.audience and with_ids(
            rule.audience, lambda key: self._ids.of("audience", key)
        )
        return Experiment(
            id=id_,
            key=rule.key,
            status=_STATUS[rule.status],
            layer_id=self._ids.of("layer", flag.key, rule.key, self._environment),
            variations=variations,
            allocation=slots(shares, rule.traffic),
            expression=nested_lists(audience) if audience else None,
            audience=audience,
            allowlist=dict(rule.allowlist),
            group=groups[rule.group] if rule.group else None,
            type=_TYPE[rule.type],
        )

    def _variation(self, flag: DefinedFlag, rule_key: str, key: str) -> Variation:
        generated = DefinedVariation(OFF, enabled=False)
        defined = next((v for v in flag.variations if v.key == key), generated)
        return Variation(
            id=self._ids.of_variation(flag.key, rule_key, self._environment, key),
            key=key,
            enabled=defined.enabled,
            overrides={
                self._ids.of("variable", flag.key, name): text
                for name, text in defined.values.items()
            },
        )

    def _rollout(
        self,
        flag: DefinedFlag,
        flag_id: str,
        *,
        delivered: tuple[Experiment, ...],
        default: str | None,
    ) -> Rollout:
        id_ = self._ids.of("rollout", flag.key, self._environment)
        key = f"default-rollout-{flag_id}-{id_}"
        variation = self._variation(flag, "", default or OFF)
        everyone_else = Experiment(
            id=key,  # equal to the key: by this, servers tell that nobody chose the variation
            key=key,
            status=RUNNING,
            layer_id=self._ids.of("rollout_layer", flag.key, self._environment),
            variations=(variation,),
            allocation=(Range(variation.id, TOTAL_TRAFFIC),),
        )
        return Rollout(id_, (*delivered, everyone_else))
