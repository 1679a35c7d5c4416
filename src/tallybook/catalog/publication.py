"""What is handed to the catalog to keep, and what it gives back: values without a database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tallybook.model.metric import Metric

IdPath = tuple[str, tuple[str, ...]]  # kind of object, keys that lead to it inside its project


@dataclass(frozen=True, slots=True)
class PublishedDatafile:
    """An environment's datafile as it is served; ``published_at_ms`` is since the epoch."""

    body: bytes
    revision: str
    published_at_ms: int
    etag: str
    access_token_required: bool


@dataclass(frozen=True, slots=True)
class EnvironmentAccess:
    """How clients reach an environment; ``token_hash`` is ``None`` when no token is needed.

    ``event_token`` says that events need one too.
    """

    key: str
    sdk_key: str
    token_hash: str | None = None
    event_token: bool = False


@dataclass(frozen=True, slots=True)
class PublishedExperiment:
    """An experiment of one revision; ``arms`` are variation id → key in the rule's order.

    ``weights`` are basis points of all traffic by variation id; empty when they are unknown.
    """

    id: str
    key: str
    flag_key: str | None
    status: str
    arms: Mapping[str, str]
    baseline_id: str
    weights: Mapping[str, int]
    metrics: tuple[str, ...] = ()
    start_ms: int | None = None
    end_ms: int | None = None


@dataclass(frozen=True, slots=True)
class EnvironmentRevision:
    """One environment of a publication: its datafile and what it says."""

    access: EnvironmentAccess
    body: bytes
    experiments: tuple[PublishedExperiment, ...] = ()
    event_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProjectIdentity:
    """A project's key and the ids its datafiles carry."""

    key: str
    project_id: str
    account_id: str


@dataclass(frozen=True, slots=True)
class Publication:
    """One revision of a project, whole.

    ``definition`` is its canonical text, ``None`` for an imported datafile; with a definition the
    environments and metrics are all there are, without one those left out stay as they were.
    ``ids`` are ids newly given to objects.
    """

    project: ProjectIdentity
    revision: str
    at_ms: int
    environments: tuple[EnvironmentRevision, ...]
    definition: str | None = None
    metrics: tuple[Metric, ...] = ()
    ids: Mapping[IdPath, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LatestPublication:
    """The newest revision of a project; without a definition it was imported."""

    revision: str
    definition: str | None
