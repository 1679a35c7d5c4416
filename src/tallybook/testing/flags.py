"""From what a test says about a flag to the flag of a datafile."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field
from msgspec.structs import replace

from tallybook.errors import ConfigError
from tallybook.model.project import (
    RUNNING,
    TOTAL_TRAFFIC,
    Audience,
    Experiment,
    Flag,
    Project,
    Range,
    Variable,
    Variation,
)

_TYPES: Final[Mapping[type, str]] = {
    bool: "boolean",
    int: "integer",
    float: "double",
    str: "string",
    dict: "json",
    list: "json",
}
_EMPTY: Final[Mapping[str, str]] = {
    "boolean": "false",
    "integer": "0",
    "double": "0.0",
    "string": "",
    "json": "{}",
}


class Arm(Struct, frozen=True):
    """A variation: whether it is on, and its variables' values where they differ."""

    enabled: bool = True
    variables: Mapping[str, object] = field(default_factory=dict)


class FlagPlan(Struct):
    """What was said about one flag so far.

    ``split`` is basis points by variation, empty when the flag's own rules decide; ``listed`` is
    user id → variation; ``audience`` is attribute → value, all of which a user must have.
    """

    key: str
    arms: dict[str, Arm] = field(default_factory=dict)
    split: dict[str, int] = field(default_factory=dict)
    listed: dict[str, str] = field(default_factory=dict)
    defaults: dict[str, object] = field(default_factory=dict)
    audience: dict[str, object] = field(default_factory=dict)


def stable_id(*names: str) -> str:
    """An id of digits that follows from names alone, beyond those that people or databases give."""
    return str(9_000_000_000 + zlib.crc32("/".join(names).encode()))


def with_flag(project: Project, plan: FlagPlan) -> Project:
    """The project with the flag as planned: its rule goes before those the flag has already.

    Raises:
        ConfigError: A value does not have its variable's type, or a type no variable can have.
    """
    known = project.flag_by_key.get(plan.key) or Flag(
        stable_id("flag", plan.key), plan.key, (), "", None, ()
    )
    variables = _variables(known, plan)
    rule = _rule(known, plan, {v.key: v for v in variables})
    flag = replace(known, experiments=(rule, *known.experiments), variables=variables)
    others = tuple(f for f in project.flags if f.key != plan.key)
    return replace(
        project,
        flags=(*others, flag),
        experiments=(*project.experiments, rule),
        audiences=(*project.audiences, *_audiences(plan)),
    )


def _variables(known: Flag, plan: FlagPlan) -> tuple[Variable, ...]:
    named = dict(plan.defaults)
    for arm in plan.arms.values():
        for key, value in arm.variables.items():
            named.setdefault(key, value)
    chosen = {**_sole(plan).variables, **plan.defaults}
    added = []
    for key, value in named.items():
        if key in known.variable_by_key:
            continue
        type_name = _type_of(plan.key, key, value)
        variable = Variable(stable_id("variable", plan.key, key), key, type_name, _EMPTY[type_name])
        if key in chosen:
            variable = replace(variable, default=_raw(plan.key, variable, chosen[key]))
        added.append(variable)
    return (*known.variables, *added)


def _sole(plan: FlagPlan) -> Arm:
    # Where everybody gets one variation, its values are the flag's as well: they hold when it is
    # switched off.
    return plan.arms[next(iter(plan.split))] if len(plan.split) == 1 else Arm()


def _rule(known: Flag, plan: FlagPlan, variables: Mapping[str, Variable]) -> Experiment:
    there = {variation.key: variation for variation in known.variations}
    arms = {}
    for key, arm in plan.arms.items():
        own = there.get(key) or Variation(stable_id("variation", plan.key, key), key)
        overrides = {
            variables[name].id: _raw(plan.key, variables[name], value)
            for name, value in arm.variables.items()
        }
        kept = own.overrides or {}
        arms[key] = replace(own, enabled=arm.enabled, overrides={**kept, **overrides})
    end, ranges = 0, []
    for key, basis_points in plan.split.items():
        end += basis_points
        ranges.append(Range(arms[key].id, end))
    audiences = _audiences(plan)
    return Experiment(
        id=stable_id("experiment", plan.key),
        key=f"{plan.key}_test",
        status=RUNNING,
        layer_id=stable_id("layer", plan.key),
        variations=tuple(arms.values()),
        allocation=tuple(ranges),
        expression=["or", *(a.id for a in audiences)] if audiences else None,
        allowlist=plan.listed,
        type="ab",
    )


def _audiences(plan: FlagPlan) -> tuple[Audience, ...]:
    if not plan.audience:
        return ()
    conditions = ["and"] + [
        {"type": "custom_attribute", "name": name, "match": "exact", "value": value}
        for name, value in plan.audience.items()
    ]
    id_ = stable_id("audience", plan.key)
    return (Audience(id_, f"{plan.key} audience", conditions, None),)


def _type_of(flag_key: str, key: str, value: object) -> str:
    found = _TYPES.get(type(value))
    if found is None:
        raise ConfigError(
            f"variable `{key}` of flag `{flag_key}`: expected a bool, int, float, str, dict or "
            f"list, found {value!r}"
        )
    return found


def _raw(flag_key: str, variable: Variable, value: object) -> str:
    given = _type_of(flag_key, variable.key, value)
    is_whole_double = variable.type == "double" and given == "integer"
    if given != variable.type and not is_whole_double:
        raise ConfigError(
            f"variable `{variable.key}` of flag `{flag_key}`: expected a value of type "
            f"{variable.type}, found {value!r}"
        )
    return value if isinstance(value, str) else json.dumps(value)


def equal_split(keys: list[str]) -> dict[str, int]:
    """All traffic, divided equally; what does not divide goes to the first, a basis point each."""
    share, rest = divmod(TOTAL_TRAFFIC, len(keys))
    return {key: share + (number < rest) for number, key in enumerate(keys)}
