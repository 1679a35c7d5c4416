from __future__ import annotations

import json
import logging
import math
import re
import uuid
from collections import OrderedDict
from enum import Enum
from typing import Any

import pytest

from shop import URL, Shop
from tallybook import Client, NotificationType, __version__

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def listen(shop: Shop, kind: NotificationType = NotificationType.TRACK) -> list[tuple[Any, ...]]:
    calls: list[tuple[Any, ...]] = []
    shop.client.notifications.add_notification_listener(kind, lambda *args: calls.append(args))
    return calls


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        r.getMessage()
        for r in caplog.records
        if r.levelno >= logging.ERROR and r.name == "tallybook"
    ]


def test_the_example_of_the_track_event_page(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    optimizely = shop.client

    user = optimizely.create_user_context("user123", {"logged_in": True})
    tags = {"category": "shoes", "purchase_count": 2}
    user.track_event("my_purchase_event_key", tags)

    (visitor,) = shop.sent()
    (event,) = visitor["snapshots"][0]["events"]
    assert UUID.fullmatch(event.pop("uuid"))
    assert event.pop("timestamp") > 1_700_000_000_000
    assert visitor == {
        "snapshots": [
            {"events": [{"entity_id": "502", "key": "my_purchase_event_key", "tags": tags}]}
        ],
        "attributes": [{"entity_id": "602", "key": "logged_in", "type": "custom", "value": True}],
        "visitor_id": "user123",
    }
    assert errors(caplog) == []


def test_one_call_is_one_event_whatever_uses_it(shop: Shop) -> None:
    user = shop.client.create_user_context("user")
    assert user.track_event("purchase") is None
    assert [event["key"] for event in shop.events()] == ["purchase"]


def test_a_batch_is_one_envelope_of_single_visitors(shop: Shop) -> None:
    for number in range(3):
        shop.client.create_user_context(f"user-{number}").track_event("purchase")
    shop.client.create_user_context("user-0").track_event("purchase")
    visitors = shop.sent()
    assert [visitor["visitor_id"] for visitor in visitors] == [
        "user-0",
        "user-1",
        "user-2",
        "user-0",
    ]
    for body in shop.mailbox.bodies:
        del body["visitors"]
        assert body == {
            "account_id": "account",
            "project_id": "project",
            "revision": "7",
            "client_name": "tallybook-python",
            "client_version": __version__,
            "anonymize_ip": True,
            "enrich_decisions": True,
        }
    assert set(shop.mailbox.urls) == {URL}


@pytest.mark.parametrize("key", ["Purchase", "unknown", "purchase "])
def test_an_unknown_key_is_one_error_and_nothing_else(
    shop: Shop, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    calls = listen(shop)
    shop.client.create_user_context("user").track_event(key)
    assert len(errors(caplog)) == 1
    assert key in errors(caplog)[0]
    assert calls == shop.sent() == []
    assert shop.client.delivery_stats().refused == {"unknown_event": 1}


@pytest.mark.parametrize("key", ["", None, 1, b"purchase", ["purchase"]])
def test_a_key_that_is_no_text_is_refused(
    shop: Shop, key: Any, caplog: pytest.LogCaptureFixture
) -> None:
    shop.client.create_user_context("user").track_event(key)
    shop.client.track(key, "user")
    assert len(errors(caplog)) == 2
    assert shop.sent() == []
    assert shop.client.delivery_stats().refused == {"invalid_argument": 2}


@pytest.mark.parametrize("tags", ["tags", 7, [1], OrderedDict(a=1), object()])
def test_tags_must_be_a_plain_dict(shop: Shop, tags: Any, caplog: pytest.LogCaptureFixture) -> None:
    shop.client.create_user_context("user").track_event("purchase", tags)
    assert len(errors(caplog)) == 1
    assert shop.sent() == []


@pytest.mark.parametrize("tags", [[], "", 0, False])
def test_tags_that_are_empty_pass_for_none(shop: Shop, tags: Any) -> None:
    shop.client.create_user_context("user").track_event("purchase", tags)
    assert "tags" not in shop.events()[0]


def test_no_tags_are_left_out_and_empty_tags_are_sent(shop: Shop) -> None:
    user = shop.client.create_user_context("user")
    user.track_event("purchase", None)
    user.track_event("purchase", {})
    assert [event.get("tags") for event in shop.events()] == [None, {}]


@pytest.mark.parametrize("user_id", [None, 7, b"user", ["user"]])
def test_track_wants_a_user_id_of_text(
    shop: Shop, user_id: Any, caplog: pytest.LogCaptureFixture
) -> None:
    shop.client.track("purchase", user_id)
    assert len(errors(caplog)) == 1
    assert shop.sent() == []


def test_an_empty_user_id_is_allowed(shop: Shop) -> None:
    shop.client.track("purchase", "")
    assert shop.sent()[0]["visitor_id"] == ""


@pytest.mark.parametrize("attributes", ["text", 7, [1], OrderedDict(a=1)])
def test_track_wants_attributes_in_a_plain_dict(
    shop: Shop, attributes: Any, caplog: pytest.LogCaptureFixture
) -> None:
    shop.client.track("purchase", "user", attributes, "bad tags too")  # type: ignore[arg-type]
    assert len(errors(caplog)) == 1
    assert "attributes" in errors(caplog)[0]
    assert shop.sent() == []


def test_listeners_get_what_the_vendor_promises(shop: Shop) -> None:
    calls = listen(shop)
    user = shop.client.create_user_context("user", {"plan": "gold"})
    tags = {"revenue": 1234, "kind": "shoes"}
    user.track_event("purchase", tags)
    (visitor,) = shop.sent()
    ((key, user_id, attributes, told_tags, event),) = calls
    assert (key, user_id, attributes) == ("purchase", "user", {"plan": "gold"})
    assert told_tags is tags
    assert list(event) == ["url", "params", "http_verb", "headers"]
    assert (event["url"], event["http_verb"]) == (URL, "POST")
    assert event["headers"] == {"Content-Type": "application/json"}
    assert event["params"]["visitors"] == [visitor], "the same uuid and timestamp as dispatched"
    assert event["params"]["account_id"] == "account"
    attributes["plan"] = "changed"
    assert user.get_user_attributes() == {"plan": "gold"}


@pytest.mark.parametrize("attributes", [None, {}, [], {"plan": "gold"}])
def test_track_tells_listeners_the_attributes_as_they_were_passed(
    shop: Shop, attributes: Any
) -> None:
    calls = listen(shop)
    shop.client.track("purchase", "user", attributes)
    assert calls[0][2] is attributes
    assert len(shop.sent()) == 1


def test_a_listener_is_told_after_the_event_is_accepted_and_may_not_stop_it(shop: Shop) -> None:
    accepted: list[int] = []

    def listener(*args: object) -> None:
        accepted.append(shop.client.delivery_stats().accepted)
        raise ValueError("broken listener")

    shop.client.notifications.add_notification_listener(NotificationType.TRACK, listener)
    shop.client.track("purchase", "user")
    assert accepted == [1]
    assert len(shop.sent()) == 1


def test_log_event_listeners_see_each_batch_before_it_is_sent(shop: Shop) -> None:
    seen: list[Any] = []
    shop.client.notifications.add_notification_listener(
        NotificationType.LOG_EVENT, lambda event: seen.append((event, len(shop.mailbox.bodies)))
    )
    shop.client.track("purchase", "user")
    shop.sent()
    ((log_event, bodies_before),) = seen
    assert bodies_before == 0
    assert log_event.params == shop.mailbox.bodies[0]
    assert (log_event.url, log_event.http_verb) == (URL, "POST")
    assert log_event.headers == {"Content-Type": "application/json"}


def test_attributes_are_those_of_the_moment(shop: Shop) -> None:
    user = shop.client.create_user_context("user", {"plan": "free"})
    user.track_event("purchase")
    user.set_attribute("plan", "gold")
    user.track_event("purchase")
    user.track_event("purchase")
    values = [[row["value"] for row in visitor["attributes"]] for visitor in shop.sent()]
    assert values == [["free"], ["gold"], ["gold"]]


def test_unknown_attributes_are_named_in_the_log_and_cost_nothing_else(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    user = shop.client.create_user_context("user", {"colour": "red", "plan": "gold", "$opt_own": 1})
    user.track_event("purchase")
    assert [row["key"] for row in shop.sent()[0]["attributes"]] == ["plan", "$opt_own"]
    assert len(errors(caplog)) == 1
    assert "'colour'" in errors(caplog)[0]
    assert shop.client.delivery_stats().flaws == {"attribute_unknown": 1, "attribute_reserved": 1}


def test_a_bad_tag_costs_itself_alone_is_counted_and_said_once(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    user = shop.client.create_user_context("user")
    loop: dict[str, Any] = {}
    loop["loop"] = loop
    for _ in range(3):
        user.track_event("purchase", {"bad": math.nan, "good": 1})
    user.track_event(
        "purchase", {"a": b"", "b": {1}, "c": object(), "d": "\ud800", "e": loop, "f": 10**400}
    )
    user.track_event("purchase", {"revenue": "12", "value": "much"})
    assert [event["tags"] for event in shop.events()] == [
        {"good": 1},
        {"good": 1},
        {"good": 1},
        {},
        {"revenue": "12", "value": "much"},
    ]
    stats = shop.client.delivery_stats()
    assert stats.flaws == {
        "not_finite": 3,
        "not_json": 3,
        "not_text": 1,
        "too_deep": 1,
        "too_large": 1,
        "revenue_not_cents": 1,
        "value_not_numeric": 1,
    }
    assert stats.delivered == stats.accepted == 5
    said = [record.getMessage() for record in caplog.records]
    assert sum("not a finite number" in line for line in said) == 1
    assert all(record.levelno == logging.WARNING for record in caplog.records)


def test_a_user_id_that_is_no_text_costs_its_own_events_alone(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    odd = shop.client.create_user_context("\ud800")
    odd.track_event("purchase")
    odd.decide("tested")
    shop.client.track("purchase", "user")
    assert [visitor["visitor_id"] for visitor in shop.sent()] == ["user"]
    assert shop.client.delivery_stats().refused == {"invalid_argument": 2}
    assert len(errors(caplog)) == 1


def test_time_and_identity_come_from_where_the_client_is_told() -> None:
    uuids = iter(["uuid-1", "uuid-2"])
    shop = Shop(clock_ms=lambda: 1_234, new_uuid=lambda: next(uuids))
    user = shop.client.create_user_context("user")
    user.track_event("purchase")
    user.decide("tested")
    assert [(event["uuid"], event["timestamp"]) for event in shop.events()] == [
        ("uuid-1", 1_234),
        ("uuid-2", 1_234),
    ]
    shop.client.close(5)


def test_no_two_events_have_the_same_identity(shop: Shop) -> None:
    other = Shop()
    for client in (shop.client, other.client):
        user = client.create_user_context("user")
        for _ in range(500):
            user.track_event("purchase")
    uuids = {event["uuid"] for event in shop.events() + other.events()}
    assert len(uuids) == 1000
    assert all(UUID.fullmatch(uuid) for uuid in uuids)
    other.client.close(5)


def test_before_a_datafile_has_come_events_are_refused_at_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = Client(sdk_key="key", http=Shop().mailbox)
    client.create_user_context("user").track_event("purchase")
    client.track("purchase", "user")
    assert client.delivery_stats().refused == {"not_ready": 2}
    assert sum("no valid datafile" in message for message in errors(caplog)) == 2
    client.close(1)


def test_events_tracked_after_close_are_refused_and_counted(shop: Shop) -> None:
    user = shop.client.create_user_context("user")
    shop.client.close(5)
    user.track_event("purchase")
    assert shop.client.delivery_stats().refused == {"closed": 1}
    assert shop.mailbox.bodies == []


def test_bot_filtering_travels_as_an_attribute() -> None:
    shop = Shop({"botFiltering": True})
    shop.client.track("purchase", "user")
    assert shop.sent()[0]["attributes"] == [
        {
            "entity_id": "$opt_bot_filtering",
            "key": "$opt_bot_filtering",
            "type": "custom",
            "value": True,
        }
    ]
    shop.client.close(5)


def test_a_new_revision_splits_the_batch_and_writes_the_visitor_anew() -> None:
    from shop import datafile

    shop = Shop(
        delivery=__import__("tallybook.client").client.DeliverySettings(flush_interval_s=60)
    )
    user = shop.client.create_user_context("user", {"plan": "gold"})
    user.track_event("purchase")
    newer = datafile(revision="8", attributes=[{"id": "699", "key": "plan"}])
    shop.client._revisions.install(json.dumps(newer))
    user.track_event("purchase")
    shop.sent()
    assert [body["revision"] for body in shop.mailbox.bodies] == ["7", "8"]
    ids = [visitor["attributes"][0]["entity_id"] for visitor in shop.mailbox.visitors]
    assert ids == ["601", "699"]
    shop.client.close(5)


class Word(str, Enum):  # noqa: UP042 - the older way, whose str() has the class's name
    """What people name their keys by."""

    PURCHASE = "purchase"
    USER = "user"
    GOLD = "gold"


class Text(str):
    """A class derived from text, as some frameworks hand out."""

    __slots__ = ()


def test_names_of_classes_derived_from_text_are_what_they_say(shop: Shop) -> None:
    shop.client.track(Word.PURCHASE, Word.USER, {"plan": Word.GOLD})
    shop.client.track("purchase", Text("user"), {"plan": Text("gold")})
    user = shop.client.create_user_context(Text("user"), {Text("plan"): Text("gold")})
    user.track_event(Word.PURCHASE, {Text("kind"): Word.GOLD})
    sent = shop.sent()
    assert [visitor["visitor_id"] for visitor in sent] == ["user"] * 3
    assert [visitor["attributes"][0]["value"] for visitor in sent] == ["gold"] * 3
    assert [event["key"] for event in shop.events()] == ["purchase"] * 3


class Neither:
    """Neither true nor false, as an array of several numbers is."""

    def __bool__(self) -> bool:
        raise ValueError("the truth value is ambiguous")


def test_what_is_neither_true_nor_false_is_refused_as_any_other_type(shop: Shop) -> None:
    odd: Any = Neither()
    shop.client.create_user_context("user").track_event("purchase", odd)
    shop.client.track("purchase", "user", odd)
    assert shop.sent() == []
    assert shop.client.delivery_stats().refused == {"invalid_argument": 2}


def test_a_clock_that_counts_parts_of_milliseconds_is_cut_to_whole_ones() -> None:
    ticks: Any = iter((1_760_000_000_123.9, 1_760_000_000_124.5))
    shop = Shop(clock_ms=lambda: next(ticks))
    user = shop.client.create_user_context("user")
    user.track_event("purchase")
    user.decide("tested")
    stamps = [event["timestamp"] for event in shop.events()]
    assert json.dumps(stamps) == "[1760000000123, 1760000000124]"
    shop.client.close(5)


def test_identities_may_be_anything_that_has_a_text() -> None:
    given: Any = iter((uuid.UUID(int=1), 'a"b', 7))
    shop = Shop(new_uuid=lambda: next(given))
    for _ in range(3):
        shop.client.track("purchase", "user")
    ids = [event["uuid"] for event in shop.events()]
    assert ids == ["00000000-0000-0000-0000-000000000001", 'a"b', "7"]
    shop.client.close(5)
