"""Results over HTTP: the document of the prompt, and parameters that are checked by name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tallybook import publish
from tallybook.catalog.access import TokenScope
from tallybook.catalog.store import open_catalog
from tallybook.collect import Collector
from tallybook.lake.tables import Lake
from tallybook.server.drainer import Drainer
from tallybook.server.results import result_routes
from tallybook.wire.definition import read_definition

PATH = "/api/v1/experiments/checkout_test/results"
DEFINITION = """
project: shop
environments: {production: {sdk_key: shop-key}}
events: [purchase]
metrics: {purchases: {event: purchase, aggregator: count}}
flags:
  checkout:
    variations: {control: {}, treatment: {}}
    rules:
      - {key: checkout_test, type: a/b, split: {control: 50%, treatment: 50%}, metrics: [purchases]}
"""


@pytest.fixture
def shop(house, tmp_path) -> Iterator[Any]:
    """A server with results over a real lake and catalog, into which its drainer drains."""
    lake = Lake(str(tmp_path / "lake"))
    with open_catalog(str(tmp_path / "catalog.sqlite3")) as catalog:
        publish.apply(catalog, read_definition(DEFINITION), now_ms=1)
        published = catalog.datafile("shop-key")
        assert published is not None
        house.datafile = json.loads(published.body)
        house.routes = result_routes(lake, catalog)
        house.bearer = house.token(TokenScope.READ)
        assert house.ask("GET", "/health/live").status_code == 200
        house.drainer = Drainer(Collector(house.drainer.collector.log, lake))
        yield house


def shopping(shop: Any, visitor: str) -> bytes:
    (experiment,) = shop.datafile["experiments"]
    event = {"entity_id": experiment["layerId"], "uuid": visitor, "timestamp": shop.now_ms}
    decision = {
        "campaign_id": experiment["layerId"],
        "experiment_id": experiment["id"],
        "variation_id": experiment["variations"][0]["id"],
    }
    events = [
        event | {"key": "campaign_activated"},
        event | {"entity_id": "9", "key": "purchase"},
    ]
    snapshots = [{"decisions": [decision], "events": events}]
    visitors = [{"visitor_id": visitor, "snapshots": snapshots}]
    return json.dumps({"account_id": shop.datafile["accountId"], "visitors": visitors}).encode()


def test_what_was_drained_since_the_server_started_is_in_the_results(shop) -> None:
    for visitors in (1, 2):
        assert shop.post(shopping(shop, f"visitor-{visitors}")).status_code == 204
        assert shop.drainer.drain()
        answer = shop.ask("GET", PATH + "?to=2100-01-01")
        assert answer.headers["content-type"] == "application/json"
        document = answer.json()
        assert document["reach"]["variations"]["control"]["count"] == visitors
        assert document["metrics"][0]["results"]["control"]["value"] == visitors


@pytest.mark.parametrize(
    ("form", "media_type"), [("csv", "text/csv"), ("table", "text/plain"), ("json", "application/")]
)
def test_results_have_several_forms(shop, form: str, media_type: str) -> None:
    answer = shop.ask("GET", f"{PATH}?format={form}&metric=purchase:unique&segment=plan")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(media_type)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ("from=yesterday", "from is 'yesterday'; expected a date"),
        ("from=2026-02-01&to=2026-01-01", "expected from to be before to"),
        ("from=2026-01-01&from=2026-01-02", "from: given more than once; expected one value"),
        ("confidence=95", "confidence 95.0: expected a level between 0 and 1"),
        ("confidence=high", "confidence: Expected `float`"),
        ("method=magic", "method 'magic': "),
        ("metric=purchase:median", "metric 'purchase:median': expected"),
        ("expected_split=control", "expected_split has 'control'"),
        ("baseline=nobody", "baseline 'nobody': "),
        ("segment_rule=first", "segment_rule: Invalid enum value 'first'"),
        ("metric=%00", "metric: expected text without a zero character"),
        ("segment=a&segment=b%00", "segment: expected text without a zero character"),
        ("format=pdf", "format: Invalid enum value 'pdf'"),
        ("segmnet=plan", "segmnet: no such parameter; expected one of metric, segment, "),
    ],
)
def test_a_wrong_parameter_is_named_as_it_was_given(shop, asked: str, named: str) -> None:
    answer = shop.ask("GET", f"{PATH}?{asked}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    detail = answer.json()["detail"]
    assert named in detail
    assert "--" not in detail
    assert "\n" not in detail


@pytest.mark.parametrize(
    "path",
    [
        PATH.replace("checkout_test", "nobody"),
        PATH + "?metric=nobody",
        PATH + "?environment=nobody",
        PATH + "?project=nobody",
    ],
)
def test_what_nobody_defined_is_not_found(shop, path: str) -> None:
    answer = shop.ask("GET", path)
    assert answer.status_code == 404
    assert "nobody" in answer.json()["detail"]
    assert "--" not in answer.json()["detail"]


def test_every_parameter_of_the_openapi_document_is_taken(shop) -> None:
    operation = shop.ask("GET", "/api/schema/openapi.json").json()["paths"]
    described = operation["/api/v1/experiments/{key}/results"]["get"]["parameters"]
    names = {p["name"] for p in described if p["in"] == "query"}
    refused = shop.ask("GET", PATH + "?nothing=1").json()["detail"]
    assert names == set(refused.partition("expected one of ")[2].split(", "))
