"""A client's delivery as OpenTelemetry's own SDK collects it."""

from __future__ import annotations

import gc
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from sinks import Answer, Sink
from tallybook import Client
from tallybook.client import DeliverySettings
from tallybook.telemetry import observe
from tallybook.testing import DatafileBuilder

DATAFILE = DatafileBuilder(events=["purchase"]).build()


def collected(reader: InMemoryMetricReader) -> dict[str, Any]:
    """Values by instrument, of refusals by cause."""
    data = reader.get_metrics_data()
    found: dict[str, Any] = {}
    for resource in data.resource_metrics if data else ():
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for point in metric.data.data_points:
                    cause = point.attributes.get("cause")
                    found[f"{metric.name} {cause}" if cause else metric.name] = point.value
    return found


def test_what_becomes_of_events_is_collected() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    with Sink(otherwise=Answer(503)) as sink:
        delivery = DeliverySettings(flush_interval_s=0.01, backoff_base_s=3_600.0)
        client = Client(DATAFILE, event_url=sink.url, delivery=delivery)
        observe(client, provider)
        for n in range(3):
            client.track("purchase", "user", {}, {"n": n})
        client.track("unheard of", "user")
        assert sink.wait_for(1)
        before = collected(reader)
        sink.otherwise = Answer()
        assert client.flush(20)
        after = collected(reader)
        client.close()
    assert before["tallybook.events.accepted"] == 3
    assert before["tallybook.events.delivered"] == 0
    assert before["tallybook.events.waiting"] == 3
    assert before["tallybook.events.waiting.size"] > 0
    assert before["tallybook.events.waiting.age"] > 0
    assert before["tallybook.events.refused unknown_event"] == 1
    assert after["tallybook.events.delivered"] == 3
    assert after["tallybook.events.retried"] >= 1
    assert after["tallybook.events.waiting"] == after["tallybook.events.waiting.age"] == 0
    provider.shutdown()


def test_a_client_that_is_gone_is_not_read() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    client = Client(DATAFILE)
    observe(client, provider)
    assert collected(reader)["tallybook.events.accepted"] == 0
    client.close()
    del client
    gc.collect()
    assert collected(reader) == {}
    provider.shutdown()
