"""Who may manage, read and send: decided by a token, cheaply, and closed to whoever has none."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from litestar import get, post
from litestar.params import JSONBody

from tallybook.catalog.access import TokenScope, hash_of, is_hash_of, new_token
from tallybook.errors import StorageError
from tallybook.model.event import Sender
from tallybook.server import access, auth
from tallybook.server.access import FRESH_S, NOTE_EVERY_S, SOON_S, AccessWatch
from tallybook.server.auth import Authenticator
from tallybook.server.problems import ProblemError

READ, MANAGE, EVENTS = TokenScope.READ, TokenScope.MANAGE, TokenScope.EVENTS
PATH = "/api/v1/things/7"
OURS, THEIRS = "1", "2"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens that were hashed."""
    seen: list[str] = []

    def counting(kept: str, text: str) -> bool:
        seen.append(text)
        return is_hash_of(kept, text)

    monkeypatch.setattr(auth, "is_hash_of", counting)
    return seen


@pytest.fixture
def managed(house) -> Any:
    """A server with something to read and something to do; ``done`` are those that came through."""
    house.done = []

    @get(PATH, sync_to_thread=False)
    def read() -> str:
        house.done.append("read")
        return "figures"

    @post(PATH, sync_to_thread=False)
    def act(data: JSONBody[dict[str, Any]]) -> str:
        house.done.append("act")
        return "done"

    house.routes = [read, act]
    return house


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def refusal(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith('Bearer realm="tallybook"')
    assert answer.json()["status"] == status
    return answer.json()["detail"]


def body(account: str = OURS, uuid: str = "a", **envelope: Any) -> bytes:
    event = {"entity_id": "7", "uuid": uuid, "timestamp": 1_700_000_000_000, "key": "buy"}
    visitor = {"visitor_id": "ann", "snapshots": [{"events": [event]}]}
    return json.dumps({"account_id": account, "visitors": [visitor], **envelope}).encode()


WRONG: dict[str, Callable[[str], dict[str, str]]] = {
    "none": lambda _: {},
    "empty": lambda _: {"Authorization": ""},
    "another scheme": lambda token: {"Authorization": f"Basic {token}"},
    "a scheme as long": lambda token: {"Authorization": f"Digest {token}"},
    "no scheme": lambda token: {"Authorization": token},
    "no token": lambda _: {"Authorization": "Bearer "},
    "invented": lambda _: bearing(new_token()[1]),
    "another secret": lambda token: bearing(token[:-43] + new_token()[1][-43:]),
    "another id": lambda token: bearing(new_token()[1][:-43] + token[-43:]),
    "cut": lambda token: bearing(token[:-1]),
    "longer": lambda token: bearing(token + "A"),
    "twice": lambda token: bearing(f"{token}, Bearer {token}"),
    "in the query": lambda _: {},
    "huge": lambda token: bearing(token + "A" * 60_000),
    "not ASCII": lambda token: {"Authorization": b"Bearer " + token[:-1].encode() + b"\xe9"},
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_a_token_that_holds_nothing_is_managed(managed, wrong: str, method: str) -> None:
    token = managed.token(MANAGE)
    path = f"{PATH}?token={token}&access_token={token}" if wrong == "in the query" else PATH
    answer = managed.ask(method, path, headers=WRONG[wrong](token), json={})
    assert "expected Authorization: Bearer" in refusal(answer, 401)
    assert token not in answer.text
    assert managed.done == []


@pytest.mark.parametrize(
    ("scope", "method", "status"),
    [
        (MANAGE, "GET", 200),
        (MANAGE, "POST", 201),
        (READ, "GET", 200),
        (READ, "POST", 403),
        (EVENTS, "GET", 403),
        (EVENTS, "POST", 403),
    ],
)
def test_a_token_does_what_its_scope_says(managed, scope, method: str, status: int) -> None:
    headers = bearing(managed.token(scope, OURS))
    answer = managed.ask(method, PATH, headers=headers, json={})
    assert answer.status_code == status
    assert bool(managed.done) is (status != 403)
    if status == 403:
        assert f"this token is for {scope}" in refusal(answer, 403)
        assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


def test_a_scheme_is_a_scheme_in_any_case(managed) -> None:
    token = managed.token(READ)
    for scheme in ("bearer", "BEARER", "Bearer  "):
        answer = managed.ask("GET", PATH, headers={"Authorization": f"{scheme} {token}"})
        assert answer.status_code == 200


@pytest.mark.parametrize(
    "path",
    [PATH, PATH + "/", "/" + PATH, PATH.replace("/v1/", "//v1//"), PATH + "?x=1", "/x/.." + PATH],
)
def test_no_way_of_writing_the_path_leads_around_the_guard(managed, path: str) -> None:
    answer = managed.ask("GET", path)
    assert answer.status_code in {401, 404}
    assert managed.done == []


def test_what_is_wrong_with_a_request_is_not_said_to_strangers(managed) -> None:
    answer = managed.ask("POST", PATH, content=b"{", headers={"Content-Type": "application/json"})
    refusal(answer, 401)


@pytest.mark.parametrize(
    "path", ["/health/live", "/health/ready", "/metrics", "/api/schema/openapi.json"]
)
def test_what_tells_of_no_visitor_is_open(managed, path: str) -> None:
    answer = managed.ask("GET", path)
    assert answer.status_code == 200
    assert "hash" not in answer.text


def test_the_openapi_document_says_that_a_token_is_needed(managed) -> None:
    document = managed.ask("GET", "/api/schema/openapi.json").json()
    (name,) = document["components"]["securitySchemes"]
    assert document["components"]["securitySchemes"][name]["scheme"] == "bearer"
    assert document["security"] == [{name: []}]


def test_a_token_is_hashed_once(managed, hashed: list[str]) -> None:
    tokens = [managed.token(READ), managed.token(MANAGE)]
    for _ in range(5):
        for token in tokens:
            assert managed.ask("GET", PATH, headers=bearing(token)).status_code == 200
    assert sorted(hashed) == sorted(tokens)


def test_invented_tokens_cost_no_hash(managed, hashed: list[str]) -> None:
    for _ in range(30):
        refusal(managed.ask("GET", PATH, headers=bearing(new_token()[1])), 401)
    assert hashed == []


class Desk:
    """An authenticator whose clock stands still until it is moved, and a catalog that counts."""

    def __init__(self, house: Any) -> None:
        self.house = house
        self.catalog = house.catalog
        self.now_s = 1_024.0
        self.authenticator = self.new()

    def new(self) -> Authenticator:
        self.watch = AccessWatch(self.catalog, lambda: self.house.now_ms, lambda: self.now_s)
        return Authenticator(self.watch)

    def token(self, scope: TokenScope, account_id: str | None = None) -> str:
        """Make a token, and let the time pass after which it may be known."""
        token = self.house.token(scope, account_id)
        self.now_s += SOON_S
        return token

    def may_read(self, token: str) -> bool:
        return asyncio.run(self.reading(token))

    async def reading(self, token: str) -> bool:
        try:
            await self.authenticator.check("GET", f"Bearer {token}")
        except ProblemError as error:
            if error.status == 429:
                raise
            return False
        return True

    def may_send(self, account: str, token: str | None = None) -> int:
        async def ask() -> int:
            header = None if token is None else f"Bearer {token}"
            admit = await self.authenticator.admission(header)
            if admit is not None:
                admit(Sender(account, None, None, None, None))
            return 204

        try:
            return asyncio.run(ask())
        except ProblemError as error:
            return error.status.value

    def revoke(self, token: str) -> None:
        del self.catalog.kept[token.split("_")[1]]


@pytest.fixture
def desk(house) -> Iterator[Desk]:
    return Desk(house)


def test_a_revoked_token_is_refused_a_second_later_without_hashing(desk, hashed) -> None:
    token = desk.token(READ)
    assert desk.may_read(token)
    desk.revoke(token)
    desk.now_s += FRESH_S * 15 / 16
    assert desk.may_read(token)  # within the bound
    desk.now_s += FRESH_S / 16
    assert not desk.may_read(token)
    assert len(hashed) == 1


def test_a_new_token_holds_as_soon_as_it_may(desk) -> None:
    assert not desk.may_read(new_token()[1])
    token = desk.house.token(READ)
    desk.now_s += SOON_S
    assert desk.may_read(token)


def test_a_token_whose_hash_was_changed_is_hashed_again(desk, hashed) -> None:
    token = desk.token(READ)
    id_ = token.split("_")[1]
    assert desk.may_read(token)
    desk.catalog.kept[id_] = replace(desk.catalog.kept[id_], hash=hash_of(new_token()[1]))
    desk.now_s += FRESH_S
    assert not desk.may_read(token)
    assert len(hashed) == 2


def test_the_catalog_is_read_once_a_second_however_much_is_asked(desk) -> None:
    token = desk.token(READ)
    desk.now_s += FRESH_S
    before = desk.catalog.readings

    async def ask() -> list[bool]:
        return await asyncio.gather(*(desk.reading(token) for _ in range(200)))

    assert all(asyncio.run(ask()))
    assert all(asyncio.run(ask()))
    assert desk.catalog.readings == before + 1


def test_invented_tokens_have_the_catalog_read_a_bounded_number_of_times(desk) -> None:
    before = desk.catalog.readings
    for _ in range(100):
        assert not desk.may_read(new_token()[1])
        desk.now_s += SOON_S / 8
    assert desk.catalog.readings - before <= 13


def test_a_flood_of_wrong_secrets_is_cut_off_and_does_not_shut_out_who_is_known(
    desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, attacked = desk.token(READ), desk.token(READ)
    assert desk.may_read(known)
    go_on, begun, at_once, most = threading.Event(), threading.Event(), 0, 0
    lock = threading.Lock()

    def slow(kept: str, text: str) -> bool:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
            if at_once == 2:
                begun.set()
        assert go_on.wait(60)
        with lock:
            at_once -= 1
        return is_hash_of(kept, text)

    monkeypatch.setattr(auth, "is_hash_of", slow)

    async def flood() -> list[bool | BaseException]:
        guesses = [attacked[:-43] + new_token()[1][-43:] for _ in range(100)]
        asked = [asyncio.create_task(desk.reading(guess)) for guess in guesses]
        await asyncio.to_thread(begun.wait, 60)
        assert await desk.reading(known)
        go_on.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    answers = asyncio.run(flood())
    busy = [answer for answer in answers if isinstance(answer, ProblemError)]
    assert (answers.count(False), len(busy), most) == (16, 84, 2)
    assert all(error.headers == {"Retry-After": "1"} for error in busy)
    assert desk.may_read(attacked)


def test_many_who_come_with_one_token_at_once_cost_one_hash(desk, hashed) -> None:
    token = desk.token(READ)

    async def ask() -> list[bool]:
        return await asyncio.gather(*(desk.reading(token) for _ in range(100)))

    assert asyncio.run(ask()) == [True] * 100
    assert hashed == [token]


def test_who_goes_away_while_a_token_is_looked_at_spoils_it_for_nobody(desk, hashed) -> None:
    token = desk.token(READ)

    async def ask() -> bool:
        await desk.watch.current(SOON_S)
        impatient = asyncio.create_task(desk.reading(token))
        patient = asyncio.create_task(desk.reading(token))
        for _ in range(3):  # until both wait for the hash
            await asyncio.sleep(0)
        assert desk.authenticator._checking
        impatient.cancel()
        return await patient

    assert asyncio.run(ask())
    assert hashed == [token]


def test_known_tokens_are_bounded_in_number(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_MAX_VERIFIED", 3)
    tokens = [desk.token(READ) for _ in range(5)]
    assert all(desk.may_read(token) for token in tokens)
    assert len(desk.authenticator._verified) == 3
    assert all(desk.may_read(token) for token in tokens)
    assert not any(token in repr(desk.authenticator._verified) for token in tokens)


def test_a_catalog_that_fails_changes_nothing_and_is_told_of_once(desk, capsys) -> None:
    token = desk.token(READ)
    desk.catalog.closed = frozenset({OURS})
    desk.now_s += FRESH_S
    assert desk.may_read(token)
    desk.catalog.access_error = StorageError("catalog: gone")
    for _ in range(3):
        desk.now_s += FRESH_S
        assert desk.may_read(token)
        assert desk.may_send(OURS) == 401
    assert capsys.readouterr().out.count("catalog: gone") == 1
    desk.catalog.access_error = None
    desk.revoke(token)
    desk.now_s += FRESH_S
    assert not desk.may_read(token)


def test_a_server_does_not_start_on_a_catalog_that_fails(desk) -> None:
    desk.catalog.access_error = StorageError("catalog: gone")
    with pytest.raises(StorageError, match="gone"):
        desk.new()


def test_when_a_token_was_used_is_kept_now_and_then(desk) -> None:
    token = desk.token(READ)
    id_ = token.split("_")[1]

    def use() -> int | None:
        async def ask() -> None:
            assert await desk.reading(token)
            if desk.watch._noting is not None:
                await desk.watch._noting

        asyncio.run(ask())
        return desk.catalog.used_ms.get(id_)

    first = desk.house.now_ms
    assert use() == first
    desk.house.now_ms += 1
    assert use() == first
    desk.now_s += NOTE_EVERY_S
    assert use() == desk.house.now_ms


def test_events_are_open_unless_somebody_closes_them(house) -> None:
    assert house.post(body("anybody's")).status_code == 204
    assert house.post(body(uuid="b"), Authorization="Bearer nonsense").status_code == 204
    assert house.kept() == ["a", "b"]


@pytest.mark.parametrize("wrong", sorted(set(WRONG) - {"in the query"}))
def test_where_events_are_closed_nothing_is_kept_without_a_token(house, wrong: str) -> None:
    house.catalog.closed = frozenset({OURS})
    token = house.token(EVENTS, OURS)
    answer = house.ask("POST", "/v1/events", content=body(), headers=WRONG[wrong](token))
    assert "event token" in refusal(answer, 401)
    assert house.kept() == []
    figures = house.ask("GET", "/metrics").text
    assert 'tallybook_event_refusals_total{cause="unauthorized"} 1.0' in figures


@pytest.mark.parametrize(
    ("scope", "of", "account", "status"),
    [
        (EVENTS, OURS, OURS, 204),
        (EVENTS, THEIRS, OURS, 403),
        (MANAGE, None, OURS, 403),
        (READ, None, OURS, 403),
        (None, None, OURS, 401),
        (None, None, THEIRS, 204),  # whose events are open
        (EVENTS, OURS, THEIRS, 204),
        (None, None, "a stranger's", 401),
        (EVENTS, OURS, "a stranger's", 403),
    ],
)
def test_a_token_opens_its_account_alone(house, scope, of, account: str, status: int) -> None:
    house.catalog.closed, house.catalog.open = frozenset({OURS}), frozenset({THEIRS})
    headers = {} if scope is None else bearing(house.token(scope, of))
    answer = house.ask("POST", "/v1/events", content=body(account), headers=headers)
    assert answer.status_code == status
    assert house.kept() == (["a"] if status == 204 else [])


@pytest.mark.parametrize("project", [None, "other", 5, {"id": "other"}])
def test_naming_another_project_opens_nothing(house, project: object) -> None:
    house.catalog.closed = frozenset({OURS})
    assert house.post(body(project_id=project)).status_code in {400, 401}
    twice = body().replace(b'"account_id": "1"', b'"account_id": "1", "account_id": "2"')
    house.catalog.open = frozenset({THEIRS})
    for content in (twice, twice.replace(b'"1", "account_id": "2"', b'"2", "account_id": "1"')):
        answer = house.post(content)
        kept = {r.batch.sender.account_id for r in house.lake.received}
        assert answer.status_code in {204, 401}
        assert house.kept() == (["a"] if answer.status_code == 204 else [])
        assert OURS not in kept
        house.lake.received.clear()


def test_an_unusable_body_is_told_so_with_a_token_or_without(house) -> None:
    house.catalog.closed = frozenset({OURS})
    assert house.post(b"{").status_code == 400
    nested = b'{"account_id":"1","visitors":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert house.post(nested).status_code in {400, 401}
    assert house.post(body(), X_Optimizely_Strict="perhaps").status_code == 400


def test_closing_and_opening_events_takes_a_second(desk) -> None:
    assert desk.may_send(OURS) == 204
    desk.catalog.closed = frozenset({OURS})
    desk.now_s += FRESH_S * 15 / 16
    assert desk.may_send(OURS) == 204  # within the bound
    desk.now_s += FRESH_S / 16
    assert desk.may_send(OURS) == 401
    token = desk.token(EVENTS, OURS)
    assert desk.may_send(OURS, token) == 204
    desk.revoke(token)
    desk.now_s += FRESH_S
    assert desk.may_send(OURS, token) == 401
    desk.catalog.closed = frozenset()
    desk.now_s += FRESH_S
    assert desk.may_send(OURS) == 204


def test_open_events_have_the_catalog_read_once_a_second(desk) -> None:
    before = desk.catalog.readings
    for _ in range(1_000):
        assert desk.may_send(OURS) == 204
        desk.now_s += FRESH_S / 128
    assert desk.catalog.readings - before <= 13


def test_browsers_may_send_a_token(house) -> None:
    house.catalog.closed = frozenset({OURS})
    answer = house.ask("OPTIONS", "/v1/events", headers={"Origin": "https://shop.example"})
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    refused = house.post(body(), Origin="https://shop.example")
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "https://shop.example"


def test_a_catalog_that_hangs_holds_up_who_comes_first_and_then_nobody(
    desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = desk.token(READ)
    assert desk.may_read(token)
    go_on = threading.Event()
    read: Callable[[], Any] = desk.catalog.access

    def hanging() -> Any:
        assert go_on.wait(60)
        return read()

    desk.catalog.access = hanging
    desk.now_s += FRESH_S

    async def ask() -> tuple[bool, bool, int]:
        monkeypatch.setattr(access, "_PATIENCE_S", 0.01)
        first = await desk.reading(token)
        monkeypatch.setattr(access, "_PATIENCE_S", 3_600)
        desk.now_s += 3_600
        second = await desk.reading(token)
        before = desk.catalog.readings
        desk.revoke(token)
        go_on.set()
        await desk.watch._reading
        return first, second, desk.catalog.readings - before

    assert asyncio.run(ask()) == (True, True, 1)
    assert not desk.may_read(token)
