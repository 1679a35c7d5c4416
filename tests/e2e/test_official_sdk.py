"""The official SDK, fed our datafile and sending to our server, against our own."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from optimizely import event_dispatcher, optimizely
from optimizely.event.event_processor import BatchEventProcessor

from servers import Server, document, succeed
from tallybook import Client

DEFINITION = """
project: shop
environments: {production: {sdk_key: shop-key}}
attributes: [plan, age]
events: [purchase, view]
audiences:
  adults: {age: {ge: 18}}
metrics:
  purchase_rate: {event: purchase, aggregator: unique}
  revenue: {event: purchase, aggregator: sum, field: revenue}
  revenue_per_purchase: {event: purchase, aggregator: sum, field: revenue, scope: event}
  load_time: {event: view, aggregator: sum, field: load_time, winning_direction: decreasing}
flags:
  checkout:
    variables: {color: {type: string, default: blue}, steps: {type: integer, default: 3}}
    variations: {control: {}, short: {steps: 1}, green: {color: green}}
    rules:
      - key: checkout_test
        type: a/b
        audience: adults
        traffic: 80%
        split: {control: 50%, short: 30%, green: 20%}
        metrics: [purchase_rate, revenue, revenue_per_purchase, load_time]
      - key: everyone_short
        type: targeted_delivery
        audience: adults
        traffic: 50%
        variation: short
"""
USERS = 10_000


class Redirected(event_dispatcher.EventDispatcher):
    """The official dispatcher, pointed at another collector."""

    def __init__(self, url: str) -> None:
        self.url = url

    def dispatch_event(self, event: Any) -> None:  # type: ignore[override]
        event.url = self.url
        event_dispatcher.EventDispatcher.dispatch_event(event)


def visit(client: Any, number: int) -> str | None:
    plan = "gold" if number % 3 else "free"
    user = client.create_user_context(f"user-{number}", {"plan": plan, "age": number % 60})
    variation = user.decide("checkout").variation_key
    if number % 2:
        user.track_event("view", {"load_time": (number % 13) / 8})
    if number % 5 == 0:
        user.track_event("purchase", {"revenue": 100 + number % 700, "category": "shoes"})
    return variation


def prepared(data: Path) -> Path:
    data.mkdir()
    (data / "definition.yaml").write_text(DEFINITION)
    succeed("apply", data / "definition.yaml", data=data)
    return data


def by_the_official_sdk(data: Path) -> list[str | None]:
    with Server(prepared(data)) as server:
        client = optimizely.Optimizely(
            config_manager=_polling(server.url),
            event_processor=BatchEventProcessor(
                Redirected(f"{server.url}/v1/events"),
                batch_size=100,
                flush_interval=1,
                timeout_interval=60,
                start_on_init=True,
                event_queue=_unbounded(),
            ),
        )
        variations = [visit(client, number) for number in range(USERS)]
        client.close()
    return variations


def _polling(url: str) -> Any:
    from optimizely.config_manager import PollingConfigManager

    return PollingConfigManager(
        sdk_key="shop-key", url_template=url + "/datafiles/{sdk_key}.json", update_interval=3600
    )


def _unbounded() -> Any:
    from queue import Queue

    return Queue()


def by_ours(data: Path) -> list[str | None]:
    with Server(prepared(data)) as server:
        client = Client(sdk_key="shop-key", server_url=server.url)
        assert client.wait_until_ready(10)
        variations = [visit(client, number) for number in range(USERS)]
        assert client.flush(60)
        client.close(10)
    return variations


def test_both_give_every_user_the_same_variation_and_lead_to_the_same_result(
    tmp_path: Path,
) -> None:
    logging.getLogger("optimizely").setLevel(logging.CRITICAL)
    official = by_the_official_sdk(tmp_path / "official")
    ours = by_ours(tmp_path / "ours")
    assert ours == official
    assert len({*ours}) == 4, "the traffic should reach every arm and the off variation"

    asked = ("checkout_test", "--segment", "plan")
    theirs = document(*asked, data=tmp_path / "official")
    mine = document(*asked, data=tmp_path / "ours")
    for result in (theirs, mine):
        # The two runs happened at different moments; everything counted must agree.
        result.pop("start_time"), result.pop("end_time")
        for epoch in result["health"].pop("allocation_epochs"):
            epoch.pop("from")
    assert mine == theirs
