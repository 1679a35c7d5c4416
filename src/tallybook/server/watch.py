"""What the outside may watch: ``/health/live``, ``/health/ready`` and ``/metrics``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus

from litestar import MediaType, Response, get
from litestar.types import ControllerRouterHandler
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector as MetricSource

from tallybook.server.drainer import Drainer
from tallybook.server.events import EventsEndpoint
from tallybook.server.revisions import RevisionWatch


class Figures(MetricSource):
    """Everything countable about the intake, read when somebody asks."""

    def __init__(
        self, endpoint: EventsEndpoint, drainer: Drainer, revisions: RevisionWatch
    ) -> None:
        self._endpoint = endpoint
        self._drainer = drainer
        self._revisions = revisions

    def collect(self) -> Iterable[Metric]:
        """The metrics as they are now."""
        log = self._drainer.collector.log
        drained = self._drainer.collector.drained
        yield _counter(
            "tallybook_event_requests",
            "Answers to POST /v1/events",
            "status",
            {str(int(status)): count for status, count in self._endpoint.answers.items()},
        )
        yield _counter(
            "tallybook_event_refusals", "Bodies not taken", "cause", self._endpoint.refused
        )
        yield _counter(
            "tallybook_drained",
            "Items brought from the log into the lake",
            "kind",
            {
                "decision": drained.decisions,
                "conversion": drained.conversions,
                "dead_letter": drained.dead_letters,
            },
        )
        yield CounterMetricFamily(
            "tallybook_log_damaged_records",
            "Log records that were damaged on disk",
            value=drained.damaged_records,
        )
        yield CounterMetricFamily(
            "tallybook_drain_failures", "Failed drains", value=self._drainer.failures
        )
        yield GaugeMetricFamily(
            "tallybook_log_waiting_bytes", "Bytes waiting for the disk", value=log.waiting_bytes
        )
        yield GaugeMetricFamily(
            "tallybook_log_sealed_segments",
            "Log segments not in the lake yet",
            value=len(log.sealed()),
        )
        yield GaugeMetricFamily(
            "tallybook_revision_listeners",
            "Connections that wait for new revisions",
            value=self._revisions.listeners,
        )
        yield GaugeMetricFamily("tallybook_ready", "1 when events are taken", value=not log.fault)


def watch_routes(
    endpoint: EventsEndpoint, drainer: Drainer, revisions: RevisionWatch
) -> Sequence[ControllerRouterHandler]:
    """The routes of this module over the given parts."""
    registry = CollectorRegistry()
    registry.register(Figures(endpoint, drainer, revisions))

    @get("/health/live", include_in_schema=False, sync_to_thread=False)
    def live() -> dict[str, str]:
        return {"status": "live"}

    @get("/health/ready", include_in_schema=False, sync_to_thread=False)
    def ready() -> Response[dict[str, str | None]]:
        fault = drainer.collector.log.fault
        status = HTTPStatus.SERVICE_UNAVAILABLE if fault else HTTPStatus.OK
        state = {
            "status": "not ready" if fault else "ready",
            "log": str(fault) if fault else None,
            "drain": drainer.fault,
        }
        return Response(state, status_code=status, media_type=MediaType.JSON)

    @get("/metrics", include_in_schema=False, sync_to_thread=False)
    def metrics() -> Response[bytes]:
        # The response adds the charset itself.
        kind = CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8")
        return Response(generate_latest(registry), media_type=kind)

    return [live, ready, metrics]


def _counter(name: str, about: str, label: str, values: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, about, labels=[label])
    for key, value in sorted(values.items()):
        family.add_metric([key], value)
    return family
