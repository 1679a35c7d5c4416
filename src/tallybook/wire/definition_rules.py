"""Rules and exclusion groups of a definition file: who takes part, and how they are split."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from tallybook.errors import DefinitionError
from tallybook.model.definition import (
    DefinedGroup,
    DefinedRule,
    RuleStatus,
    RuleType,
    Share,
)
from tallybook.model.project import TOTAL_TRAFFIC
from tallybook.wire.definition_audiences import read_rule_audience
from tallybook.wire.definition_shapes import GroupShape, RuleShape, fitted, mapping
from tallybook.wire.definition_values import (
    basis_points,
    checked_key,
    defined,
    hint,
    moment_ms,
    one_of,
    percent,
    shown,
)
from tallybook.wire.definition_yaml import join

EQUAL: Final = "equal"
_OF_EXPERIMENTS: Final = ("split", "metrics", "allowlist", "baseline", "group")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a rule may refer to; ``groups`` maps a grouped rule's key to its group's."""

    audiences: Collection[str]
    metrics: Collection[str]
    groups: Mapping[str, str]
    group_keys: Collection[str]
    variations: Collection[str] = ()


def read_rule(value: object, path: str, around: Surroundings) -> DefinedRule:
    """One rule, every reference resolved."""
    shape = fitted(RuleShape, value, path)
    kind = one_of(RuleType, shape.type, join(path, "type"))
    _check_fields_of_kind(shape, value, kind, path)
    split = _split(shape, kind, path, around.variations)
    start_ms = moment_ms(shape.start, join(path, "start"))
    end_ms = moment_ms(shape.end, join(path, "end"))
    if start_ms is not None and end_ms is not None and end_ms <= start_ms:
        raise DefinitionError(join(path, "end"), "is not after the rule's start")
    arms = [share.key for share in split]
    if shape.baseline is not None:
        defined("variation of this rule", shape.baseline, arms, join(path, "baseline"))
    return DefinedRule(
        key=checked_key(shape.key, join(path, "key")),
        type=kind,
        split=split,
        audience=read_rule_audience(shape.audience, join(path, "audience"), around.audiences),
        traffic=basis_points(shape.traffic, join(path, "traffic")),
        metrics=_metrics(shape.metrics or [], join(path, "metrics"), around.metrics),
        allowlist=_allowlist(shape.allowlist or {}, join(path, "allowlist"), arms),
        baseline=shape.baseline,
        group=_group(shape, path, around),
        status=one_of(RuleStatus, shape.status, join(path, "status")),
        start_ms=start_ms,
        end_ms=end_ms,
    )


def _check_fields_of_kind(shape: RuleShape, value: object, kind: RuleType, path: str) -> None:
    given = value if isinstance(value, dict) else {}
    if kind is not RuleType.DELIVERY:
        if shape.variation is not None:
            reason = f"belongs to targeted_delivery; a rule of type {kind} has a `split`"
            raise DefinitionError(join(path, "variation"), reason)
        return
    for name in _OF_EXPERIMENTS:
        if name in given:
            reason = "belongs to experiments; a targeted_delivery has one `variation`"
            raise DefinitionError(join(path, name), reason)


def _split(
    shape: RuleShape, kind: RuleType, path: str, variations: Collection[str]
) -> tuple[Share, ...]:
    if kind is RuleType.DELIVERY:
        at = join(path, "variation")
        if shape.variation is None:
            raise DefinitionError(at, "is missing; it says which variation is delivered")
        return (Share(defined("variation", shape.variation, variations, at), TOTAL_TRAFFIC),)
    at = join(path, "split")
    shares = _shares(shape.split, at, variations)
    if len(shares) < 2:  # noqa: PLR2004 - a comparison has two sides
        raise DefinitionError(at, f"has {len(shares)} variation; a comparison needs at least 2")
    total = sum(share.basis_points for share in shares)
    if total != TOTAL_TRAFFIC:
        reason = f"adds up to {percent(total)}, {total} basis points; it must be 100%, 10000"
        raise DefinitionError(at, reason)
    return shares


def _shares(value: object, path: str, variations: Collection[str]) -> tuple[Share, ...]:
    if value == EQUAL:
        size, over = divmod(TOTAL_TRAFFIC, max(len(variations), 1))
        return tuple(Share(key, size + (i < over)) for i, key in enumerate(variations))
    expected = "such as {control: 50%, treatment: 50%}, or the word equal"
    return tuple(
        Share(
            defined("variation", key, variations, join(path, key)),
            basis_points(share, join(path, key)),
        )
        for key, share in mapping(value, path, expected=expected).items()
    )


def _metrics(keys: list[str], path: str, known: Collection[str]) -> tuple[str, ...]:
    for i, key in enumerate(keys):
        defined("metric", key, known, f"{path}[{i}]")
        if key in keys[:i]:
            raise DefinitionError(f"{path}[{i}]", f"`{key}` is listed twice; keep one")
    return tuple(keys)


def _allowlist(
    listed: Mapping[str, object], path: str, arms: Collection[str]
) -> tuple[tuple[str, str], ...]:
    variation_of: dict[str, str] = {}
    for variation, users in listed.items():
        at = join(path, variation)
        defined("variation of this rule", variation, arms, at)
        for user in _user_ids(users, at):
            if user in variation_of:
                reason = f"{shown(user)} is listed twice; a user has one variation"
                raise DefinitionError(at, reason)
            variation_of[user] = variation
    return tuple(variation_of.items())


def _user_ids(users: object, path: str) -> list[str]:
    if not isinstance(users, list):
        raise DefinitionError(path, f"found {shown(users)}; expected a list of user ids")
    for i, user in enumerate(users):
        if not isinstance(user, str):
            reason = f"found {shown(user)}; expected a user id as text, in quotes"
            raise DefinitionError(f"{path}[{i}]", reason)
    return users


def _group(shape: RuleShape, path: str, around: Surroundings) -> str | None:
    actual = around.groups.get(shape.key)
    if shape.group is None or shape.group == actual:
        return actual
    at = join(path, "group")
    defined("group", shape.group, around.group_keys, at)
    reason = f"`groups.{shape.group}.rules` has no share for `{shape.key}`; add one there"
    raise DefinitionError(at, reason)


def read_groups(document: Mapping[str, object]) -> tuple[DefinedGroup, ...]:
    """Every exclusion group; whether its rules exist is for :func:`check_groups`."""
    groups = tuple(_read_group(key, value) for key, value in document.items())
    owner: dict[str, str] = {}
    for group in groups:
        for share in group.shares:
            if share.key in owner:
                reason = f"is in `{owner[share.key]}` too; a rule is in one group at most"
                raise DefinitionError(f"groups.{group.key}.rules.{share.key}", reason)
            owner[share.key] = group.key
    return groups


def _read_group(key: str, value: object) -> DefinedGroup:
    path = join("groups", checked_key(key, join("groups", key)))
    rules = fitted(GroupShape, value, path).rules
    at = join(path, "rules")
    shares = tuple(Share(k, basis_points(v, join(at, k))) for k, v in rules.items())
    total = sum(share.basis_points for share in shares)
    if total > TOTAL_TRAFFIC:
        raise DefinitionError(at, f"adds up to {percent(total)}; at most 100% can be shared")
    return DefinedGroup(key, shares)


def check_groups(groups: tuple[DefinedGroup, ...], experiments: Collection[str]) -> None:
    """Refuse a share for something that is no experiment."""
    for group in groups:
        for share in group.shares:
            if share.key not in experiments:
                path = f"groups.{group.key}.rules.{share.key}"
                raise DefinitionError(path, f"is no experiment{hint(share.key, experiments)}")
