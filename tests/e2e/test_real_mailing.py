"""A real e-mail experiment replayed through the SDK, over HTTP, into a running server."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from servers import Server, counted, document, reached, succeed
from tallybook import Client
from tallybook.client import DecisionContext, ForcedDecision

DEFINITION = """
project: mailing
environments: {production: {sdk_key: mailing-key}}
attributes: [channel, zip_code, newbie]
events: [visit, purchase]
metrics:
  visit_rate: {event: visit, aggregator: unique}
  purchase_rate: {event: purchase, aggregator: unique}
  revenue_per_visitor: {event: purchase, aggregator: sum, field: revenue}
flags:
  campaign:
    variations: {no_email: {}, mens_email: {}, womens_email: {}}
    rules:
      - key: email_test
        type: a/b
        split: equal
        metrics: [visit_rate, purchase_rate, revenue_per_visitor]
"""
LATER_METRICS = """
  visits_later: {event: visit, aggregator: count}
  purchases_later: {event: purchase, aggregator: unique}
  revenue_later: {event: purchase, aggregator: sum, field: revenue}
flags:"""
ARMS = {
    "No E-Mail": "no_email",
    "Mens E-Mail": "mens_email",
    "Womens E-Mail": "womens_email",
}
VISITORS = {"no_email": 21306, "mens_email": 21307, "womens_email": 21387}
VISITS = {"no_email": 2262, "mens_email": 3894, "womens_email": 3238}
PURCHASERS = {"no_email": 122, "mens_email": 267, "womens_email": 189}
REVENUE_CENTS = {"no_email": 1390833, "mens_email": 3031169, "womens_email": 2303811}


def customers(shared_data: Path) -> Iterator[dict[str, str]]:
    with gzip.open(shared_data / "hillstrom.csv.gz", "rt", encoding="utf-8") as lines:
        yield from csv.DictReader(lines)


def replay(client: Client, rows: Iterator[dict[str, str]]) -> None:
    rule = DecisionContext("campaign", "email_test")
    for number, row in enumerate(rows):
        attributes = {
            "channel": row["channel"],
            "zip_code": row["zip_code"],
            "newbie": row["newbie"] == "1",
        }
        user = client.create_user_context(f"customer-{number}", attributes)
        user.set_forced_decision(rule, ForcedDecision(ARMS[row["segment"]]))
        user.decide("campaign")
        if row["visit"] == "1":
            user.track_event("visit")
        if row["conversion"] == "1":
            user.track_event("purchase", {"revenue": round(float(row["spend"]) * 100)})


@pytest.fixture(scope="module")
def replayed(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    data = tmp_path_factory.mktemp("mailing")
    definition = data / "definition.yaml"
    definition.write_text(DEFINITION)
    succeed("apply", definition, data=data)
    with Server(data) as server:
        client = Client(sdk_key="mailing-key", server_url=server.url)
        assert client.wait_until_ready(10)
        replay(client, customers(shared_data))
        assert client.flush(60)
        stats = client.delivery_stats()
        assert stats.accepted == stats.delivered == 64_000 + 9_394 + 578
        client.close(10)
    return data


def test_every_visitor_visit_purchase_and_cent_is_counted_once(replayed: Path) -> None:
    result = document("email_test", data=replayed)
    assert reached(result) == VISITORS
    assert counted(result, "visit_rate") == VISITS
    assert counted(result, "purchase_rate") == PURCHASERS
    assert counted(result, "revenue_per_visitor") == REVENUE_CENTS
    assert result["health"]["duplicate_events"] == 0
    assert result["health"]["dead_letters"] == 0
    assert result["health"]["switched_visitors"] == 0
    assert result["health"]["sample_ratio"]["mismatch"] is False


def test_segments_by_an_attribute_add_up_to_the_total(replayed: Path) -> None:
    result = document("email_test", "--segment", "newbie", data=replayed)
    assert {s["segment"]["newbie"] for s in result["segments"]} == {True, False}
    totals = [counted(s, "revenue_per_visitor") for s in result["segments"]]
    assert {arm: sum(t[arm] for t in totals) for arm in REVENUE_CENTS} == REVENUE_CENTS


def test_a_metric_defined_after_the_replay_gives_the_same_numbers(
    replayed: Path, tmp_path: Path
) -> None:
    later = tmp_path / "later.yaml"
    text = DEFINITION.replace("\nflags:", LATER_METRICS, 1).replace(
        "revenue_per_visitor]", "revenue_per_visitor, visits_later, purchases_later, revenue_later]"
    )
    later.write_text(text)
    succeed("apply", later, data=replayed)
    result = document("email_test", data=replayed)
    assert counted(result, "visits_later") == VISITS
    assert counted(result, "purchases_later") == PURCHASERS
    assert counted(result, "revenue_later") == REVENUE_CENTS
    assert counted(result, "revenue_per_visitor") == REVENUE_CENTS
