"""Where the drop-in differs from the official package on purpose: the page's section about it."""

from __future__ import annotations

import gc
import importlib
import json
import re
import time
import weakref
from pathlib import Path
from typing import Any

import pytest

from both_sdks import OFFICIAL, OURS, Dispatcher, Sdk, Spoken
from shop import datafile, rule
from sinks import Answer, Sink

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "differences.md"
TEXT = json.dumps(datafile())
FOREVER = 3600
theirs, ours = Sdk(OFFICIAL), Sdk(OURS)


def client_of(sdk: Sdk, text: Any = TEXT, **options: Any) -> Any:
    options.setdefault("event_processor", sdk.ForwardingEventProcessor(Dispatcher()))
    return sdk.module("optimizely").Optimizely(text, **options)


def polling(sdk: Sdk, **options: Any) -> Any:
    options = {"url": "http://127.0.0.1:9/", "update_interval": FOREVER, **options}
    return sdk.module("config_manager").PollingConfigManager(**options)


def test_the_page_names_every_test_of_this_file() -> None:
    named = re.findall(r"`(test_\w+)`", PAGE.read_text("utf-8"))
    here = {name for name in globals() if name.startswith("test_")}
    assert here - {"test_the_page_names_every_test_of_this_file"} <= set(named)


def test_an_unusable_client_has_no_values_of_variables() -> None:
    with pytest.raises(AttributeError):
        client_of(theirs, config_manager=object()).get_feature_variable("tested", "colour", "user")
    client = client_of(ours, config_manager=object())
    for kind in ("", "_boolean", "_double", "_integer", "_string", "_json"):
        assert getattr(client, f"get_feature_variable{kind}")("tested", "colour", "user") is None
    assert client.get_all_feature_variables("tested", "user") is None


def test_a_stopped_manager_can_start_again() -> None:
    with Sink(otherwise=Answer(304)) as sink:
        manager = polling(theirs, url=sink.url)
        manager.stop()
        with pytest.raises(RuntimeError):
            manager.start()
        manager = polling(ours, url=sink.url)
        manager.stop()
        asked = len(sink.requests)
        manager.start()
        assert manager.is_running
        assert sink.wait_for(asked + 1)
        manager.stop()


def test_after_the_end_nobody_waits_for_a_datafile() -> None:
    waited = []
    for sdk in (theirs, ours):
        manager = polling(sdk, blocking_timeout=0.5)
        client = client_of(sdk, config_manager=manager)
        client.close()
        began = time.monotonic()
        assert client.activate("test", "user") is None
        waited.append(time.monotonic() - began >= 0.5)
    assert waited == [True, False]


def test_making_a_user_context_waits_for_nothing() -> None:
    waited = []
    for sdk in (theirs, ours):
        manager = polling(sdk, blocking_timeout=0.5)
        client = client_of(sdk, config_manager=manager)
        began = time.monotonic()
        assert client.create_user_context("user") is not None
        waited.append(time.monotonic() - began >= 0.5)
        client.close()
    assert waited == [True, False]


@pytest.mark.parametrize("section", ["accountId", "groups", "events", "attributes", "audiences"])
def test_a_datafile_is_checked_even_if_it_need_not_be(section: str) -> None:
    text = json.dumps({key: value for key, value in datafile().items() if key != section})
    configs = [
        client_of(sdk, text, skip_json_validation=True).config_manager.get_config()
        for sdk in (theirs, ours)
    ]
    assert [config is not None for config in configs] == [True, False]


@pytest.mark.parametrize(
    "changes",
    [
        {"anonymizeIP": "yes"},
        {"botFiltering": "yes"},
        {"region": 5},
        {"experiments": [rule(1, "test") | {"cmab": {"trafficAllocation": "all"}}, rule(2, "b")]},
    ],
    ids=str,
)
def test_a_field_of_the_wrong_type_refuses_the_datafile(changes: dict[str, Any]) -> None:
    text = json.dumps(datafile(**changes))
    configs = [client_of(sdk, text).config_manager.get_config() for sdk in (theirs, ours)]
    assert [config is not None for config in configs] == [True, False]


