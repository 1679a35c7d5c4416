"""What the outside may watch: ``/health/live``, ``/health/ready`` and ``/metrics``.

A server with several workers answers for all of them, whichever is asked: each worker's figures
carry its number, and it is ready when every worker that runs is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Final

from litestar import MediaType, Response, get
from litestar.types import ControllerRouterHandler
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector as MetricSource

from tallybook.server.figures import Figures, Gather

Family = CounterMetricFamily | GaugeMetricFamily


_SINGLE: Final[Sequence[tuple[type[Family], str, str, Callable[[Figures], float]]]] = (
    (
        CounterMetricFamily,
        "tallybook_log_damaged_records",
        "Log records that were damaged on disk",
        lambda figures: figures.drained.damaged_records,
    ),
    (
        CounterMetricFamily,
        "tallybook_drain_failures",
        "Failed drains",
        lambda figures: figures.drain_failures,
    ),
    (
        GaugeMetricFamily,
        "tallybook_log_waiting_bytes",
        "Bytes waiting for the disk",
        lambda figures: figures.waiting_bytes,
    ),
    (
        GaugeMetricFamily,
        "tallybook_log_sealed_segments",
        "Log segments not in the lake yet",
        lambda figures: figures.sealed_segments,
    ),
    (
        GaugeMetricFamily,
        "tallybook_revision_listeners",
        "Connections that wait for new revisions",
        lambda figures: figures.listeners,
    ),
    (
        GaugeMetricFamily,
        "tallybook_ready",
        "1 when events are taken",
        lambda figures: not figures.log_fault,
    ),
)


class Metrics(MetricSource):
    """Everything countable about the intake, read when somebody asks."""

    def __init__(self, gather: Gather, workers: int) -> None:
        self._gather = gather
        self._labels = ("worker",) if workers > 1 else ()

    def collect(self) -> Iterable[Metric]:
        """The metrics as they are now."""
        found = self._gather()
        by_label = [(self._named(worker), figures) for worker, figures in found]
        yield self._counters(
            "tallybook_event_requests",
            "Answers to POST /v1/events",
            "status",
            [(labels, figures.answers) for labels, figures in by_label],
        )
        yield self._counters(
            "tallybook_event_refusals",
            "Bodies not taken",
            "cause",
            [(labels, figures.refused) for labels, figures in by_label],
        )
        yield self._counters(
            "tallybook_drained",
            "Items brought from the log into the lake",
            "kind",
            [
                (
                    labels,
                    {
                        "decision": figures.drained.decisions,
                        "conversion": figures.drained.conversions,
                        "dead_letter": figures.drained.dead_letters,
                    },
                )
                for labels, figures in by_label
            ],
        )
        for kind, name, about, value_of in _SINGLE:
            family = kind(name, about, labels=self._labels)
            for labels, figures in by_label:
                family.add_metric(labels, value_of(figures))
            yield family
        yield GaugeMetricFamily("tallybook_workers", "Workers that run", value=len(found))

    def _named(self, worker: int) -> list[str]:
        return [str(worker)] if self._labels else []

    def _counters(
        self,
        name: str,
        about: str,
        label: str,
        by_worker: Iterable[tuple[Sequence[str], Mapping[str, int]]],
    ) -> CounterMetricFamily:
        family = CounterMetricFamily(name, about, labels=[label, *self._labels])
        for worker, values in by_worker:
            for key, value in sorted(values.items()):
                family.add_metric([key, *worker], value)
        return family


def watch_routes(gather: Gather, workers: int) -> Sequence[ControllerRouterHandler]:
    """The routes of this module over the workers' figures."""
    registry = CollectorRegistry()
    registry.register(Metrics(gather, workers))

    @get("/health/live", include_in_schema=False, sync_to_thread=False)
    def live() -> dict[str, str]:
        return {"status": "live"}

    @get("/health/ready", include_in_schema=False, sync_to_thread=False)
    def ready() -> Response[dict[str, str | None]]:
        found = gather()
        log = next((figures.log_fault for _, figures in found if figures.log_fault), None)
        drain = next((figures.drain_fault for _, figures in found if figures.drain_fault), None)
        status = HTTPStatus.SERVICE_UNAVAILABLE if log else HTTPStatus.OK
        state = {"status": "not ready" if log else "ready", "log": log, "drain": drain}
        return Response(state, status_code=status, media_type=MediaType.JSON)

    @get("/metrics", include_in_schema=False, sync_to_thread=False)
    def metrics() -> Response[bytes]:
        # The response adds the charset itself.
        kind = CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8")
        return Response(generate_latest(registry), media_type=kind)

    return [live, ready, metrics]
