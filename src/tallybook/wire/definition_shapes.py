"""What each mapping of a definition file may hold, as typed shapes, and how values are fitted.

Mappings whose keys are people's own names are taken apart name by name, so that an error's path can
say ``flags.checkout`` where a schema alone would know only "some flag".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from tallybook.errors import DefinitionError
from tallybook.wire.definition_values import hint, shown
from tallybook.wire.definition_yaml import WHOLE, join

_Shape = TypeVar("_Shape", bound=Struct)

_EXPECTED: Final = re.compile(r"Expected `(?P<kind>[^`]+)`")
_STEP: Final = re.compile(r"\[(?P<index>\d+)\]|\.(?P<name>\w+)")
_PLAIN_WORDS: Final = {
    "str": "text",
    "bool": "true or false",
    "int": "a whole number",
    "array": "a list",
    "object": "a mapping",
}


class ProjectShape(Struct, kw_only=True, forbid_unknown_fields=True):
    """The document."""

    project: str
    environments: dict[str, Any] | None = None
    bot_filtering: bool = False
    anonymize_ip: bool = True
    send_flag_decisions: bool = True
    attributes: list[str] | None = None
    events: list[str] | None = None
    audiences: dict[str, Any] | None = None
    metrics: dict[str, Any] | None = None
    flags: dict[str, Any] | None = None
    groups: dict[str, Any] | None = None
    holdouts: dict[str, Any] | None = None


class EnvironmentShape(Struct, kw_only=True, forbid_unknown_fields=True):
    """``environments.E``."""

    sdk_key: str | None = None
    access_token: bool = False
    event_token: bool = False


class MetricShape(Struct, kw_only=True, forbid_unknown_fields=True):
    """``metrics.M``."""

    event: str
    aggregator: str
    field: str | None = None
    scope: str = "visitor"
    winning_direction: str = "increasing"


class FlagShape(Struct, kw_only=True, forbid_unknown_fields=True):
    """``flags.F``."""

    variables: dict[str, Any] | None = None
    variations: dict[str, Any] | None = None
    enabled: bool = True
    rules: list[Any] | None = None
    default: str | None = None
    environments: dict[str, Any] | None = None


class OverrideShape(Struct, kw_only=True, forbid_unknown_fields=True):
    """``flags.F.environments.E``."""

    enabled: bool | None = None
    rules: list[Any] | None = None


class VariableShape(Struct, kw_only=True, forbid_unknown_fields=True):
    """``flags.F.variables.V``."""

    type: str
    default: Any


class RuleShape(Struct, kw_only=True, forbid_unknown_fields=True):
    """``flags.F.rules[i]``."""

    key: str
    type: str
    audience: Any = None
    traffic: Any = "100%"
    split: Any = None
    variation: str | None = None
    metrics: list[str] | None = None
    allowlist: dict[str, Any] | None = None
    baseline: str | None = None
    group: str | None = None
    status: str = "running"
    start: Any = None
    end: Any = None


class GroupShape(Struct, kw_only=True, forbid_unknown_fields=True):
    """``groups.G``."""

    rules: dict[str, Any]


def fitted(shape: type[_Shape], value: object, path: str) -> _Shape:
    """``value`` as a ``shape``; nothing at all counts as an empty mapping.

    Raises:
        DefinitionError: A field is unknown, missing or of another type.
    """
    content = mapping({} if value is None else value, path, expected=_fields(shape))
    for name in content:
        if name not in shape.__struct_fields__:
            raise DefinitionError(join(path, name), _unknown(shape, name))
    try:
        return msgspec.convert(content, shape)
    except msgspec.ValidationError as error:
        raise _explained(str(error), content, path) from None


def mapping(value: object, path: str, *, expected: str) -> Mapping[str, object]:
    """``value`` if it is a mapping; ``expected`` says what it should hold."""
    if isinstance(value, dict):
        return value
    raise DefinitionError(path or WHOLE, f"found {shown(value)}; expected a mapping {expected}")


def _fields(shape: type[Struct]) -> str:
    return "of " + ", ".join(shape.__struct_fields__)


def _unknown(shape: type[Struct], name: str) -> str:
    return f"is an unknown field{hint(name, shape.__struct_fields__)}"


def _explained(message: str, content: Mapping[str, object], path: str) -> DefinitionError:
    reason, _, at = message.partition(" - at `$")
    steps = at.rstrip("`")
    expected = _EXPECTED.match(reason)
    if not expected:  # what is left says which field is missing
        name = reason.rpartition("required field `")[2].rstrip("`")
        return DefinitionError(join(path, name), "is missing; it is required")
    kinds = [k for k in expected["kind"].split(" | ") if k != "null"]
    right = " or ".join(_PLAIN_WORDS.get(kind, kind) for kind in kinds)
    where = f"{path}{steps}" if path else steps.removeprefix(".")
    return DefinitionError(where, f"found {shown(_at(content, steps))}; expected {right}")


def _at(content: object, steps: str) -> object:
    for step in _STEP.finditer(steps):
        if step["index"] and isinstance(content, list):
            content = content[int(step["index"])]
        elif isinstance(content, dict):
            content = content.get(step["name"])
    return content
