from __future__ import annotations

import logging
from typing import Any

import pytest

from both_sdks import Sdk, Spoken


def test_types_are_the_official_ones(official: Sdk, ours: Sdk) -> None:
    assert ours.NOTIFICATION_TYPES == official.NOTIFICATION_TYPES


def test_listeners_are_called_in_order_and_can_be_removed(sdk: Sdk) -> None:
    center, calls = sdk.NotificationCenter(), []
    track = sdk.NotificationTypes.TRACK
    first = center.add_notification_listener(track, lambda *args: calls.append(("first", args)))
    second = center.add_notification_listener(
        track, notification_callback=lambda *args: calls.append(("second", args))
    )
    assert (first, second) == (1, 2)
    center.send_notifications(track, 1, "two")
    assert center.remove_notification_listener(first)
    assert not center.remove_notification_listener(first)
    center.send_notifications(track, 3)
    assert calls == [("first", (1, "two")), ("second", (1, "two")), ("second", (3,))]


@pytest.mark.parametrize("alias", ["clear_notification_listeners", "clear_notifications"])
def test_one_type_is_cleared(sdk: Sdk, alias: str) -> None:
    center, told = sdk.NotificationCenter(), []
    types = sdk.NotificationTypes
    center.add_notification_listener(types.TRACK, told.append)
    center.add_notification_listener(types.DECISION, told.append)
    getattr(center, alias)(types.TRACK)
    center.send_notifications(types.TRACK, "track")
    center.send_notifications(types.DECISION, "decision")
    assert told == ["decision"]


@pytest.mark.parametrize("alias", ["clear_all_notification_listeners", "clear_all_notifications"])
def test_all_types_are_cleared(sdk: Sdk, alias: str) -> None:
    center, told = sdk.NotificationCenter(), []
    for kind in sdk.NOTIFICATION_TYPES:
        center.add_notification_listener(kind, lambda *args: told.append(args))
    assert {len(pairs) for pairs in center.notification_listeners.values()} == {1}
    getattr(center, alias)()
    for kind in sdk.NOTIFICATION_TYPES:
        center.send_notifications(kind)
    assert told == []
    assert set(map(len, center.notification_listeners.values())) == {0}


def test_listeners_can_be_looked_at(sdk: Sdk) -> None:
    center = sdk.NotificationCenter()
    assert set(center.notification_listeners) == set(sdk.NOTIFICATION_TYPES)
    center.add_notification_listener(sdk.NotificationTypes.TRACK, print)
    assert center.notification_listeners[sdk.NotificationTypes.TRACK] == [(1, print)]


def test_what_cannot_be_used_is_said_by_the_logger_that_was_given(sdk: Sdk, spoken: Spoken) -> None:
    center = sdk.NotificationCenter(spoken)
    assert center.logger is spoken
    assert center.add_notification_listener("UNKNOWN", print) == -1
    center.send_notifications("UNKNOWN")
    center.add_notification_listener(sdk.NotificationTypes.TRACK, print)
    assert center.add_notification_listener(sdk.NotificationTypes.TRACK, print) == -1
    assert spoken.levels() == ["error"] * 3


def test_a_listener_that_raises_stops_no_other(sdk: Sdk, spoken: Spoken) -> None:
    center, told = sdk.NotificationCenter(spoken), []

    def broken(*args: Any) -> None:
        raise RuntimeError

    center.add_notification_listener(sdk.NotificationTypes.TRACK, broken)
    center.add_notification_listener(sdk.NotificationTypes.TRACK, told.append)
    center.send_notifications(sdk.NotificationTypes.TRACK, 1)
    assert told == [1]
    assert spoken.levels() == ["exception"]


def test_without_a_logger_nothing_is_said(
    ours: Sdk, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        ours.NotificationCenter().send_notifications("UNKNOWN")
    assert caplog.records == []
    assert capsys.readouterr().err == ""


def test_the_listeners_that_can_be_looked_at_are_a_copy(ours: Sdk) -> None:
    center, told = ours.NotificationCenter(), []
    center.add_notification_listener(ours.NotificationTypes.TRACK, told.append)
    center.notification_listeners[ours.NotificationTypes.TRACK].clear()
    center.send_notifications(ours.NotificationTypes.TRACK, 1)
    assert told == [1]
