"""What the product promises about tracking, each through the real SDK, server and command line."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from servers import Server, counted, document, reached, succeed
from tallybook import Client, NotificationType

THREE_EXPERIMENTS = """
project: shop
environments: {production: {sdk_key: shop-key}}
attributes: [plan]
events: [purchase, page_loaded]
metrics:
  purchase_rate: {event: purchase, aggregator: unique}
flags:
""" + "".join(
    f"""
  flag_{n}:
    variations: {{control: {{}}, treatment: {{}}}}
    rules:
      - key: experiment_{n}
        type: a/b
        split: {{control: 50%, treatment: 50%}}
        metrics: [purchase_rate]
"""
    for n in (1, 2, 3)
)
ONE_EXPERIMENT = """
project: shop
environments: {production: {sdk_key: shop-key}}
attributes: [plan]
events: [purchase]
metrics:
  purchase_rate: {event: purchase, aggregator: unique}
  revenue: {event: purchase, aggregator: sum, field: revenue}
flags:
  checkout:
    variations: {control: {}, treatment: {}}
    rules:
      - key: checkout_test
        type: a/b
        traffic: TRAFFIC
        split: {control: 50%, treatment: 50%}
        metrics: [purchase_rate, revenue]
"""
DAY_MS = 86_400_000
START_MS = 1_760_000_000_000


def apply(text: str, data: Path) -> None:
    data.mkdir(exist_ok=True)
    (data / "definition.yaml").write_text(text)
    succeed("apply", data / "definition.yaml", data=data)


def connect(server: Server, **options: Any) -> Client:
    client = Client(sdk_key="shop-key", server_url=server.url, **options)
    assert client.wait_until_ready(10)
    return client


def test_one_track_call_is_one_event_one_row_and_three_results(tmp_path: Path) -> None:
    apply(THREE_EXPERIMENTS, tmp_path)
    sent: list[Any] = []
    with Server(tmp_path) as server, connect(server) as client:
        client.notifications.add_notification_listener(
            NotificationType.LOG_EVENT, lambda log_event: sent.append(log_event.params)
        )
        user = client.create_user_context("visitor-1", {"plan": "gold"})
        shown = {n: user.decide(f"flag_{n}").variation_key for n in (1, 2, 3)}
        user.track_event("purchase")
        assert client.flush(30)
    events = [
        event["key"]
        for body in sent
        for visitor in body["visitors"]
        for snapshot in visitor["snapshots"]
        for event in snapshot["events"]
    ]
    assert events.count("purchase") == 1
    assert DeltaTable(tmp_path / "lake" / "conversions").to_pyarrow_table().num_rows == 1
    for n in (1, 2, 3):
        result = document(f"experiment_{n}", data=tmp_path)
        assert counted(result, "purchase_rate")[shown[n]] == 1


class SteadyClock:
    """A clock that moves on by a minute at every look."""

    def __init__(self) -> None:
        self.now_ms = START_MS

    def __call__(self) -> int:
        self.now_ms += 60_000
        return self.now_ms


def test_attributes_of_conversions_only_segment_and_never_change_a_result(tmp_path: Path) -> None:
    apply(ONE_EXPERIMENT.replace("TRAFFIC", "100%"), tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    for name, plan_when_buying in (("a", "gold"), ("b", "free")):
        with Server(tmp_path / name) as server, connect(server, clock_ms=SteadyClock()) as client:
            for number in range(600):
                user = client.create_user_context(f"visitor-{number}", {"plan": "gold"})
                user.decide("checkout")
                user.set_attribute("plan", plan_when_buying)
                if number % 3 == 0:
                    user.track_event("purchase", {"revenue": number})
            assert client.flush(30)
    whole = ("results", "checkout_test", "--format", "json", "--from", "2025-10-09", "--to")
    first = succeed(*whole, "2025-11-01", data=tmp_path / "a")
    second = succeed(*whole, "2025-11-01", data=tmp_path / "b")
    assert first == second
    segmented = [
        succeed(*whole, "2025-11-01", "--segment", "plan", "--segment-rule", "optimizely", data=d)
        for d in (tmp_path / "a", tmp_path / "b")
    ]
    assert segmented[0] != segmented[1]


def test_traffic_lowered_and_raised_again_keeps_everyone_and_is_listed(tmp_path: Path) -> None:
    first_seen: dict[str, str | None] = {}
    with Server(tmp_path) as server:
        for traffic in ("100%", "20%", "100%"):
            apply(ONE_EXPERIMENT.replace("TRAFFIC", traffic), tmp_path)
            with connect(server) as client:
                for number in range(1000):
                    user = client.create_user_context(f"visitor-{number}")
                    decision = user.decide("checkout")
                    if decision.rule_key == "checkout_test":
                        first_seen.setdefault(user.user_id, decision.variation_key)
                    if traffic == "20%" and number % 2:
                        user.track_event("purchase", {"revenue": 100})
                assert client.flush(30)
    result = document("checkout_test", data=tmp_path)
    expected = {v: list(first_seen.values()).count(v) for v in ("control", "treatment")}
    assert reached(result) == expected
    assert sum(expected.values()) == 1000
    # Who bought while traffic was low had been exposed before and counts where first seen.
    bought = dict.fromkeys(expected, 0)
    for number in range(1, 1000, 2):
        bought[str(first_seen[f"visitor-{number}"])] += 1
    assert counted(result, "purchase_rate") == bought
    assert result["health"]["switched_visitors"] == 0
    epochs = result["health"]["allocation_epochs"]
    assert [sum(e["allocation"].values()) for e in epochs] == [1.0, 0.2, 1.0]
    assert result["health"]["sample_ratio"]["epochs"] >= 1
    assert result["health"]["sample_ratio"]["mismatch"] is False
    table = succeed("results", "checkout_test", data=tmp_path)
    assert "20" in table


def test_a_metric_over_a_numeric_tag_needs_no_definition(tmp_path: Path) -> None:
    apply(THREE_EXPERIMENTS, tmp_path)
    with Server(tmp_path) as server, connect(server) as client:
        totals: dict[str | None, float] = {"control": 0.0, "treatment": 0.0}
        for number in range(200):
            user = client.create_user_context(f"visitor-{number}")
            variation = user.decide("flag_1").variation_key
            user.track_event("page_loaded", {"load_time": number / 8, "route": "/"})
            totals[variation] += number / 8
        assert client.flush(30)
    result = document("experiment_1", "--metric", "page_loaded:sum:load_time", data=tmp_path)
    assert counted(result, "page_loaded:sum:load_time") == totals
