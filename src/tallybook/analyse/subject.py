"""Who is analysed: an experiment as the catalog knows it, or as an import left it in the lake."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from tallybook.analyse.request import AD_HOC_FORM, Request, ad_hoc_metric
from tallybook.attribution import ask
from tallybook.errors import ConfigError, NotFoundError
from tallybook.model.experiment import AllocationEpoch, RegisteredExperiment
from tallybook.model.metric import Metric, Window

MOST_LISTED = 10  # ids in one line of an error


class Catalog(Protocol):
    """What results need from wherever experiments and metrics are defined."""

    def find_experiment(
        self, key_or_id: str, *, project: str | None = None, environment: str | None = None
    ) -> RegisteredExperiment:
        """Return the experiment, or raise NotFoundError."""
        ...

    def find_metric(self, key: str, project: str | None = None) -> Metric | None:
        """Return the metric, or ``None`` where no project defines it."""
        ...


@dataclass(frozen=True, slots=True)
class Subject:
    """An experiment to analyse; ``arms`` maps variation ids to keys, in the rule's order."""

    id: str
    key: str
    account_id: str | None
    project_key: str | None
    arms: Mapping[str, str]
    baseline_id: str
    metrics: tuple[Metric, ...] = ()
    epochs: tuple[AllocationEpoch, ...] = ()
    start_ms: int | None = None
    end_ms: int | None = None

    def variation_id(self, flag: str, text: str) -> str:
        """Return the id of the variation called ``text`` by key or id.

        Raises:
            ConfigError: The experiment has no such variation; the message names ``flag``.
        """
        if text in self.arms:
            return text
        for identity, key in self.arms.items():
            if key == text:
                return identity
        expected = ", ".join(self.arms.values())
        raise ConfigError(
            f"{flag} {text!r}: no variation of {self.key}; expected one of {expected}"
        )


def find_subject(engine: ask.Engine, catalog: Catalog | None, request: Request) -> Subject:
    """Return the experiment asked for, by the catalog or else by its id in the lake.

    Raises:
        NotFoundError: Neither knows it; the message says what exists.
        ConfigError: ``--baseline`` names none of its variations.
    """
    try:
        found = _registered(engine, catalog, request)
    except NotFoundError as unknown:
        found = _observed(engine, request.experiment, unknown)
    if request.baseline is None:
        return found
    return replace(found, baseline_id=found.variation_id("--baseline", request.baseline))


def find_metrics(subject: Subject, catalog: Catalog | None, request: Request) -> tuple[Metric, ...]:
    """Return the metrics asked for, in the order asked; none asked: those of the definition.

    Raises:
        NotFoundError: A key is no metric's.
        ConfigError: An ad hoc metric is not of its form.
    """
    texts = tuple(dict.fromkeys(request.metrics))
    return tuple(_metric(subject, catalog, text) for text in texts) or subject.metrics


def find_window(engine: ask.Engine, subject: Subject, request: Request, now_ms: int) -> Window:
    """Return the event times that count: from the first decision to the end, else to now."""
    to_ms = request.to_ms if request.to_ms is not None else subject.end_ms
    to_ms = now_ms if to_ms is None else to_ms
    if request.as_of_ms is not None:
        to_ms = min(to_ms, request.as_of_ms)
    from_ms = request.from_ms
    if from_ms is None:
        span = ask.observed_span(engine, subject.id)
        from_ms = span[0] if span is not None else subject.start_ms
    return Window(to_ms if from_ms is None else min(from_ms, to_ms), to_ms)


def _registered(engine: ask.Engine, catalog: Catalog | None, request: Request) -> Subject:
    if catalog is None:
        raise NotFoundError(f"experiment {request.experiment!r}: there is no catalog")
    found = catalog.find_experiment(
        request.experiment, project=request.project, environment=request.environment
    )
    extra = (v for v in ask.variations_seen(engine, found.id) if v not in found.arms.keys)
    return Subject(
        id=found.id,
        key=found.key,
        account_id=found.account_id,
        project_key=found.project_key,
        arms={**found.arms.keys, **{v: v for v in in_order(extra)}},
        baseline_id=found.arms.baseline_id,
        metrics=found.metrics,
        epochs=found.epochs,
        start_ms=found.start_ms,
        end_ms=_last_active_ms(found),
    )


def _last_active_ms(found: RegisteredExperiment) -> int | None:
    """When the experiment stopped: by its schedule, or because its last change took all traffic."""
    if found.end_ms is not None or not found.epochs:
        return found.end_ms
    *before, last = found.epochs
    # What had no epoch before never ran, so it has not stopped either.
    return last.from_ms if before and not any(last.weights.values()) else None


def _observed(engine: ask.Engine, experiment_id: str, unknown: NotFoundError) -> Subject:
    seen = in_order(ask.variations_seen(engine, experiment_id))
    if not seen:
        known = ", ".join(ask.known_experiments(engine)[:MOST_LISTED]) or "none"
        raise NotFoundError(f"{unknown}; nor is it an id the lake has decisions of ({known})")
    return Subject(
        id=experiment_id,
        key=experiment_id,
        account_id=None,
        project_key=None,
        arms={identity: identity for identity in seen},
        baseline_id=seen[0],
    )


def _metric(subject: Subject, catalog: Catalog | None, text: str) -> Metric:
    for metric in subject.metrics:
        if metric.key == text:
            return metric
    if ":" in text:
        return ad_hoc_metric(text)
    found = catalog.find_metric(text, subject.project_key) if catalog is not None else None
    if found is None:
        known = ", ".join(metric.key for metric in subject.metrics) or "none"
        raise NotFoundError(
            f"--metric {text!r}: no metric is called so (of {subject.key}: {known}); "
            f"expected a metric's key, or {AD_HOC_FORM}"
        )
    return found


def in_order(identities: Iterable[str]) -> Sequence[str]:
    """Return variation ids from the smallest up: decimal ones by number, then others by text."""
    return sorted(identities, key=lambda v: (not v.isdecimal(), int(v) if v.isdecimal() else 0, v))
