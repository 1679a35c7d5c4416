"""Clients that keep a server busy and books of what it acknowledged."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import chain, count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self
from zlib import crc32

import httpx

from faults.server_process import AGENT, TOKEN, VISITOR
from servers import counted, document, reached, succeed
from tallybook.attribution.kept import kept_conversions, kept_decisions
from tallybook.catalog.store import open_catalog
from tallybook.collect import drain_leftovers
from tallybook.engines.duckdb import DuckDB
from tallybook.lake.tables import Lake

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
PURCHASES = 3
AT_MS = time.time_ns() // 1_000_000 - 3_600_000  # an hour ago: results end now
HEADERS = {"User-Agent": AGENT, "Authorization": f"Bearer {TOKEN}"}


@dataclass(frozen=True)
class Body:
    """One request: a visitor's decision and purchases, and the uuids in it."""

    data: bytes
    uuids: tuple[str, ...]


@dataclass(frozen=True)
class Shop:
    """The ids under which a shop's events are sent."""

    account: str
    project: str
    campaign: str
    experiment: str
    variations: tuple[str, ...]
    purchase: str

    def body(self, name: str) -> Body:
        """A visitor called after ``name`` decides and buys."""
        uuids = (f"{name}-decision", *(f"{name}-{n}" for n in range(PURCHASES)))
        chosen = {
            "campaign_id": self.campaign,
            "experiment_id": self.experiment,
            "variation_id": self.variations[crc32(name.encode()) % 2],
        }
        decision = {
            "entity_id": self.campaign,
            "uuid": uuids[0],
            "timestamp": AT_MS,
            "key": "campaign_activated",
        }
        purchases = [
            {"entity_id": self.purchase, "uuid": uuid, "timestamp": AT_MS + 1, "key": "purchase"}
            for uuid in uuids[1:]
        ]
        visitor = {
            "visitor_id": f"{VISITOR}{name}",
            "attributes": [],
            "snapshots": [{"decisions": [chosen], "events": [decision, *purchases]}],
        }
        document = {
            "account_id": self.account,
            "project_id": self.project,
            "client_name": "load",
            "visitors": [visitor],
        }
        return Body(json.dumps(document).encode(), uuids)


def open_shop(path: Path) -> Shop:
    """Publish the definition into ``path / 'data'`` and return the ids it was given."""
    catalog, shop = _published()
    data = path / "data"
    data.mkdir(exist_ok=True)
    (data / "catalog.sqlite3").write_bytes(catalog)
    return shop


@cache
def _published() -> tuple[bytes, Shop]:
    """The catalog of a shop that has just been published."""
    with TemporaryDirectory() as name:
        data = Path(name)
        (data / "definition.yaml").write_text(DEFINITION)
        succeed("apply", data / "definition.yaml", data=data)
        with open_catalog(f"sqlite:///{data / 'catalog.sqlite3'}") as catalog:
            published = catalog.datafile("shop-key")
        assert published is not None
        return (data / "catalog.sqlite3").read_bytes(), shop_of(json.loads(published.body))


def shop_of(datafile: dict[str, Any]) -> Shop:
    (experiment,) = datafile["experiments"]
    (event,) = datafile["events"]
    return Shop(
        datafile["accountId"],
        datafile["projectId"],
        experiment["layerId"],
        experiment["id"],
        tuple(variation["id"] for variation in experiment["variations"]),
        event["id"],
    )


@dataclass(frozen=True)
class Tally:
    """What became of the acknowledged events; ``unsure`` of those never answered are in the lake."""

    acknowledged: int
    counted: int
    twice: int
    unsure: int

    @property
    def is_whole(self) -> bool:
        return self.acknowledged == self.counted > 0 and self.twice == 0


