"""Definition → the text of a definition file, in one canonical form.

Equal text means equal definitions, so the catalog keeps this form and compares it.
"""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from tallybook.model.definition import (
    OFF,
    DefinedEnvironment,
    DefinedFlag,
    DefinedRule,
    DefinedVariation,
    Definition,
    RuleStatus,
    RuleType,
    Share,
)
from tallybook.model.project import TOTAL_TRAFFIC
from tallybook.wire.definition_audiences import audience_value
from tallybook.wire.definition_metrics import metric_value
from tallybook.wire.definition_values import moment_text, percent, typed_value

Values = dict[str, object]


def write_definition(definition: Definition) -> str:
    """YAML from which the same definition is read again; what is the default is left out."""
    document = _present(
        project=definition.project,
        environments={e.key: _environment(e) for e in definition.environments},
        bot_filtering=definition.bot_filtering or None,
        anonymize_ip=None if definition.anonymize_ip else False,
        send_flag_decisions=None if definition.send_flag_decisions else False,
        attributes=list(definition.attributes),
        events=list(definition.events),
        audiences={a.key: audience_value(a.condition) for a in definition.audiences},
        metrics={m.key: metric_value(m) for m in definition.metrics},
        flags={f.key: _flag(f) for f in definition.flags},
        groups={g.key: {"rules": _shares(g.shares)} for g in definition.groups},
    )
    text: str = yaml.dump(
        document, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=100
    )
    return text


def _present(**fields: object) -> Values:
    """The fields that say something: neither ``None`` nor empty."""
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


def _environment(environment: DefinedEnvironment) -> Values:
    return _present(
        sdk_key=environment.sdk_key,
        access_token=environment.access_token or None,
        event_token=environment.event_token or None,
    )


def _shares(shares: tuple[Share, ...]) -> Mapping[str, str]:
    return {share.key: percent(share.basis_points) for share in shares}


def _flag(flag: DefinedFlag) -> Values:
    types = {v.key: v.type for v in flag.variables}
    fields = _present(
        variables={
            v.key: {"type": v.type, "default": typed_value(v.type, v.default)}
            for v in flag.variables
        },
        variations={v.key: _variation(v, types) for v in flag.variations},
        enabled=None if flag.enabled else False,
        rules=[_rule(rule) for rule in flag.rules],
        default=flag.default,
    )
    overrides: dict[str, Values] = {}
    for override in flag.overrides:
        own: Values = {} if override.enabled is None else {"enabled": override.enabled}
        if override.rules is not None:  # an empty list says: no rules here
            own["rules"] = [_rule(rule) for rule in override.rules]
        overrides[override.environment] = own
    return fields | ({"environments": overrides} if overrides else {})


def _variation(variation: DefinedVariation, types: Mapping[str, str]) -> Values:
    values: Values = {k: typed_value(types[k], v) for k, v in variation.values.items()}
    if not variation.enabled and variation.key != OFF:
        return {"enabled": False} | values
    return values


def _rule(rule: DefinedRule) -> Values:
    is_delivery = rule.type is RuleType.DELIVERY
    allowlist: dict[str, list[str]] = {}
    for user, variation in rule.allowlist:
        allowlist.setdefault(variation, []).append(user)
    return _present(
        key=rule.key,
        type=str(rule.type),
        audience=None if rule.audience is None else audience_value(rule.audience),
        traffic=None if rule.traffic == TOTAL_TRAFFIC else percent(rule.traffic),
        variation=rule.split[0].key if is_delivery else None,
        split=None if is_delivery else _shares(rule.split),
        metrics=list(rule.metrics),
        allowlist=allowlist,
        baseline=rule.baseline,
        group=rule.group,
        status=None if rule.status is RuleStatus.RUNNING else str(rule.status),
        start=None if rule.start_ms is None else moment_text(rule.start_ms),
        end=None if rule.end_ms is None else moment_text(rule.end_ms),
    )
