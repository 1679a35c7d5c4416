"""Every public call by the official names with everything in every position, and on both packages.

Where the official one answers, ours answers the same; where it raises, ours answers what a refused
call answers. What differs besides is listed here and in ``docs/reference/differences.md``.
"""

from __future__ import annotations

import inspect
import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from both_sdks import OFFICIAL, OURS, Sdk, Spoken
from official import silent
from shop import datafile
from wrong_values import TEXTS, WRONG, by_name

TEXT = json.dumps(datafile())
PLACES = {
    "client": ("optimizely", "Optimizely"),
    "user": ("optimizely_user_context", "OptimizelyUserContext"),
    "center": ("notification_center", "NotificationCenter"),
}
theirs, ours = Sdk(OFFICIAL), Sdk(OURS)
EVERYTHING = frozenset(WRONG)
CALLABLE = frozenset({"hostile", "class", "function"})
FALSY = frozenset(
    {"none", "zero", "empty text", "empty list", "empty dict", "set", "pretender"}
)  # an empty stand-in is false as well


class Side:
    """One package's client, and what it sends and complains of."""

    def __init__(self, sdk: Sdk) -> None:
        self.sdk = sdk
        self.sent: list[object] = []
        self.errors: list[str] = []
        self.context = sdk.module("optimizely_user_context").OptimizelyUserContext
        self.client = sdk.module("optimizely").Optimizely(
            TEXT,
            event_processor=sdk.ForwardingEventProcessor(self),
            logger=silent(),
            error_handler=self,
        )

    def dispatch_event(self, event: object) -> None:
        self.sent.append(event)

    def handle_error(self, error: Exception) -> None:
        self.errors.append(type(error).__name__)

    @property
    def user(self) -> Any:
        user = self.client.create_user_context("user", {"plan": "gold"})
        user.set_qualified_segments(["loyal"])
        user.set_forced_decision(self.place("tested", "none"), self.forced("test_on"))
        return user

    @property
    def center(self) -> Any:
        center = self.sdk.module("notification_center").NotificationCenter(silent())
        assert center.add_notification_listener(self.sdk.NotificationTypes.TRACK, print) == 1
        return center

    def place(self, *keys: Any) -> Any:
        return self.context.OptimizelyDecisionContext(*keys)

    def forced(self, variation_key: Any) -> Any:
        return self.context.OptimizelyForcedDecision(variation_key)

    def right(self, parameter: str) -> Any:
        """What is right for a parameter."""
        made = {
            "decision_context": lambda: self.place("tested", "none"),
            "decision": lambda: self.forced("test_on"),
            "notification_type": lambda: self.sdk.NotificationTypes.TRACK,
        }
        return made[parameter]() if parameter in made else RIGHT[parameter]

    def outcome(self, call: str, parameter: str, value: Any) -> Any:
        """What a call answers, sends and complains of; ``RAISED`` if it raises instead."""
        owner, name = call.split(".")
        arguments = [value if p == parameter else self.right(p) for p in CALLS[call]]
        made = getattr(self, owner)
        self.sent.clear()
        self.errors.clear()
        try:
            answer = getattr(made, name)(*arguments)
        except Exception:  # noqa: BLE001 - whatever it is
            return RAISED
        if isinstance(answer, threading.Thread):
            answer.join(10)
        return shown(answer), len(self.sent), list(self.errors)


RAISED = "raised"
DEPTH = 5  # to which an answer is looked at
RIGHT: dict[str, Any] = {
    "experiment_key": "test",
    "variation_key": "test_on",
    "feature_key": "tested",
    "variable_key": "colour",
    "event_key": "purchase",
    "key": "tested",
    "keys": ["tested"],
    "user_id": "user",
    "attributes": {"plan": "gold"},
    "event_tags": {"revenue": 1},
    "options": None,
    "segments": ["loyal"],
    "segment": "loyal",
    "attribute_key": "plan",
    "attribute_value": "gold",
    "notification_callback": id,
    "notification_id": 1,
    "args": "argument",
    "callback": None,
    "action": "bought",
    "identifiers": {"fs_user_id": "user"},
    "type": "fullstack",
    "data": {},
}
# What a refused call answers; every other answers nothing.
FAILED: dict[str, Any] = {
    "client.get_enabled_features": [],
    "client.is_feature_enabled": False,
    "client.set_forced_variation": False,
    "user.decide_for_keys": {},
    "user.fetch_qualified_segments": False,
    "user.is_qualified_for": False,
    "user.remove_forced_decision": False,
    "user.set_forced_decision": False,
    "center.add_notification_listener": -1,
    "center.remove_notification_listener": False,
}
# Calls that answer even where the official one raises, as if the argument were not there.
UNREFUSED = {"user.decide options", "user.decide_for_keys options", "user.decide_all options"}
# Here ours answers as it always does, where the official one raises: text is text, whatever else its
# class can do, what is empty passes for no tags, and nobody asks a function whether it is equal.
ANSWERED: dict[str, frozenset[str]] = {
    "user_id": frozenset({"hostile text", "surrogate"}),
    "event_tags": frozenset({"set", "pretender", "dict in itself"}),
    "callback": frozenset({"hostile"}),
    "notification_callback": frozenset({"hostile"}),
}
# With these the official one answers too, but otherwise: a row of the page on differences each.
OTHERWISE: dict[str, frozenset[str]] = {
    "center.add_notification_listener notification_callback": EVERYTHING - CALLABLE,
    "client.create_user_context user_id": frozenset({"pretender"}),
    "client.get_all_feature_variables user_id": frozenset({"pretender"}),
    "client.get_feature_variable user_id": frozenset({"pretender"}),
    "client.get_feature_variable_string user_id": frozenset({"pretender"}),
    "client.get_variation user_id": frozenset({"pretender"}),
    "client.set_forced_variation user_id": frozenset({"pretender"}),
    "client.track user_id": frozenset({"surrogate"}),
    "user.decide_for_keys keys": (TEXTS | {"bytes"}) - {"empty text"},
    "user.decide_for_keys keys in a list": EVERYTHING - TEXTS,
    "user.fetch_qualified_segments callback": EVERYTHING - CALLABLE - FALSY,
    "user.set_forced_decision decision": EVERYTHING,
    "user.set_forced_decision decision by key": EVERYTHING,
    "user.set_forced_decision decision_context": EVERYTHING,
    "user.set_forced_decision decision_context by flag": EVERYTHING,
    "user.set_forced_decision decision_context by rule": EVERYTHING,
}


