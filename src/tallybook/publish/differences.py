"""What applying a definition would change, for people to read first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import StrEnum
from typing import Final

from msgspec import Struct

from tallybook.model.definition import (
    DefinedFlag,
    DefinedRule,
    Definition,
    RuleType,
    Share,
)
from tallybook.model.project import TOTAL_TRAFFIC

_Objects = Mapping[tuple[str, str], object]

_HIDDEN: Final = "sdk_key"  # not printed for whoever reads over a shoulder
_SPLITTING: Final = {"traffic", "split", "status"}


class Action(StrEnum):
    """What happens to an object; the value is the mark it has in a plan."""

    CREATED = "+"
    CHANGED = "~"
    REMOVED = "-"


@dataclass(frozen=True, slots=True)
class Change:
    """One object and what happens to it; ``detail`` says what is other than before."""

    action: Action
    kind: str
    key: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.action} {self.kind} {self.key}" + (f": {self.detail}" if self.detail else "")


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that applying a definition would change; ``notes`` are worth knowing besides."""

    project: str
    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()

    def lines(self) -> tuple[str, ...]:
        """The plan as text, a line for a change."""
        head = f"project {self.project}" + ("" if self.changes else ": nothing to change")
        notes = (f"  note: {note}" for note in self.notes)
        return (head, *(f"  {change}" for change in self.changes), *notes)


def differences(old: Definition | None, new: Definition) -> tuple[Change, ...]:
    """What is created, changed and removed, in the order of a definition file."""
    before = _objects(old or Definition(new.project, ()))
    after = _objects(new)
    changes = []
    for (kind, key), value in after.items():
        if (kind, key) not in before:
            changes.append(Change(Action.CREATED, kind, key))
        # `repr`, since 1 == True == 1.0 and a datafile tells them apart
        elif repr(before[kind, key]) != repr(value):
            detail = _detail(before[kind, key], value)
            changes.append(Change(Action.CHANGED, kind, key, detail))
    gone = (at for at in before if at not in after)
    changes += [Change(Action.REMOVED, kind, key) for kind, key in gone]
    return (*changes, *_reordered(before, after))


def _objects(definition: Definition) -> dict[tuple[str, str], object]:
    objects: dict[tuple[str, str], object] = {
        ("setting", "anonymize_ip"): definition.anonymize_ip,
        ("setting", "bot_filtering"): definition.bot_filtering,
        ("setting", "send_flag_decisions"): definition.send_flag_decisions,
    }
    objects |= {("environment", e.key): e for e in definition.environments}
    objects |= {("attribute", key): key for key in definition.attributes}
    objects |= {("event", key): key for key in definition.events}
    objects |= {("audience", a.key): a for a in definition.audiences}
    objects |= {("metric", m.key): m for m in definition.metrics}
    for flag in definition.flags:
        objects |= _flag_objects(flag)
    return objects | {("group", g.key): g for g in definition.groups}


def _flag_objects(flag: DefinedFlag) -> dict[tuple[str, str], object]:
    bare = replace(flag, variables=(), variations=(), rules=(), overrides=())
    objects: dict[tuple[str, str], object] = {("flag", flag.key): bare}
    objects |= {("variable", f"{flag.key}/{v.key}"): v for v in flag.variables}
    objects |= {("variation", f"{flag.key}/{v.key}"): v for v in flag.variations}
    objects |= {("rule", f"{flag.key}/{r.key}"): r for r in flag.rules}
    for override in flag.overrides:
        place = f"in {override.environment}"
        objects["flag", f"{flag.key} {place}"] = replace(override, rules=None)
        for rule in override.rules or ():
            objects["rule", f"{flag.key}/{rule.key} {place}"] = rule
    return objects


def _reordered(before: _Objects, after: _Objects) -> list[Change]:
    """One change for each kind whose objects stand in another order: rules are tried in order."""
    shared = [at for at in after if at in before]
    changes = []
    for kind in dict.fromkeys(kind for kind, _ in shared):
        now = [key for of, key in shared if of == kind]
        then = [key for of, key in before if of == kind and (of, key) in after]
        if now != then:
            changes.append(Change(Action.CHANGED, kind, "order", ", ".join(now)))
    return changes


def _detail(old: object, new: object) -> str:
    if not is_dataclass(old) or not is_dataclass(new):
        return f"{_shown(old)} → {_shown(new)}"
    pairs = ((f.name, getattr(old, f.name), getattr(new, f.name)) for f in fields(new))
    changed = [name for name, then, now in pairs if repr(then) != repr(now)]
    parts = [_part(name, getattr(old, name), getattr(new, name)) for name in changed]
    starts_epoch = isinstance(new, DefinedRule) and new.type is not RuleType.DELIVERY
    if starts_epoch and _SPLITTING & set(changed):
        parts.append("a new allocation epoch of its results")
    return "; ".join(parts)


def _part(name: str, old: object, new: object) -> str:
    word = name.removesuffix("_ms").replace("_", " ")
    if name == _HIDDEN or isinstance(old, dict) or _has_parts(old) or _has_parts(new):
        return f"{word} changed"
    if name == "traffic" and isinstance(old, int) and isinstance(new, int):
        return f"{word} {_percent(old)} → {_percent(new)}"
    return f"{word} {_shown(old)} → {_shown(new)}"


def _has_parts(value: object) -> bool:
    return is_dataclass(value) or isinstance(value, Struct)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(_shown(item) for item in value) + ")"
    if isinstance(value, Share):
        return f"{value.key} {_percent(value.basis_points)}"
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else str(value)


def _percent(basis_points: int) -> str:
    return f"{basis_points * 100 / TOTAL_TRAFFIC:g}%"
