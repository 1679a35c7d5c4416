"""A datafile made elsewhere → catalog, its bytes and its ids kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from tallybook.catalog.publication import (
    EnvironmentAccess,
    EnvironmentRevision,
    IdPath,
    ProjectIdentity,
    Publication,
    PublishedExperiment,
)
from tallybook.catalog.store import Catalog
from tallybook.catalog.transaction import CatalogTransaction
from tallybook.errors import ImportDataError
from tallybook.model.definition import RuleStatus
from tallybook.model.project import Experiment, Flag, Project
from tallybook.publish.applied import new_sdk_key
from tallybook.publish.layout import served_weights
from tallybook.wire.datafile import read_datafile

_PRIMARY: Final = "production"
_STATUS: Final = {"not started": RuleStatus.DRAFT, "archived": RuleStatus.CONCLUDED}


@dataclass(frozen=True, slots=True)
class Imported:
    """Where a datafile went; ``published`` is false when it was there already."""

    project: str
    environment: str
    revision: str
    sdk_key: str
    published: bool
    experiments: tuple[str, ...]

    @property
    def text(self) -> str:
        """What was done, for people, line by line."""
        word = "published" if self.published else "was published already, nothing changed"
        return (
            f"project {self.project}, environment {self.environment}\n"
            f"revision {self.revision} {word}\n"
            f"  SDK key: {self.sdk_key}\n"
            f"  experiments: {', '.join(self.experiments) or 'none'}"
        )


def import_datafile(
    catalog: Catalog,
    text: str | bytes,
    *,
    project: str | None = None,
    environment: str | None = None,
    now_ms: int,
) -> Imported:
    """Serve a datafile as it is, and know its experiments.

    Its bytes, revision and SDK key stay, so every decision stays. Its ids are registered by key: a
    definition applied to the project later keeps those whose keys it has. Importing what is served
    already changes nothing.

    Args:
        catalog: Where to.
        text: The datafile.
        project: Key of the project; by default the one that has the datafile's project id, else
            that id.
        environment: Key of the environment; by default the datafile's own, else ``production``.
        now_ms: The time of publication, milliseconds since the epoch.

    Raises:
        DatafileError: It is no datafile.
        ImportDataError: It is at odds with what the catalog has.
    """
    content = read_datafile(text)
    body = text.encode() if isinstance(text, str) else text
    with catalog.transaction() as transaction:
        identity = _identity(transaction, content, project)
        access = _access(transaction, content, identity.key, environment)
        served = transaction.served(identity.key, access.key)
        if served != body:
            _check_revision(transaction, content, body, identity.key, access.key)
            _check_experiments(transaction, content, identity.key)
            known = transaction.ids(identity.key)
            transaction.record(
                Publication(
                    project=identity,
                    revision=content.revision,
                    at_ms=now_ms,
                    environments=(_environment_revision(content, body, access),),
                    ids=_registrations(content, access.key, known),
                )
            )
    return Imported(
        project=identity.key,
        environment=access.key,
        revision=content.revision,
        sdk_key=access.sdk_key,
        published=served != body,
        experiments=tuple(experiment.key for experiment in content.experiments),
    )


def _identity(
    transaction: CatalogTransaction, content: Project, project: str | None
) -> ProjectIdentity:
    known = transaction.project(project) if project else None
    known = known or (None if project else transaction.project_of_id(content.project_id))
    if known is None:
        key = project or content.project_id
        return ProjectIdentity(key, content.project_id, content.account_id)
    if (known.project_id, known.account_id) != (content.project_id, content.account_id):
        raise ImportDataError(
            f"datafile: it is of project id {content.project_id} in account {content.account_id}, "
            f"but the project {known.key} has id {known.project_id} in account "
            f"{known.account_id}; import it under another project key"
        )
    return known


def _access(
    transaction: CatalogTransaction, content: Project, project: str, environment: str | None
) -> EnvironmentAccess:
    key = environment or content.environment_key or _PRIMARY
    before = transaction.environments(project).get(key)
    sdk_key = content.sdk_key or (before.sdk_key if before else new_sdk_key())
    owner = transaction.sdk_key_owner(sdk_key)
    if owner not in (None, (project, key)):
        raise ImportDataError(
            f"datafile: its SDK key `{sdk_key}` belongs to {'/'.join(owner)}, not to "
            f"{project}/{key}; name that project and environment, or remove it there first"
        )
    if before is None:
        return EnvironmentAccess(key, sdk_key)
    return replace(before, sdk_key=sdk_key)


def _check_revision(
    transaction: CatalogTransaction, content: Project, body: bytes, project: str, environment: str
) -> None:
    # Events name the revision that decided them: it may not mean two things.
    earlier = transaction.served(project, environment, content.revision)
    if earlier not in (None, body):
        raise ImportDataError(
            f"datafile: revision {content.revision} of {project}/{environment} is published "
            "already with other content; give the file a revision of its own"
        )


def _check_experiments(transaction: CatalogTransaction, content: Project, project: str) -> None:
    # Decisions in the lake name an experiment by nothing but its id.
    owners = transaction.experiment_owners([e.id for e in content.experiments])
    for id_, owner in owners:
        if owner != project:
            raise ImportDataError(
                f"datafile: its experiment id {id_} belongs already to the project {owner}; their "
                "results could not be told apart"
            )


def _environment_revision(
    content: Project, body: bytes, access: EnvironmentAccess
) -> EnvironmentRevision:
    flag_of = {e.id: flag.key for flag in reversed(content.flags) for e in flag.experiments}
    return EnvironmentRevision(
        access=access,
        body=body,
        experiments=tuple(
            _experiment(e, flag_of.get(e.id))
            for e in {e.id: e for e in content.experiments if e.variations}.values()
        ),
        event_keys=tuple(dict.fromkeys(event.key for event in content.events)),
    )


def _experiment(experiment: Experiment, flag_key: str | None) -> PublishedExperiment:
    status = experiment.status.lower()
    return PublishedExperiment(
        id=experiment.id,
        key=experiment.key,
        flag_key=flag_key,
        status=_STATUS.get(status, status),
        arms={variation.id: variation.key for variation in experiment.variations},
        baseline_id=min((v.id for v in experiment.variations), key=_numerically),
        weights=served_weights(experiment),
    )


def _numerically(id_: str) -> tuple[bool, int, str]:
    return (not id_.isdecimal(), int(id_) if id_.isdecimal() else 0, id_)


def _registrations(
    content: Project, environment: str, known: Mapping[IdPath, str]
) -> dict[IdPath, str]:
    """Every id of the datafile by the keys that lead to it, where nothing is registered yet."""
    new: dict[IdPath, str] = {}
    for path, id_ in _ids(content, environment):
        if path not in known:
            new.setdefault(path, id_)
    return new


def _ids(content: Project, environment: str) -> Iterator[tuple[IdPath, str]]:
    yield ("account", ()), content.account_id
    yield ("project", ()), content.project_id
    for attribute in content.attributes:
        yield ("attribute", (attribute.key,)), attribute.id
    for event in content.events:
        yield ("event", (event.key,)), event.id
    for audience in content.audiences:
        yield ("audience", (audience.name,)), audience.id
    for group in content.groups:  # a datafile knows no key of it
        yield ("group", (group.id, environment)), group.id
    for flag in content.flags:
        yield from _flag_ids(flag, environment)
    in_flags = {experiment.id for flag in content.flags for experiment in flag.experiments}
    for experiment in content.experiments:
        if experiment.id not in in_flags:
            yield from _rule_ids("experiment", "", experiment, environment)


def _flag_ids(flag: Flag, environment: str) -> Iterator[tuple[IdPath, str]]:
    yield ("flag", (flag.key,)), flag.id
    for variable in flag.variables:
        yield ("variable", (flag.key, variable.key)), variable.id
    for experiment in flag.experiments:
        yield from _rule_ids("experiment", flag.key, experiment, environment)
    if flag.rollout is None or not flag.rollout.rules:
        return
    yield ("rollout", (flag.key, environment)), flag.rollout.id
    *delivered, everyone_else = flag.rollout.rules
    for rule in delivered:
        yield from _rule_ids("delivery", flag.key, rule, environment)
    yield ("rollout_layer", (flag.key, environment)), everyone_else.layer_id
    yield from _variation_ids(flag.key, "", everyone_else, environment)


def _rule_ids(
    kind: str, flag_key: str, rule: Experiment, environment: str
) -> Iterator[tuple[IdPath, str]]:
    yield (kind, (flag_key, rule.key, environment)), rule.id
    yield ("layer", (flag_key, rule.key, environment)), rule.layer_id
    yield from _variation_ids(flag_key, rule.key, rule, environment)


def _variation_ids(
    flag_key: str, rule_key: str, rule: Experiment, environment: str
) -> Iterator[tuple[IdPath, str]]:
    for variation in rule.variations:
        yield ("variation", (flag_key, variation.key)), variation.id
        # Older projects give a variation another id in each rule.
        yield ("rule_variation", (flag_key, rule_key, environment, variation.key)), variation.id
