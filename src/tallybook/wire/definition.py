"""Definition files: YAML ⇄ :class:`~tallybook.model.definition.Definition`.

Theory of operation: the text becomes plain values with strict YAML rules (``definition_yaml``);
each mapping is fitted to its typed shape where it stands (``definition_shapes``), so that a fault's
path names flags and rules; then values are checked and references resolved, from what refers to
nothing (events, attributes) to what refers to everything (rules). The first fault is raised.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from tallybook.errors import DefinitionError
from tallybook.model.definition import DefinedEnvironment, DefinedGroup, Definition
from tallybook.wire.definition_audiences import read_audiences
from tallybook.wire.definition_flags import experiment_keys, read_flags
from tallybook.wire.definition_metrics import read_metrics
from tallybook.wire.definition_rules import Surroundings, check_groups, read_groups
from tallybook.wire.definition_shapes import EnvironmentShape, ProjectShape, fitted
from tallybook.wire.definition_values import checked_key, checked_loose_key, shown
from tallybook.wire.definition_writing import write_definition
from tallybook.wire.definition_yaml import join, plain_values

__all__ = ["read_definition", "write_definition"]

_PRIMARY: Final = "production"  # the environment of a project that names none
_SDK_KEY: Final = re.compile(r"[a-zA-Z0-9_\-]{1,64}\Z")  # it stands in a URL


def read_definition(text: str | bytes) -> Definition:
    """The definition that ``text`` writes down.

    Raises:
        DefinitionError: With the path of the fault, what stands there and what would be right.
    """
    shape = fitted(ProjectShape, plain_values(text), "")
    if shape.holdouts:
        reason = "holdouts arrive with a later version; leave them out"
        raise DefinitionError("holdouts", reason)
    environments = _environments(shape)
    attributes = _keys(shape.attributes, "attributes", checked_loose_key)
    events = _keys(shape.events, "events", checked_loose_key)
    audiences = read_audiences(shape.audiences or {}, attributes)
    metrics = read_metrics(shape.metrics or {}, events)
    groups = read_groups(shape.groups or {})
    around = Surroundings(
        audiences=[a.key for a in audiences],
        metrics=[m.key for m in metrics],
        groups=_group_of(groups),
        group_keys=[g.key for g in groups],
    )
    flags = read_flags(shape.flags or {}, [e.key for e in environments], around)
    check_groups(groups, experiment_keys(flags))
    return Definition(
        project=checked_key(shape.project, "project"),
        environments=environments,
        anonymize_ip=shape.anonymize_ip,
        bot_filtering=shape.bot_filtering,
        send_flag_decisions=shape.send_flag_decisions,
        attributes=attributes,
        events=events,
        audiences=audiences,
        metrics=metrics,
        flags=flags,
        groups=groups,
    )


def _environments(shape: ProjectShape) -> tuple[DefinedEnvironment, ...]:
    if shape.environments is None:
        return (DefinedEnvironment(_PRIMARY),)
    if not shape.environments:
        raise DefinitionError("environments", "is empty; a project has at least one environment")
    owner: dict[str, str] = {}
    environments = []
    for key, value in shape.environments.items():
        path = join("environments", checked_key(key, join("environments", key)))
        own = fitted(EnvironmentShape, value, path)
        _check_sdk_key(own.sdk_key, join(path, "sdk_key"), owner, key)
        environments.append(DefinedEnvironment(key, own.sdk_key, own.access_token, own.event_token))
    _check_event_tokens(environments)
    return tuple(environments)


def _check_event_tokens(environments: Sequence[DefinedEnvironment]) -> None:
    asking = [environment.key for environment in environments if environment.event_token]
    for environment in environments if asking else ():
        if not environment.event_token:
            path = join(join("environments", environment.key), "event_token")
            raise DefinitionError(
                path,
                f"is not true, but that of `{asking[0]}` is; events do not say which environment "
                "they come from, so all of a project's ask for a token or none does",
            )


def _check_sdk_key(sdk_key: str | None, path: str, owner: dict[str, str], key: str) -> None:
    if sdk_key is None:
        return
    if not _SDK_KEY.match(sdk_key):
        reason = "expected 1 to 64 letters, digits, `_` and `-`, since it stands in a URL"
        raise DefinitionError(path, f"found {shown(sdk_key)}; {reason}")
    if owner.setdefault(sdk_key, key) != key:
        reason = f"is the SDK key of `{owner[sdk_key]}` too; each environment has its own"
        raise DefinitionError(path, reason)


def _keys(
    listed: Sequence[str] | None, path: str, checked: Callable[[str, str], str]
) -> tuple[str, ...]:
    keys: list[str] = []
    for i, key in enumerate(listed or ()):
        if key in keys:
            raise DefinitionError(f"{path}[{i}]", f"`{key}` is listed twice; keep one")
        keys.append(checked(key, f"{path}[{i}]"))
    return tuple(keys)


def _group_of(groups: tuple[DefinedGroup, ...]) -> dict[str, str]:
    return {share.key: group.key for group in groups for share in group.shares}
