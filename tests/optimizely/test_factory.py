"""Clients of the factory: every test is asked of the official package and of ours."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from both_sdks import Dispatcher, Sdk, Spoken
from shop import datafile

TEXT = json.dumps(datafile())
SETTINGS = (
    *("max_event_batch_size", "max_event_flush_interval", "polling_interval", "blocking_timeout"),
    *("cmab_cache_size", "cmab_cache_ttl", "cmab_custom_cache"),
)


@pytest.fixture
def factory(sdk: Sdk) -> Iterator[Any]:
    """The factory, whose settings are as before in the end."""
    factory = sdk.module("optimizely_factory").OptimizelyFactory
    yield factory
    for name in SETTINGS:
        setattr(factory, name, None)


def test_settings_hold_for_every_client_made_from_then_on(sdk: Sdk, factory: Any) -> None:
    assert factory.set_batch_size(7) == 7
    assert factory.set_flush_interval(8) == 8
    assert factory.set_polling_interval(40) == 40
    assert factory.set_blocking_timeout(5) == 5
    for client in (factory.default_instance("key", TEXT), factory.custom_instance("key", TEXT)):
        processor, manager = client.event_processor, client.config_manager
        assert isinstance(processor, sdk.BatchEventProcessor)
        assert processor.batch_size == 7
        assert processor.flush_interval.total_seconds() == 8
        assert isinstance(manager, sdk.module("config_manager").PollingConfigManager)
        assert (manager.update_interval, manager.blocking_timeout) == (40, 5)
        assert manager.datafile_url == "https://cdn.optimizely.com/datafiles/key.json"
        assert client.get_variation("test", "user") == "test_on"
        client.close()


def test_without_settings_the_defaults_of_each_part_hold(factory: Any) -> None:
    client = factory.default_instance("key", datafile=TEXT)
    processor, manager = client.event_processor, client.config_manager
    assert (processor.batch_size, processor.flush_interval.total_seconds()) == (10, 30)
    assert (manager.update_interval, manager.blocking_timeout) == (300, 10)
    client.close()


def test_a_client_has_what_it_was_given(sdk: Sdk, factory: Any) -> None:
    manager = sdk.module("config_manager").StaticConfigManager(TEXT)
    handler, profiles = sdk.module("error_handler").NoOpErrorHandler(), object()
    logger, center, dispatcher = (
        logging.getLogger("factory"),
        sdk.NotificationCenter(),
        Dispatcher(),
    )
    settings = sdk.module("helpers.sdk_settings").OptimizelySdkSettings(True)
    client = factory.custom_instance(
        "key", TEXT, dispatcher, logger, handler, True, profiles, manager, center, settings
    )
    given = (client.config_manager, client.error_handler, client.user_profile_service)
    assert given == (manager, handler, profiles)
    assert (client.logger, client.notification_center) == (logger, center)
    assert (client.event_dispatcher, client.sdk_settings) == (dispatcher, settings)
    assert client.event_processor.event_dispatcher is dispatcher
    assert client.event_processor.notification_center is center
    client.close()


def test_a_config_manager_alone_makes_a_usual_client(sdk: Sdk, factory: Any) -> None:
    factory.set_batch_size(7)
    manager = sdk.module("config_manager").StaticConfigManager(TEXT)
    client = factory.default_instance_with_config_manager(manager)
    assert client.config_manager is manager
    assert client.event_processor.batch_size == 1
    assert client.event_processor.is_running
    client.close()


@pytest.mark.parametrize("value", [0, -1, "7", None, 1.5, []])
def test_the_size_of_a_cache_is_a_positive_whole_number(factory: Any, value: Any) -> None:
    spoken = Spoken()
    assert factory.set_cmab_cache_size(5) == 5
    assert factory.set_cmab_cache_size(value, spoken) is None
    assert factory.cmab_cache_size == 5
    assert spoken.levels() == ["error"]


@pytest.mark.parametrize("value", [0, -1, "7", None, []])
def test_the_age_of_a_cache_is_a_positive_number(factory: Any, value: Any) -> None:
    spoken = Spoken()
    assert factory.set_cmab_cache_ttl(5.7) == 5
    assert factory.set_cmab_cache_ttl(value, spoken) is None
    assert factory.cmab_cache_ttl == 5
    assert spoken.levels() == ["error"]


def test_a_cache_of_ones_own_is_kept(factory: Any) -> None:
    cache = object()
    assert factory.set_cmab_custom_cache(cache) is cache
    assert factory.cmab_custom_cache is cache


def test_our_clients_send_events_without_being_started(ours: Sdk) -> None:
    dispatcher = Dispatcher()
    manager = ours.module("config_manager").StaticConfigManager(TEXT)
    factory = ours.module("optimizely_factory").OptimizelyFactory
    client = factory.custom_instance("key", event_dispatcher=dispatcher, config_manager=manager)
    client.track("purchase", "user")
    client.close()
    assert dispatcher.visitors == ["user"]
