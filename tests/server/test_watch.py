"""Probes, figures, the router behind the hot paths, and the thread that drains."""

from __future__ import annotations

import json
import threading

import pytest
from litestar import get
from litestar.exceptions import ClientException

from tallybook.catalog.access import TokenScope
from tallybook.errors import (
    ConfigError,
    DefinitionError,
    NotEnoughDataError,
    NotFoundError,
    StorageError,
)
from tallybook.server.drainer import Drainer

BODY = json.dumps(
    {
        "account_id": "1",
        "visitors": [
            {
                "visitor_id": "ann",
                "snapshots": [
                    {"events": [{"entity_id": "7", "uuid": "a", "timestamp": 1, "key": "buy"}, {}]}
                ],
            }
        ],
    }
).encode()


def figures(house) -> dict[str, float]:
    answer = house.ask("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_a_healthy_server_is_live_and_ready(house) -> None:
    assert house.ask("GET", "/health/live").json() == {"status": "live"}
    ready = house.ask("GET", "/health/ready")
    assert ready.status_code == 200
    assert ready.json() == {"status": "ready", "log": None, "drain": None}


def test_what_was_taken_refused_and_drained_is_counted(house) -> None:
    house.post(BODY)
    house.post(BODY)
    house.post(b"{")
    assert figures(house)['tallybook_drained_total{kind="conversion"}'] == 0
    house.drainer.drain()
    counted = figures(house)
    assert counted['tallybook_event_requests_total{status="204"}'] == 2
    assert counted['tallybook_event_requests_total{status="400"}'] == 1
    assert counted['tallybook_event_refusals_total{cause="unreadable"}'] == 1
    assert counted['tallybook_drained_total{kind="conversion"}'] == 2
    assert counted['tallybook_drained_total{kind="dead_letter"}'] == 2
    assert counted["tallybook_ready"] == 1
    assert counted["tallybook_log_sealed_segments"] == 0
    assert counted["tallybook_log_waiting_bytes"] == 0


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (StorageError("the lake is dry"), "the lake is dry"),
        (RuntimeError("surprise about ann"), "RuntimeError at "),  # no more than that: who is ann?
    ],
)
def test_a_failing_lake_is_reported_once_and_costs_nothing(house, error, shown, capsys) -> None:
    house.post(BODY)
    house.lake.error = error
    for _ in range(3):
        assert not house.drainer.drain()
    assert figures(house)["tallybook_drain_failures_total"] == 3
    ready = house.ask("GET", "/health/ready")
    assert ready.status_code == 200  # events are safe in the log
    assert shown in ready.json()["drain"]
    assert "ann" not in ready.json()["drain"]
    house.lake.error = None
    assert house.kept() == ["a"]
    assert house.ask("GET", "/health/ready").json()["drain"] is None
    said = capsys.readouterr().out
    assert said.count("drain failed") == 1
    assert said.count("drain recovered") == 1
    assert shown in said
    assert "ann" not in said


def test_after_failures_the_drainer_pauses_longer(house) -> None:
    house.post(BODY)
    house.lake.error = StorageError("the lake is dry")
    drainer = Drainer(house.drainer.collector, every_s=1.0)
    pauses = []
    for _ in range(7):
        drainer.drain()
        pauses.append(drainer._pause_s)
    assert pauses == [2, 4, 8, 16, 30, 30, 30]
    house.lake.error = None
    drainer.drain()
    assert drainer._pause_s == 1


def test_the_drainer_drains_by_itself_and_once_more_when_stopped(house) -> None:
    house.post(BODY)
    drainer = Drainer(house.drainer.collector, every_s=0.01)
    drainer.start()
    pause = threading.Event()
    while not house.lake.received:
        pause.wait(0.01)
    house.post(BODY)
    drainer.stop()
    assert len(house.lake.received) == 2
    assert not drainer._thread.is_alive()


def test_a_drainer_that_never_started_drains_when_stopped(house) -> None:
    house.post(BODY)
    house.drainer.stop()
    assert len(house.lake.received) == 1


def test_damage_is_reported(house, capsys) -> None:
    house.post(BODY)
    house.drainer.collector.log.seal()
    (segment,) = [p for p in house.settings.log_dir.glob("*.log") if p.stat().st_size]
    raw = bytearray(segment.read_bytes())
    raw[50] ^= 1
    segment.write_bytes(bytes(raw) + b"TBL")
    assert house.kept() == []
    said = capsys.readouterr().out
    assert "log segment damaged" in said
    assert "unfinished write" in said
    assert figures(house)["tallybook_log_damaged_records_total"] == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFoundError("no experiment 'x'"), 404),
        (ConfigError("confidence: 2"), 400),
        (DefinitionError("flags.x", "wrong"), 400),
        (NotEnoughDataError("too few"), 409),
        (StorageError("disk"), 503),
        (ClientException("bad"), 400),
        (RuntimeError("secret"), 500),
    ],
)
def test_routes_join_the_router_and_their_errors_are_problems(house, error, status: int) -> None:
    @get("/api/v1/thing", sync_to_thread=False)
    def thing() -> None:
        raise error

    house.routes = [thing]
    house.bearer = house.token(TokenScope.READ)
    answer = house.ask("GET", "/api/v1/thing")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert ("secret" in answer.text) is False
    assert "/api/v1/thing" in house.ask("GET", "/api/schema/openapi.json").text


def test_an_unknown_path_is_a_problem(house) -> None:
    answer = house.ask("GET", "/nowhere")
    assert (answer.status_code, answer.json()["title"]) == (404, "Not Found")