@dataclass
class Load:
    """Clients that post one body after the other, and again what got no reply.

    One in ten acknowledged bodies is sent once more, as by a client whose reply was lost; one in
    three that got no reply is given up, as by a client that died too.
    """

    shop: Shop
    seed: int
    clients: int = 3
    acknowledged: dict[str, Body] = field(default_factory=dict)
    unanswered: deque[Body] = field(default_factory=deque)
    given_up: list[Body] = field(default_factory=list)
    answers: Counter[int] = field(default_factory=Counter)
    retry_after: set[str | None] = field(default_factory=set)
    _lives: int = 0

    @contextmanager
    def on(self, url: str) -> Iterator[Self]:
        """Clients busy with the server at ``url`` until it is gone or the block ends."""
        enough = threading.Event()
        self._lives += 1
        threads = [
            threading.Thread(
                target=_Client(self, f"{self._lives}-{n}", url, enough).run, name=f"client-{n}"
            )
            for n in range(self.clients)
        ]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            enough.set()
            for thread in threads:
                thread.join()

    def settle(self, url: str) -> None:
        """Send what got no reply until nothing is left."""
        with httpx.Client(headers=HEADERS, timeout=60) as client:
            while self.unanswered:
                body = self.unanswered.popleft()
                answer = client.post(url + "/v1/events", content=body.data)
                assert answer.status_code == 204, answer.text
                self.acknowledge(body)

    def give_up(self) -> None:
        """Send none of what got no reply again, which would make good what was lost."""
        self.given_up += self.unanswered
        self.unanswered.clear()

    def acknowledge(self, body: Body) -> None:
        self.acknowledged[body.uuids[0]] = body

    def tally(self, data: Path) -> Tally:
        """Compare the books with what the lake counts."""
        kept = kept_uuids(data)
        known = self.acknowledged.values()
        promised = {uuid for body in known for uuid in body.uuids}
        sent = {uuid for body in (*self.given_up, *self.unanswered) for uuid in body.uuids}
        assert kept.keys() <= promised | sent, "events that nobody sent"
        return Tally(
            len(promised),
            sum(uuid in kept for uuid in promised),
            sum(times > 1 for times in kept.values()),
            len(kept.keys() - promised),
        )


class _Client:
    def __init__(self, load: Load, name: str, url: str, enough: threading.Event) -> None:
        self._load = load
        self._name = f"{load.seed}-{name}"
        self._enough = enough
        self._chance = random.Random(self._name)
        self._last: Body | None = None
        self._connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)

    def run(self) -> None:
        with closing(self._connection):
            for number in count():
                if self._enough.is_set():
                    return
                body = self._next(number)
                try:
                    status = self._post(body)
                except (OSError, http.client.HTTPException):
                    self._no_reply(body)
                    return
                self._load.answers[status] += 1
                if status == 204:
                    self._load.acknowledge(body)
                else:
                    self._no_reply(body)
                    self._enough.wait(0.02)

    def _next(self, number: int) -> Body:
        load, drawn = self._load, self._chance.random()
        if load.unanswered and drawn < 0.5:
            try:
                return load.unanswered.popleft()
            except IndexError:  # another client was faster
                pass
        if self._last is None or drawn < 0.9:
            self._last = load.shop.body(f"{self._name}-{number}")
        return self._last

    def _post(self, body: Body) -> int:
        self._connection.request("POST", "/v1/events", body.data, HEADERS)
        answer = self._connection.getresponse()
        answer.read()
        if answer.status != 204:
            self._load.retry_after.add(answer.getheader("Retry-After"))
        return answer.status

    def _no_reply(self, body: Body) -> None:
        load = self._load
        if body.uuids[0] in load.acknowledged:
            return
        (load.given_up if self._chance.random() < 0.33 else load.unanswered).append(body)


def kept_uuids(data: Path) -> Counter[str]:
    """How often each event counts, after what a killed server left was drained."""
    lake = Lake(str(data / "lake"))
    assert drain_leftovers(data / "log", lake) is not None, "a server still holds the log"
    with DuckDB(lake) as engine:
        days = chain(kept_decisions(engine), kept_conversions(engine))
        return Counter(str(row[0]) for _, rows in days for row in rows)


def in_results(data: Path) -> tuple[int, int]:
    """Visitors and purchases that the experiment's results count."""
    shown = document("checkout_test", data=data)
    return sum(reached(shown).values()), sum(counted(shown, "purchases").values())
