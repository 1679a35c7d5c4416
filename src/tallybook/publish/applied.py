"""Definition → catalog → revision → datafiles: applying, whole or not at all."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tallybook.catalog.access import TokenScope
from tallybook.catalog.publication import (
    EnvironmentAccess,
    EnvironmentRevision,
    ProjectIdentity,
    Publication,
    PublishedExperiment,
)
from tallybook.catalog.store import Catalog, token_hash
from tallybook.catalog.transaction import CatalogTransaction
from tallybook.errors import DefinitionError
from tallybook.model.definition import DefinedRule, Definition, RuleStatus
from tallybook.model.project import Experiment, Project
from tallybook.publish.datafile import Place, project_at
from tallybook.publish.differences import Plan, differences
from tallybook.publish.ids import FIRST_ID, Ids
from tallybook.publish.layout import served_weights
from tallybook.wire.datafile import write_datafile
from tallybook.wire.definition import read_definition, write_definition


@dataclass(frozen=True, slots=True)
class Applied:
    """What applying a definition did.

    ``access_tokens`` and ``event_tokens`` are those just made, by environment: only their hashes
    are kept, so this is the one time they can be shown. ``sdk_keys`` are all, by environment.
    """

    plan: Plan
    revision: str
    published: bool
    sdk_keys: Mapping[str, str]
    access_tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    event_tokens: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def text(self) -> str:
        """What was done, for people, line by line; the one place that shows new tokens."""
        lines = [*self.plan.lines()]
        lines.append(f"revision {self.revision} {'published' if self.published else 'stays'}")
        lines += [f"  SDK key of {key}: {sdk_key}" for key, sdk_key in self.sdk_keys.items()]
        made = [
            *(("access", key, token) for key, token in self.access_tokens.items()),
            *(("event", key, token) for key, token in self.event_tokens.items()),
        ]
        lines += [
            f"  {kind} token of {key}: {token} (shown this once; only its hash is kept)"
            for kind, key, token in made
        ]
        return "\n".join(lines)


def plan(catalog: Catalog, definition: Definition) -> Plan:
    """What :func:`apply` would change; nothing is written.

    Raises:
        DefinitionError: The definition is at odds with another project.
    """
    with catalog.transaction() as transaction:
        _check_sdk_keys(transaction, definition)
        return _plan(transaction, definition)


def apply(catalog: Catalog, definition: Definition, now_ms: int) -> Applied:
    """Publish a definition as a new revision of its project, in every environment.

    Applying again what is already published changes nothing and makes no revision.

    Args:
        catalog: Where to.
        definition: The whole project; what it leaves out is removed.
        now_ms: The time of publication, milliseconds since the epoch.

    Raises:
        DefinitionError: The definition is at odds with another project.
        StorageError: The catalog could not be written.
    """
    text = write_definition(definition)
    with catalog.transaction() as transaction:
        _check_sdk_keys(transaction, definition)
        planned = _plan(transaction, definition)
        latest = transaction.latest(definition.project)
        if latest is not None and latest.definition == text:
            known = transaction.environments(definition.project)
            keys = {key: access.sdk_key for key, access in known.items()}
            return Applied(planned, latest.revision, published=False, sdk_keys=keys)
        accesses, tokens = _accesses(transaction, definition)
        publication = _publication(transaction, definition, accesses)
        publication = replace(publication, definition=text, at_ms=now_ms)
        transaction.record(publication)
        event_tokens = _event_tokens(transaction, definition, now_ms)
    return Applied(
        planned,
        publication.revision,
        published=True,
        sdk_keys={access.key: access.sdk_key for access in accesses},
        access_tokens=tokens,
        event_tokens=event_tokens,
    )


def _publication(
    transaction: CatalogTransaction, definition: Definition, accesses: list[EnvironmentAccess]
) -> Publication:
    ids = Ids(
        transaction.ids(definition.project),
        taken=transaction.taken_ids(),
        next_id=transaction.next_id(FIRST_ID),
    )
    account_id = transaction.account_id() or ids.unused()
    identity = transaction.project(definition.project) or ProjectIdentity(
        definition.project, ids.of("project"), account_id
    )
    revision = _next_revision(transaction, definition.project)
    environments = tuple(
        _environment_revision(
            definition, access, Place(identity, access.key, access.sdk_key, revision), ids
        )
        for access in accesses
    )
    transaction.keep_account(account_id, ids.next_id)
    return Publication(
        project=identity,
        revision=revision,
        at_ms=0,
        environments=environments,
        metrics=definition.metrics,
        ids=ids.new,
    )


def new_sdk_key() -> str:
    """A key nobody guesses, of characters that every client accepts."""
    return secrets.token_hex(11)


def _plan(transaction: CatalogTransaction, definition: Definition) -> Plan:
    text = transaction.last_definition(definition.project)
    latest = transaction.latest(definition.project)
    notes = []
    if latest is not None and latest.definition is None:
        notes.append(
            f"revision {latest.revision} was imported; the datafile made from the definition "
            "takes its place, ids of equal keys are kept"
        )
    old = None if text is None else read_definition(text)
    return Plan(definition.project, differences(old, definition), tuple(notes))


def _check_sdk_keys(transaction: CatalogTransaction, definition: Definition) -> None:
    for environment in definition.environments:
        owner = transaction.sdk_key_owner(environment.sdk_key) if environment.sdk_key else None
        if owner is not None and owner[0] != definition.project:
            raise DefinitionError(
                f"environments.{environment.key}.sdk_key",
                f"`{environment.sdk_key}` belongs to {owner[0]}/{owner[1]}; choose another",
            )


def _accesses(
    transaction: CatalogTransaction, definition: Definition
) -> tuple[list[EnvironmentAccess], dict[str, str]]:
    known = transaction.environments(definition.project)
    given = {environment.sdk_key for environment in definition.environments}
    accesses = []
    tokens: dict[str, str] = {}
    for environment in definition.environments:
        before = known.get(environment.key)
        kept = before.sdk_key if before and before.sdk_key not in given else None
        hashed = None
        if environment.access_token:
            hashed = before.token_hash if before else None
            if hashed is None:
                tokens[environment.key] = secrets.token_urlsafe(32)
                hashed = token_hash(tokens[environment.key])
        sdk_key = environment.sdk_key or kept or new_sdk_key()
        accesses.append(
            EnvironmentAccess(environment.key, sdk_key, hashed, environment.event_token)
        )
    return accesses, tokens


def _event_tokens(
    transaction: CatalogTransaction, definition: Definition, now_ms: int
) -> dict[str, str]:
    """A token for each environment whose events need one, where there is none yet."""
    held = {
        token.environment
        for token in transaction.tokens.all().values()
        if token.project == definition.project and token.revoked_ms is None
    }
    made = {}
    for key in [e.key for e in definition.environments if e.event_token and e.key not in held]:
        place = (definition.project, key)
        _, made[key] = transaction.tokens.make("/".join(place), TokenScope.EVENTS, now_ms, place)
    return made


def _next_revision(transaction: CatalogTransaction, project: str) -> str:
    numbers = (int(r) for r in transaction.revisions(project) if r.isdecimal())
    return str(max(numbers, default=0) + 1)


def _environment_revision(
    definition: Definition, access: EnvironmentAccess, place: Place, ids: Ids
) -> EnvironmentRevision:
    project = project_at(definition, place, ids)
    return EnvironmentRevision(
        access=access,
        body=write_datafile(project),
        experiments=_experiments(definition, project, access.key),
        event_keys=definition.events,
    )


def _experiments(
    definition: Definition, project: Project, environment: str
) -> tuple[PublishedExperiment, ...]:
    built = {experiment.key: experiment for experiment in project.experiments}
    return tuple(
        _experiment(rule, built[rule.key], flag.key, enabled=ruleset.enabled)
        for flag in definition.flags
        for ruleset in [flag.ruleset(environment)]
        for rule in ruleset.rules
        if rule.key in built
    )


def _experiment(
    rule: DefinedRule, experiment: Experiment, flag_key: str, *, enabled: bool
) -> PublishedExperiment:
    is_held = rule.status is RuleStatus.RUNNING and not enabled
    baseline = rule.baseline or rule.split[0].key
    return PublishedExperiment(
        id=experiment.id,
        key=experiment.key,
        flag_key=flag_key,
        status=str(RuleStatus.PAUSED if is_held else rule.status),
        arms={variation.id: variation.key for variation in experiment.variations},
        baseline_id=experiment.variation_by_key[baseline].id,
        weights=served_weights(experiment),
        metrics=rule.metrics,
        start_ms=rule.start_ms,
        end_ms=rule.end_ms,
    )
