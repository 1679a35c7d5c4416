"""Everything in every place of the constructors by the official names.

What the official one makes, ours makes alike; where the official one raises whatever comes along,
ours makes something or says what is wrong by an ``InvalidInputException``.
"""

from __future__ import annotations

import inspect
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from both_sdks import OFFICIAL, OURS, Dispatcher, Sdk
from official import silent
from shop import datafile
from wrong_values import WRONG, by_name

TEXT = json.dumps(datafile())
NOWHERE = "http://127.0.0.1:9/{sdk_key}.json"
theirs, ours = Sdk(OFFICIAL), Sdk(OURS)
Make = Callable[[Sdk], dict[str, Any]]

MADE: dict[str, tuple[str, Make]] = {
    "Optimizely": (
        "optimizely",
        lambda sdk: {
            "datafile": TEXT,
            "logger": silent(),
            "event_processor": sdk.ForwardingEventProcessor(Dispatcher()),
        },
    ),
    "StaticConfigManager": ("config_manager", lambda _: {"datafile": TEXT, "logger": silent()}),
    "BatchEventProcessor": (
        "event.event_processor",
        lambda _: {"event_dispatcher": Dispatcher(), "logger": silent()},
    ),
    "ForwardingEventProcessor": (
        "event.event_processor",
        lambda _: {"event_dispatcher": Dispatcher(), "logger": silent()},
    ),
    "NotificationCenter": ("notification_center", lambda _: {}),
}
# These would have the client ask Optimizely itself; see the polling manager below.
ASKING = {"sdk_key", "datafile_access_token"}
POLLING = "PollingConfigManager"
# Without a processor of its own the official client takes seconds to close.
ABSENT = frozenset({"none", "zero", "empty text", "empty list", "empty dict", "set", "pretender"})
FACTS = ("is_valid", "batch_size", "flush_interval", "timeout_interval")
# What differs by design: what is not finite is no interval.
NO_INTERVAL = frozenset({"nan"})


def parameters(module: str, name: str) -> list[str]:
    return list(inspect.signature(getattr(theirs.module(module), name)).parameters)


CASES = [
    (name, parameter)
    for name, (module, _) in MADE.items()
    for parameter in parameters(module, name)
    if parameter not in ASKING
]
POLLING_CASES = parameters("config_manager", POLLING)


def made(sdk: Sdk, name: str, parameter: str, value: Any) -> Any:
    """What came of a constructor: some facts of what it made, or what it raised."""
    module, right = MADE[name]
    try:
        thing = getattr(sdk.module(module), name)(**{**right(sdk), parameter: value})
    except Exception as error:  # noqa: BLE001 - whatever it is
        return type(error).__name__
    facts = {fact: repr(vars(thing)[fact])[:80] for fact in FACTS if fact in vars(thing)}
    if hasattr(thing, "get_config"):
        facts["config"] = str(thing.get_config() is not None)
    if name == "Optimizely":
        facts["options"] = str(len(thing.default_decide_options))
        facts["variation"] = repr(thing.get_variation("test", "user"))
        facts["decided"] = repr(thing.create_user_context("user").decide("tested").variation_key)
        thing.close()
    return facts


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    for name in ("optimizely", "tallybook"):
        caplog.set_level(logging.CRITICAL, name)
    logging.disable(logging.CRITICAL)  # a client that cannot be used makes its logger anew
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "excepthook", lambda _: None)  # threads of the official one die
        yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(("name", "parameter"), CASES)
def test_a_constructor_makes_what_the_official_one_makes(name: str, parameter: str) -> None:
    for wrong in WRONG:
        if (parameter, wrong) in {("event_processor", absent) for absent in ABSENT}:
            continue
        due = made(theirs, name, parameter, WRONG[wrong]())
        found = made(ours, name, parameter, WRONG[wrong]())
        if isinstance(due, Mapping):
            assert found == due, wrong
        else:
            assert isinstance(found, Mapping) or found == "InvalidInputException", wrong


