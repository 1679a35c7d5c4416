"""A listener takes what its type of notification is called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, assert_type

from tallybook import Client, NotificationType
from tallybook.model.project import Experiment, Variation
from tallybook.notify import (
    ActivateListener,
    AnyListener,
    DecisionListener,
    LogEvent,
    LogEventListener,
    NotificationCenter,
    TrackListener,
    UpdateListener,
)


def on_decision(
    kind: str, user_id: str, attributes: dict[str, Any], decision_info: dict[str, Any]
) -> None:
    print(kind, user_id, attributes, decision_info["flag_key"])


def on_track(
    event_key: str,
    user_id: str,
    attributes: Mapping[str, object] | None,
    event_tags: Mapping[str, object] | None,
    event: Mapping[str, Any],
) -> None:
    print(event_key, user_id, attributes, event_tags, event["params"])


def on_activate(
    experiment: Experiment,
    user_id: str,
    attributes: dict[str, Any] | None,
    variation: Variation | None,
    event: dict[str, Any],
) -> None:
    print(experiment.key, user_id, attributes, variation.key if variation else None, event)


def on_log_event(log_event: LogEvent) -> None:
    assert_type(log_event.url, str)
    assert_type(log_event.params, Mapping[str, Any])
    assert_type(log_event.http_verb, str)
    assert_type(log_event.headers, Mapping[str, str])
    log_event.url = "http://elsewhere"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def on_update() -> bool:
    return True


def on_anything(*args: object) -> None:
    print(*args)


def listen(client: Client, kind: NotificationType, name: str) -> None:
    center = client.notifications
    assert_type(center, NotificationCenter)
    assert_type(center.add_notification_listener(NotificationType.DECISION, on_decision), int)
    assert_type(center.add_notification_listener(NotificationType.TRACK, on_track), int)
    assert_type(center.add_notification_listener(NotificationType.ACTIVATE, on_activate), int)
    assert_type(center.add_notification_listener(NotificationType.LOG_EVENT, on_log_event), int)
    center.add_notification_listener(NotificationType.OPTIMIZELY_CONFIG_UPDATE, on_update)
    center.add_notification_listener(
        notification_type=NotificationType.DECISION,
        callback=lambda kind, user_id, attributes, info: print(kind, user_id, attributes, info),
    )
    center.add_notification_listener(NotificationType.TRACK, on_anything)
    center.add_notification_listener(kind, on_anything)
    center.add_notification_listener(name, on_anything)

    center.add_notification_listener(NotificationType.DECISION, on_track)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    center.add_notification_listener(NotificationType.TRACK, on_decision)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    center.add_notification_listener(NotificationType.ACTIVATE, on_track)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    center.add_notification_listener(NotificationType.LOG_EVENT, on_update)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    center.add_notification_listener(NotificationType.OPTIMIZELY_CONFIG_UPDATE, on_log_event)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    center.add_notification_listener(kind, on_decision)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    center.add_notification_listener(5, on_anything)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    center.add_notification_listener(NotificationType.TRACK)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    NotificationType.UNKNOWN  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def listeners() -> tuple[
    DecisionListener,
    TrackListener,
    ActivateListener,
    LogEventListener,
    UpdateListener,
    AnyListener,
]:
    return on_decision, on_track, on_activate, on_log_event, on_update, on_anything


def stop_listening(client: Client) -> None:
    center = client.notifications
    assert_type(center.remove_notification_listener(1), bool)
    assert_type(center.remove_notification_listener(notification_id=1), bool)
    assert_type(center.has_listeners(NotificationType.TRACK), bool)
    of_conversions = center.listeners_of(NotificationType.TRACK)
    assert_type(of_conversions, Sequence[tuple[int, Callable[..., object]]])
    center.clear_notification_listeners(NotificationType.TRACK)
    center.clear_all_notification_listeners()
    for kind, pairs in center.notification_listeners.items():
        assert_type(kind, str)
        for listener_id, callback in pairs:
            assert_type(listener_id, int)
            assert_type(callback("anything"), object)
    center.send_notifications(NotificationType.OPTIMIZELY_CONFIG_UPDATE)
    center.send_notifications("OPTIMIZELY_CONFIG_UPDATE", "user", 5)

    center.send_notifications(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    center.remove_notification_listener("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    center.clear_notification_listeners(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