# The same for what is inside an argument.
INSIDE: dict[str, Callable[[Side, Any], Any]] = {
    "user.decide_for_keys keys in a list": lambda _, value: [value, "tested"],
    "user.decide options in a list": lambda _, value: [value, "INCLUDE_REASONS"],
    "user.decide_all options in a list": lambda _, value: [value, "INCLUDE_REASONS"],
    "user.set_qualified_segments segments in a list": lambda _, value: [value],
    "user.set_forced_decision decision_context by flag": lambda side, value: side.place(value),
    "user.set_forced_decision decision_context by rule": lambda side, v: side.place("tested", v),
    "user.get_forced_decision decision_context by flag": lambda side, value: side.place(value),
    "user.remove_forced_decision decision_context by flag": lambda side, v: side.place(v),
    "user.set_forced_decision decision by key": lambda side, value: side.forced(value),
    "client.create_user_context attributes in a dict": lambda _, value: {"plan": value},
    "client.activate attributes in a dict": lambda _, value: {"plan": value},
    "client.get_variation attributes in a dict": lambda _, v: {"$opt_bucketing_id": v},
    "client.is_feature_enabled attributes in a dict": lambda _, value: {"plan": value},
    "client.track attributes in a dict": lambda _, value: {"plan": value},
    "client.track event_tags in a dict": lambda _, value: {"odd": value},
    "user.track_event event_tags in a dict": lambda _, value: {"revenue": value},
    "client.send_odp_event identifiers in a dict": lambda _, value: {"fs_user_id": value},
    "client.send_odp_event data in a dict": lambda _, value: {"odd": value},
}


def calls() -> dict[str, list[str]]:
    """Every public call of the official classes, and its parameters."""
    found = {}
    for owner, (module, name) in PLACES.items():
        for call, function in inspect.getmembers(getattr(theirs.module(module), name)):
            if inspect.isroutine(function) and not call.startswith("_"):
                parameters = list(inspect.signature(function).parameters)
                found[f"{owner}.{call}"] = [p for p in parameters if p != "self"]
    return found


CALLS = calls()
CASES = [(call, parameter) for call, names in CALLS.items() for parameter in names]


def shown(value: Any, depth: int = 0) -> Any:
    """An answer of either package by what it says; reasons only by whether there are some."""
    kind = type(value)
    if kind in (type(None), bool, int, float):
        return repr(value)
    if issubclass(kind, str):
        return str.__str__(value)
    if kind in (list, tuple) and depth < DEPTH:
        return [shown(item, depth + 1) for item in value]
    if kind is dict and depth < DEPTH:
        return {
            str(shown(key)): bool(item) if key == "reasons" else shown(item, depth + 1)
            for key, item in value.items()
        }
    if hasattr(kind, "as_json"):
        return shown(kind.as_json(value), depth + 1)
    is_forced = kind.__name__ == "OptimizelyForcedDecision"
    return shown(vars(value), depth + 1) if is_forced else f"<{kind.__name__}>"


@pytest.fixture(scope="module")
def sides() -> Iterator[tuple[Side, Side]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "excepthook", lambda _: None)  # threads of the official one die
        both = Side(theirs), Side(ours)
        yield both
        for side in both:
            side.client.close()


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "optimizely")
    caplog.set_level(logging.CRITICAL, "tallybook")


