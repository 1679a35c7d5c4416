"""Every public call with everything in every position, in a table that is made from signatures.

Nothing is raised, a refused call answers as documented and leaves one line in the log that says
what was wrong, nothing is sent that should not be, and the client works as before.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import pytest

from shop import datafile
from tallybook import (
    Client,
    ClientSettings,
    DecisionContext,
    ForcedDecision,
    NotificationType,
    UserContext,
)
from tallybook.client import PollingSettings
from tallybook.deliver.answer import Reply
from tallybook.model.reason import ReasonKind
from tallybook.model.text import LONGEST_SHOWN, excerpt, is_text, plain
from tallybook.notify import NotificationCenter
from tallybook.testing import InMemoryClient, Letterbox
from wrong_values import TEXTS, WRONG, by_name

PLATFORM = {"key": "odp", "host": "https://platform.invalid", "publicKey": "key"}
TEXT = json.dumps(datafile(integrations=[PLATFORM]))
OWNERS: dict[str, type] = {"client": Client, "user": UserContext, "center": NotificationCenter}
# What people write tests with, who want to see every mistake.
TEST_TOOLS = {"set_flag", "define_event", "tracked", "decided", "forget"}
LONGEST_LINE = LONGEST_SHOWN + 500


def is_undecided(answer: Any) -> bool:
    what = (answer.variation_key, answer.enabled, answer.variables, answer.rule_key)
    return what == (None, False, {}, None) and answer.reason_kinds == [ReasonKind.FLAG_UNKNOWN]


FAILED: dict[str, Any] = {
    "client.activate": None,
    "client.aclose": 0,  # nothing waits: a timeout that is no number is no time
    "client.close": 0,
    "client.create_user_context": None,
    "client.delivery_stats": ...,  # takes nothing
    "client.flush": True,
    "client.get_all_feature_variables": None,
    "client.get_enabled_features": [],
    "client.get_feature_variable": None,
    "client.get_feature_variable_boolean": None,
    "client.get_feature_variable_double": None,
    "client.get_feature_variable_integer": None,
    "client.get_feature_variable_json": None,
    "client.get_feature_variable_string": None,
    "client.get_forced_variation": None,
    "client.get_optimizely_config": ...,
    "client.get_variation": None,
    "client.is_feature_enabled": False,
    "client.odp_stats": ...,
    "client.ready": True,
    "client.send_odp_event": None,
    "client.set_forced_variation": False,
    "client.track": None,
    "client.wait_until_ready": True,
    "user.afetch_qualified_segments": ...,
    "user.as_json": ...,
    "user.decide": is_undecided,
    "user.decide_all": ...,  # refuses nothing
    "user.decide_for_keys": {},
    "user.fetch_qualified_segments": True,  # as without a callback
    "user.get_forced_decision": None,
    "user.get_qualified_segments": ...,
    "user.get_user_attributes": ...,
    "user.is_qualified_for": False,
    "user.remove_all_forced_decisions": ...,
    "user.remove_forced_decision": False,
    "user.set_attribute": None,
    "user.set_forced_decision": False,
    "user.set_qualified_segments": None,
    "user.track_event": None,
    "center.add_notification_listener": -1,
    "center.begin_in_child": ...,
    "center.clear_all_notification_listeners": ...,
    "center.clear_notification_listeners": None,
    "center.has_listeners": False,
    "center.listeners_of": (),
    "center.remove_notification_listener": False,
    "center.send_notifications": None,
}


@dataclass(frozen=True)
class Kind:
    """What a parameter takes.

    ``passes`` names the wrong values that are taken all the same, ``silent`` those of them with
    which nothing is sent; a refusal has one of the ``words``.
    """

    right: Any
    words: str = "-"
    passes: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()
    other_answer: type = object


EVERYTHING = frozenset(WRONG)
PLAIN_DICTS = frozenset({"none", "empty dict", "dict", "dict in itself"})
# Anything empty passes for no attributes, or no tags. A stand-in for text is an empty one.
EMPTY = frozenset({"zero", "empty text", "empty list", "set", "pretender"})
NUMBERS = frozenset({"true", "zero", "fraction", "2^60", "beyond every double", "hostile number"})
# A list of keys may be anything that can be gone through, or it is no list of keys.
SEQUENCES = frozenset({"empty list", "list", "tuple", "list in itself", "deep"})
ITERABLES = SEQUENCES | {"set", "empty dict", "dict", "dict in itself", "dict of a class"}
FUNCTIONS = frozenset({"hostile", "class", "function"})
NAMES = TEXTS - {"empty text"}

KINDS: dict[str, Kind] = {
    "experiment_key": Kind("test", "experiment"),
    "variation_key": Kind("test_on", "variation", frozenset({"none"})),
    "feature_key": Kind("tested", "feature flag"),
    "variable_key": Kind("colour", "variable"),
    "event_key": Kind("purchase", "event"),
    "key": Kind("tested", "flag"),
    "keys": Kind(["tested"], "keys", ITERABLES | {"generator", "pretender"}, EVERYTHING),
    "user_id": Kind("user", "user", TEXTS, frozenset({"surrogate"})),
    "attributes": Kind({"plan": "gold"}, "attributes", PLAIN_DICTS | EMPTY),
    "event_tags": Kind({"revenue": 1}, "tags", PLAIN_DICTS | EMPTY),
    "options": Kind([], passes=EVERYTHING),
    "decision_context": Kind(DecisionContext("tested"), "DecisionContext"),
    "decision": Kind(ForcedDecision("test_on"), "ForcedDecision"),
    "segments": Kind(["loyal"], "set_qualified_segments", SEQUENCES | {"none"}),
    "segment": Kind("loyal", "is_qualified_for", TEXTS),
    "timeout_s": Kind(0.0, "timeout_s", NUMBERS | {"none"}),
    "notification_type": Kind(NotificationType.TRACK, "notification type"),
    "callback": Kind(print, "listener", FUNCTIONS),
    "notification_id": Kind(1, "listener", NUMBERS | {"nan"}),
    "args": Kind("argument", passes=EVERYTHING),
    "action": Kind("bought", "action", NAMES),
    "identifiers": Kind(
        {"fs_user_id": "user"}, "identifiers", frozenset({"dict", "dict of a class"})
    ),
    "type": Kind("fullstack", "type", TEXTS | {"none"}),
    "data": Kind(
        {}, "data", (PLAIN_DICTS | EMPTY | {"dict of a class"}) - {"dict in itself", "zero"}
    ),
    "user.fetch_qualified_segments callback": Kind(
        None, "callback", FUNCTIONS | {"none"}, other_answer=threading.Thread
    ),
    "client.get_forced_variation experiment_key": Kind("test", "experiment", NAMES),
    "client.create_user_context attributes": Kind({}, "attributes", PLAIN_DICTS),
    "user.set_attribute key": Kind("plan", "key", TEXTS),
    "user.set_attribute value": Kind("gold", passes=EVERYTHING),
    "client.get_feature_variable_integer variable_key": Kind("size", "variable"),
}


def calls() -> dict[str, list[str]]:
    """Every public call of every owner, and its parameters."""
    found = {}
    for owner, kind in OWNERS.items():
        for name, function in inspect.getmembers(kind, inspect.isroutine):
            if not name.startswith("_"):
                found[f"{owner}.{name}"] = [*inspect.signature(function).parameters][1:]
    return found


CALLS = calls()
CASES = [(call, name) for call, names in CALLS.items() for name in names]


def kind_of(call: str, name: str) -> Kind:
    return KINDS.get(f"{call} {name}") or KINDS[name]


class Letters(Letterbox):
    """Takes what a client sends, and counts events of the customer data platform."""

    def __init__(self) -> None:
        super().__init__()
        self.customer_events = 0

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        if "platform" not in url:
            return super().post(url, body, headers)
        self.customer_events += len(json.loads(body))
        return Reply(HTTPStatus.OK)


class Bench:
    """A client, a user, listeners if they are wanted, and calls of them."""

    def __init__(self, *, told: bool = False, seasoned: bool = False) -> None:
        self.letters = Letters()
        settings = ClientSettings(http=self.letters, error_handler=id if told else None)
        self.client = Client(TEXT, settings=settings)
        self.user = self.client.create_user_context("user", {"plan": "gold"})
        self.user.set_qualified_segments(["loyal", "new"])
        self.user.set_forced_decision(DecisionContext("tested", "none"), ForcedDecision("test_on"))
        self.center = self.client.notifications
        kind = NotificationType.OPTIMIZELY_CONFIG_UPDATE
        assert self.center.add_notification_listener(kind, bool) == 1
        for kind in NotificationType if told else ():
            self.center.add_notification_listener(kind, lambda *_: None)
        for _ in range(3 if seasoned else 0):  # from the third on, tracking takes the short way
            self.user.track_event("purchase", {"revenue": 1})
        self.forget()

    def call(self, call: str, **wrong: Any) -> Any:
        owner, name = call.split(".")
        arguments = [kind_of(call, p).right for p in CALLS[call]]
        for parameter, value in wrong.items():
            arguments[CALLS[call].index(parameter)] = value
        answer = getattr(getattr(self, owner), name)(*arguments)
        if isinstance(answer, threading.Thread):
            answer.join(10)
        return asyncio.run(answer) if inspect.iscoroutine(answer) else answer

    def sent(self) -> int:
        assert self.client.flush(10)
        decisions, conversions = self.letters.events()
        return len(decisions) + len(conversions) + self.letters.customer_events

    def forget(self) -> None:
        assert self.client.flush(10)
        self.letters.clear()

    def works(self) -> bool:
        """True when right calls are answered and delivered; once closed, when they are answered."""
        self.forget()
        user = self.client.create_user_context("afterwards", {"plan": "gold"})
        decision = user.decide("tested")
        user.track_event("purchase", {"revenue": 7})
        assert self.client.flush(10)
        is_closed = "closed" in self.client.delivery_stats().refused
        revenues = [event.revenue for event in self.letters.events()[1]]
        return decision.variation_key == "test_on" and (is_closed or revenues == [7])


def usual(call: str) -> tuple[type, int]:
    """What a right call answers, and how many events it sends."""
    bench = Bench()
    answer = bench.call(call)
    sent = bench.sent()
    bench.client.close(5)
    return type(answer), sent


def faults(call: str, parameter: str, log: pytest.LogCaptureFixture, **how: bool) -> list[str]:
    """What goes wrong when everything is passed in one position."""
    found, kind, (answer_type, events) = [], kind_of(call, parameter), usual(call)
    for name, value in by_name(WRONG):
        bench = Bench(**how)
        log.clear()
        answer = bench.call(call, **{parameter: value})
        sent = bench.sent()
        loud = [r.getMessage() for r in log.records if r.levelno >= logging.WARNING]
        if name in kind.passes:
            due = 0 if name in kind.silent else events
            is_usual = type(answer) in (answer_type, kind.other_answer)
            seen = is_usual, sent == due, len(loud) <= 1
        else:
            seen = is_failure(call, answer), sent == 0, names(loud, kind, value)
        lines = [record.getMessage().encode() for record in log.records]
        seen += (max(map(len, lines), default=0) <= LONGEST_LINE, bench.works())
        found += [] if all(seen) else [f"{name}: {seen} {answer_type} {sent} of {events} {loud}"]
        bench.client.close(5)
    return found


def is_failure(call: str, answer: Any) -> bool:
    failed = FAILED[call]
    if callable(failed):
        return bool(failed(answer))
    return type(answer) is type(failed) and answer == failed


def names(lines: list[str], kind: Kind, value: Any) -> bool:
    """True when there is one line, which names what was wrong and shows what was found."""
    shown = {type(value).__name__, excerpt(value)}
    if is_text(value) and is_text(kind.right):
        beginning = excerpt(plain(value)[:20])[1:-1]
        shown = {beginning} if beginning else {"''", '""'}
    return len(lines) == 1 and (
        any(word.lower() in lines[0].lower() for word in kind.words.split(" "))
        and any(one in lines[0] for one in shown)
    )


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "tallybook")


def test_the_client_of_tests_has_the_calls_of_the_client() -> None:
    own = {name for name in vars(InMemoryClient) if not name.startswith("_")}
    assert own == TEST_TOOLS


def test_every_public_call_is_in_the_table() -> None:
    assert sorted(FAILED) == sorted(CALLS)
    assert [case for case in CASES if not kind_of(*case)] == []
    assert {call for call, names in CALLS.items() if not names} <= {
        call for call, failed in FAILED.items() if failed is ...
    }


@pytest.mark.parametrize("told", [False, True], ids=["nobody listens", "told"])
@pytest.mark.parametrize(("call", "parameter"), CASES)
def test_no_wrong_argument_costs_more_than_its_call(
    call: str, parameter: str, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert faults(call, parameter, caplog, told=told) == []


@pytest.mark.parametrize("parameter", ["event_key", "event_tags"])
def test_the_short_way_is_as_careful(parameter: str, caplog: pytest.LogCaptureFixture) -> None:
    assert faults("user.track_event", parameter, caplog, seasoned=True) == []


# Waiting for a datafile that never comes takes as long as somebody is ready to wait.
@pytest.mark.parametrize(("call", "parameter"), [c for c in CASES if c[1] != "timeout_s"])
def test_before_there_is_a_datafile_nothing_raises_either(call: str, parameter: str) -> None:
    polling = PollingSettings(interval_s=1_000, backoff_base_s=1_000)
    client = Client(sdk_key="key", http=Letterbox(), polling=polling)
    bench = Bench.__new__(Bench)
    bench.client, bench.center = client, client.notifications  # type: ignore[assignment] # as good
    bench.user = client.create_user_context("user")
    for _, value in by_name(WRONG):
        bench.call(call, **{parameter: value})
    assert client.delivery_stats().accepted == 0
    assert bench.user.decide("tested").reason_kinds == [ReasonKind.NOT_READY]
    assert client.close(5) == 0