def test_no_typed_audiences_may_be_null() -> None:
    text = json.dumps(datafile(typedAudiences=None))
    assert client_of(theirs, text).activate("test", "user") is None
    assert client_of(ours, text).activate("test", "user") == "test_on"


def test_a_datafile_that_cannot_be_read_is_asked_for_again() -> None:
    asked = []
    for sdk in (theirs, ours):
        bad = Answer(200, b"{", {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"})
        with Sink([bad], otherwise=Answer(304)) as sink:
            manager = polling(sdk, url=sink.url)
            assert manager.get_config() is None
            manager.fetch_datafile()
            asked.append("if-modified-since" in sink.requests[1].headers)
            manager.stop()
    assert asked == [True, False]


def test_an_interval_that_is_no_number_is_refused() -> None:
    polling(theirs, update_interval=float("nan")).stop()
    with pytest.raises(ours.module("exceptions").InvalidInputException):
        polling(ours, update_interval=float("nan"))
    with pytest.raises(ours.module("exceptions").InvalidInputException):
        polling(ours, blocking_timeout=float("nan"))


def test_a_config_manager_needs_no_key() -> None:
    class Manager:
        def get_config(self) -> None:
            return None

    with pytest.raises(AttributeError):
        client_of(theirs, config_manager=Manager())
    assert client_of(ours, config_manager=Manager()).is_valid


def test_a_datafile_without_a_key_is_no_error() -> None:
    levels = []
    for sdk in (theirs, ours):
        spoken = Spoken()
        client_of(sdk, logger=spoken)
        levels.append("error" in spoken.levels())
    assert levels == [True, False]


@pytest.mark.parametrize("variation_key", [None, 5])
def test_a_forced_decision_that_cannot_be_is_refused(variation_key: Any) -> None:
    stored = []
    for sdk in (theirs, ours):
        user = client_of(sdk).create_user_context("user")
        place = user.OptimizelyDecisionContext("tested")
        decision = user.OptimizelyForcedDecision(variation_key)
        stored.append(user.set_forced_decision(place, decision))
        assert user.decide("tested").variation_key == "test_on"
    assert stored == [True, False]


def test_the_map_of_forced_decisions_is_a_copy() -> None:
    decided = []
    for sdk in (theirs, ours):
        user = client_of(sdk).create_user_context("user")
        place = user.OptimizelyDecisionContext("switched_off")
        user.set_forced_decision(place, user.OptimizelyForcedDecision("off_test_on"))
        user.forced_decisions_map.clear()
        decided.append(user.get_forced_decision(place))
    assert decided[0] is None
    assert decided[1].variation_key == "off_test_on"


def test_a_closed_client_is_let_go() -> None:
    kept = []
    for sdk in (theirs, ours):
        client = client_of(sdk, json.dumps(datafile(sdkKey=f"of {sdk.is_ours}")))
        client.close()
        still = weakref.ref(client)
        del client
        gc.collect()
        kept.append(still() is not None)
    assert kept == [True, False]


def test_a_holdout_activates_as_any_other_rule() -> None:
    dropped = ("layerId", "forcedVariations")
    holdout = {key: value for key, value in rule(9, "held").items() if key not in dropped}
    text, told = json.dumps(datafile(holdouts=[holdout])), []
    for sdk in (theirs, ours):
        client = client_of(sdk, text)
        kind = sdk.NotificationTypes.ACTIVATE
        client.notification_center.add_notification_listener(kind, lambda *args: told.append(args))
        client.create_user_context("user").decide("tested")
    assert [type(args[0]).__name__ for args in told] == ["Holdout", "Experiment"]
    assert [(args[0].key, args[3]["key"]) for args in told] == [("held", "held_on")] * 2


@pytest.mark.parametrize("module", ["bucketer", "decision_service", "event_builder", "lib.pymmh3"])
def test_private_parts_are_not_there(module: str) -> None:
    importlib.import_module(f"{OFFICIAL}.{module}")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"{OURS}.{module}")
    attributes = [set(vars(client_of(sdk))) for sdk in (theirs, ours)]
    assert {"decision_service", "event_builder"} <= attributes[0] - attributes[1]