def refused(call: str, parameter: str, outcome: Any, side: Side) -> bool:
    """True when that is the outcome of a call that was refused."""
    if f"{call} {parameter}" in UNREFUSED:
        return bool(outcome == side.outcome(call, parameter, side.right(parameter)))
    if call == "user.decide":
        return bool(outcome != RAISED and outcome[0]["variation_key"] == "None" and not outcome[1])
    return bool(outcome != RAISED and outcome[:2] == (shown(FAILED.get(call)), 0))


Outcomes = list[tuple[str, Any, Any]]  # by the name of the wrong value: the official one, and ours


def outcomes(
    sides: tuple[Side, Side], call: str, parameter: str, wrap: Callable[[Side, Any], Any]
) -> Outcomes:
    official, mine = sides
    return [
        (
            name,
            official.outcome(call, parameter, wrap(official, make())),
            mine.outcome(call, parameter, wrap(mine, make())),
        )
        for name, make in WRONG.items()
    ]


@pytest.mark.parametrize(("call", "parameter"), CASES)
def test_what_raises_there_is_refused_here_and_the_rest_is_the_same(
    sides: tuple[Side, Side], call: str, parameter: str
) -> None:
    found = outcomes(sides, call, parameter, lambda _, value: value)
    answered = ANSWERED.get(parameter, ())
    for name, theirs, ours in found:
        if theirs == RAISED and name in answered:
            assert ours != RAISED, name
        elif theirs == RAISED or ours != theirs:
            assert refused(call, parameter, ours, sides[1]), (name, theirs, ours)
    different = {name for name, theirs, ours in found if theirs not in (RAISED, ours)}
    listed = OTHERWISE.get(f"{call} {parameter}", frozenset())
    assert different <= listed
    assert bool(different) == bool(listed)
    assert sides[1].outcome("client.get_variation", "", None)[0] == "test_on"


@pytest.mark.parametrize("case", INSIDE)
def test_the_same_holds_for_what_is_inside(sides: tuple[Side, Side], case: str) -> None:
    call, parameter, *_ = case.split()
    found = outcomes(sides, call, parameter, INSIDE[case])
    assert [name for name, _, ours in found if ours == RAISED] == []
    different = {name for name, theirs, ours in found if theirs not in (RAISED, ours)}
    listed = OTHERWISE.get(case, frozenset())
    assert different <= listed
    assert bool(different) == bool(listed)


def test_a_forced_decision_that_is_refused_is_not_kept(sides: tuple[Side, Side]) -> None:
    _, mine = sides
    user = mine.user
    kept = user.forced_decisions_map
    for name, value in by_name(WRONG):
        assert user.set_forced_decision(value, mine.forced("test_on")) is False, name
        if name not in TEXTS:
            assert user.set_forced_decision(mine.place("tested"), mine.forced(value)) is False, name
            assert user.set_forced_decision(mine.place(value), mine.forced("test_on")) is False
    assert user.forced_decisions_map == kept != {}


def test_a_number_or_a_text_names_no_flags(sides: tuple[Side, Side]) -> None:
    answers = [
        [shown(side.user.decide_for_keys(keys)) for keys in ("ab", b"a", [7, "tested"])]
        for side in sides
    ]
    assert [[sorted(answer) for answer in answered] for answered in answers] == [
        [["a", "b"], ["97"], ["7", "tested"]],
        [[], [], ["tested"]],
    ]


def test_a_listener_that_cannot_be_called_is_refused(sides: tuple[Side, Side]) -> None:
    tracked = []
    for side in sides:
        log = Spoken()
        center = side.sdk.module("notification_center").NotificationCenter(log)
        kind = side.sdk.NotificationTypes.TRACK
        tracked.append(center.add_notification_listener(kind, "listener"))
        assert log.levels() == (["error"] if side.sdk.is_ours else [])
        center.send_notifications(kind, "key")
        assert log.levels() == (["error"] if side.sdk.is_ours else ["exception"])
    assert tracked == [1, -1]


def test_a_callback_that_cannot_be_called_is_none(sides: tuple[Side, Side]) -> None:
    answers = [side.user.fetch_qualified_segments("callback") for side in sides]
    answers[0].join(10)
    assert answers[1] is False


def test_a_user_id_that_no_event_can_carry_sends_none(sides: tuple[Side, Side]) -> None:
    for side in sides:
        side.sent.clear()
        side.client.track("purchase", "\ud800")
    assert [len(side.sent) for side in sides] == [1, 0]


def test_a_stand_in_for_a_string_is_none(sides: tuple[Side, Side]) -> None:
    stand_in = WRONG["pretender"]()
    contexts = [side.client.create_user_context(stand_in) for side in sides]
    assert [context is not None for context in contexts] == [True, False]


def test_options_of_a_processor_that_are_no_dict_are_not_used() -> None:
    with pytest.raises(TypeError):
        theirs.module("optimizely").Optimizely(TEXT, event_processor_options=7)
    client = ours.module("optimizely").Optimizely(TEXT, event_processor_options=7)
    assert (client.is_valid, client.event_processor.batch_size) == (True, 1)
    client.close()
