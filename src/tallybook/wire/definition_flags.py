"""Flags of a definition file: variables, variations, and the rules of every environment."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from tallybook.errors import DefinitionError
from tallybook.model.definition import (
    OFF,
    DefinedFlag,
    DefinedRule,
    DefinedVariable,
    DefinedVariation,
    FlagOverride,
    RuleType,
)
from tallybook.wire.definition_rules import Surroundings, read_rule
from tallybook.wire.definition_shapes import (
    FlagShape,
    OverrideShape,
    VariableShape,
    fitted,
    mapping,
)
from tallybook.wire.definition_values import (
    VARIABLE_TYPES,
    checked_key,
    defined,
    hint,
    raw_text,
    shown,
)
from tallybook.wire.definition_yaml import join

ENABLED = "enabled"  # the switch of a variation, beside the values of its variables


def read_flags(
    document: Mapping[str, object], environments: Collection[str], around: Surroundings
) -> tuple[DefinedFlag, ...]:
    """Every flag, its rules unique in the project."""
    flags = tuple(_flag(key, value, environments, around) for key, value in document.items())
    _check_unique(flags)
    return flags


def experiment_keys(flags: tuple[DefinedFlag, ...]) -> list[str]:
    """Keys of the rules that measure, in any environment."""
    rules = (rule for flag in flags for rule in flag.all_rules())
    return list(dict.fromkeys(r.key for r in rules if r.type is not RuleType.DELIVERY))


def _flag(
    key: str, value: object, environments: Collection[str], around: Surroundings
) -> DefinedFlag:
    path = join("flags", checked_key(key, join("flags", key)))
    shape = fitted(FlagShape, value, path)
    variables = _variables(shape.variables or {}, join(path, "variables"))
    variations = _variations(shape.variations or {}, join(path, "variations"), variables)
    keys = [variation.key for variation in variations]
    inside = replace(around, variations=keys)
    if shape.default is not None and shape.default != OFF:
        defined("variation", shape.default, keys, join(path, "default"))
    return DefinedFlag(
        key=key,
        variables=variables,
        variations=variations,
        enabled=shape.enabled,
        rules=_rules(shape.rules or [], path, inside),
        default=None if shape.default == OFF else shape.default,
        overrides=tuple(
            _override(name, item, path, environments, inside)
            for name, item in (shape.environments or {}).items()
        ),
    )


def _override(
    name: str, value: object, path: str, environments: Collection[str], inside: Surroundings
) -> FlagOverride:
    at = join(join(path, "environments"), name)
    defined("environment", name, environments, at)
    shape = fitted(OverrideShape, value, at)
    rules = None if shape.rules is None else _rules(shape.rules, at, inside)
    return FlagOverride(environment=name, enabled=shape.enabled, rules=rules)


def _rules(values: list[object], path: str, inside: Surroundings) -> tuple[DefinedRule, ...]:
    rules: dict[str, DefinedRule] = {}
    for i, value in enumerate(values):
        at = f"{join(path, 'rules')}[{i}]"
        rule = read_rule(value, at, inside)
        if rule.key in rules:
            reason = f"`{rule.key}` is the key of an earlier rule of this flag; rename one"
            raise DefinitionError(join(at, "key"), reason)
        rules[rule.key] = rule
    return tuple(rules.values())


def _variables(document: Mapping[str, object], path: str) -> tuple[DefinedVariable, ...]:
    variables = []
    for key, value in document.items():
        at = join(path, checked_key(key, join(path, key)))
        if key == ENABLED:
            reason = "is the switch of a variation; give the variable another name"
            raise DefinitionError(at, reason)
        shape = fitted(VariableShape, value, at)
        if shape.type not in VARIABLE_TYPES:
            reason = f"found {shown(shape.type)}{hint(shape.type, VARIABLE_TYPES)}"
            raise DefinitionError(join(at, "type"), reason)
        default = raw_text(shape.type, shape.default, join(at, "default"))
        variables.append(DefinedVariable(key, shape.type, default))
    return tuple(variables)


def _variations(
    document: Mapping[str, object], path: str, variables: tuple[DefinedVariable, ...]
) -> tuple[DefinedVariation, ...]:
    types = {variable.key: variable.type for variable in variables}
    return tuple(
        _variation(key, {} if value is None else value, path, types)
        for key, value in document.items()
    )


def _variation(key: str, value: object, path: str, types: Mapping[str, str]) -> DefinedVariation:
    at = join(path, checked_key(key, join(path, key)))
    content = dict(mapping(value, at, expected="of variables and their values"))
    enabled = content.pop(ENABLED, key != OFF)
    if not isinstance(enabled, bool):
        reason = f"found {shown(enabled)}; expected true or false"
        raise DefinitionError(join(at, ENABLED), reason)
    if key == OFF and enabled:
        reason = "the variation `off` is always disabled; give this one another key"
        raise DefinitionError(join(at, ENABLED), reason)
    values = {
        name: raw_text(types[defined("variable", name, types, join(at, name))], v, join(at, name))
        for name, v in content.items()
    }
    return DefinedVariation(key, enabled, values)


def _check_unique(flags: tuple[DefinedFlag, ...]) -> None:
    # SDKs look experiments up by key over the whole datafile, where the last one of a key wins;
    # only deliveries, which nothing looks up, may share one between flags.
    owner: dict[str, tuple[str, RuleType]] = {}
    for flag in flags:
        for rule in flag.all_rules():
            flag_key, kind = owner.setdefault(rule.key, (flag.key, rule.type))
            shared = kind is rule.type is RuleType.DELIVERY
            if flag_key != flag.key and not shared:
                reason = f"has a rule `{rule.key}`, and so has `{flag_key}`; an experiment's key is"
                raise DefinitionError(f"flags.{flag.key}", f"{reason} unique in the project")