@pytest.mark.parametrize("kind", [POLLING, "AuthDatafilePollingConfigManager"])
@pytest.mark.parametrize("parameter", POLLING_CASES)
def test_a_polling_manager_is_made_or_says_what_is_wrong(kind: str, parameter: str) -> None:
    invalid = ours.module("exceptions").InvalidInputException
    right: dict[str, Any] = {"sdk_key": "key", "url_template": NOWHERE, "blocking_timeout": 0}
    right |= {"datafile_access_token": "token"} if kind != POLLING else {}
    for wrong, value in by_name(WRONG):
        arguments = {**right, "datafile": TEXT, "logger": silent(), parameter: value}
        try:
            manager = getattr(ours.module("config_manager"), kind)(**arguments)
        except invalid as error:
            message = str(error)
        else:
            message = "made"
            assert manager.get_config() is not None or parameter == "datafile", wrong
            manager.stop()
        assert 0 < len(message) < 1_000, wrong


@pytest.mark.parametrize("setter", ["set_update_interval", "set_blocking_timeout"])
def test_a_polling_manager_takes_the_intervals_that_the_official_one_takes(setter: str) -> None:
    managers = [
        getattr(sdk.module("config_manager"), POLLING)(
            sdk_key="key", datafile=TEXT, url_template=NOWHERE, logger=silent()
        )
        for sdk in (theirs, ours)
    ]
    name = setter.removeprefix("set_")
    for wrong in WRONG:
        taken: list[Any] = []
        for manager in managers:
            setattr(manager, name, 77)
            try:
                getattr(manager, setter)(WRONG[wrong]())
            except Exception as error:  # noqa: BLE001 - whatever it is
                taken.append(type(error).__name__)
            else:
                taken.append(getattr(manager, name))
        if wrong in NO_INTERVAL or str(taken[0])[:400].endswith("Error"):
            assert taken[1] in ("InvalidInputException", 7), wrong  # or a number all the same
        else:
            assert taken[1] == taken[0], wrong
    for manager in managers:
        manager.stop()


def test_an_access_token_is_text_that_is_not_empty() -> None:
    invalid = ours.module("exceptions").InvalidInputException
    refused = set()
    for wrong, value in by_name(WRONG):
        kind = ours.module("config_manager").AuthDatafilePollingConfigManager
        try:
            kind(value, sdk_key="key", datafile=TEXT, url_template=NOWHERE, logger=silent()).stop()
        except invalid:
            refused.add(wrong)
    assert refused >= ABSENT


def test_a_user_context_made_by_hand_takes_what_it_gets() -> None:
    kind = ours.module("optimizely_user_context").OptimizelyUserContext
    processor = ours.ForwardingEventProcessor(Dispatcher())
    client = ours.module("optimizely").Optimizely(TEXT, logger=silent(), event_processor=processor)
    for parameter in ("logger", "user_id", "user_attributes", "identify"):
        for wrong, value in by_name(WRONG):
            right = {"optimizely_client": client, "logger": silent(), "user_id": "user"}
            user = kind(**{**right, parameter: value})
            assert user.decide("tested").variation_key == "test_on", wrong
            assert type(user.user_id) is str
    client.close()


def test_the_user_id_of_a_context_made_by_hand_is_its_text() -> None:
    tracked = []
    for sdk in (theirs, ours):
        dispatcher = Dispatcher()
        processor = sdk.ForwardingEventProcessor(dispatcher)
        client = sdk.module("optimizely").Optimizely(
            TEXT, logger=silent(), event_processor=processor
        )
        kind = sdk.module("optimizely_user_context").OptimizelyUserContext
        user = kind(client, silent(), 7)
        assert user.decide("tested").variation_key == "test_on"
        user.track_event("purchase")
        tracked.append([visitor for event in dispatcher.batches for visitor in event])
        client.close()
    assert tracked == [[7], ["7", "7"]]
