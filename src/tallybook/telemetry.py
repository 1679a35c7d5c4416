"""Face for OpenTelemetry: what becomes of a client's events, as metrics.

Needs the package's extra ``opentelemetry``; which exporter takes the metrics away is up to you.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from opentelemetry.metrics import (
    CallbackOptions,
    MeterProvider,
    Observation,
    get_meter_provider,
)

from tallybook.client import Client
from tallybook.client.settings import CLIENT_VERSION
from tallybook.deliver.tally import DeliveryStats

__all__ = ["observe"]

_EVENTS: Final = "{event}"
_COUNTERS: Final = {
    "accepted": "Events put into the outbox",
    "delivered": "Events the server has confirmed",
    "retried": "Events sent again, once for each time",
    "in_memory_only": "Accepted events that the journal could not take",
    "adopted": "Accepted events that processes which are gone had left in the journal",
}
_GAUGES: Final = {
    "waiting_events": ("tallybook.events.waiting", _EVENTS, "Events that wait for delivery"),
    "waiting_bytes": ("tallybook.events.waiting.size", "By", "The same in bytes"),
    "oldest_waiting_s": ("tallybook.events.waiting.age", "s", "How long the first has waited"),
}

_Read = Callable[[DeliveryStats], Iterable[Observation]]


def observe(client: Client, meter_provider: MeterProvider | None = None) -> None:
    """Have a client's :meth:`~tallybook.Client.delivery_stats` read whenever metrics are collected.

    The client is not kept alive by that; once it is gone, there is nothing to read.

    Args:
        client: Whose events.
        meter_provider: Who collects; the process's own unless given.
    """
    meter = (meter_provider or get_meter_provider()).get_meter("tallybook", CLIENT_VERSION)
    of_client = weakref.ref(client)

    def reading(read: _Read) -> Sequence[Callable[[CallbackOptions], Iterable[Observation]]]:
        def collect(_options: CallbackOptions) -> Iterable[Observation]:
            found = of_client()
            return () if found is None else read(found.delivery_stats())

        return [collect]

    for name, description in _COUNTERS.items():
        meter.create_observable_counter(
            f"tallybook.events.{name}", reading(_field(name)), _EVENTS, description
        )
    meter.create_observable_counter(
        "tallybook.events.refused", reading(_refused), _EVENTS, "Events that are not delivered"
    )
    for name, (instrument, unit, description) in _GAUGES.items():
        meter.create_observable_gauge(instrument, reading(_field(name)), unit, description)


def _field(name: str) -> _Read:
    return lambda stats: (Observation(getattr(stats, name)),)


def _refused(stats: DeliveryStats) -> Iterable[Observation]:
    return [Observation(events, {"cause": cause}) for cause, events in stats.refused.items()]
