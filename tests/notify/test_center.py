from __future__ import annotations

import logging
import threading

import pytest

from tallybook.notify import NotificationCenter, NotificationType

DECISION, TRACK = NotificationType.DECISION, NotificationType.TRACK


def test_listeners_are_called_in_order_with_the_arguments() -> None:
    center, calls = NotificationCenter(), []
    center.add_notification_listener(TRACK, lambda *args: calls.append(("first", args)))
    center.add_notification_listener(TRACK, lambda *args: calls.append(("second", args)))
    center.send_notifications(TRACK, 1, "two")
    assert calls == [("first", (1, "two")), ("second", (1, "two"))]


def test_types_are_the_opaque_strings_people_pass_literally() -> None:
    center, calls = NotificationCenter(), []
    literal = "TRACK:event_key, user_id, attributes, event_tags, event"
    assert center.add_notification_listener(literal, calls.append) == 1
    center.send_notifications(TRACK, "told")
    assert calls == ["told"]
    assert {kind.value for kind in NotificationType} == {
        "ACTIVATE:experiment, user_id, attributes, variation, event",
        "DECISION:type, user_id, attributes, decision_info",
        "OPTIMIZELY_CONFIG_UPDATE",
        "TRACK:event_key, user_id, attributes, event_tags, event",
        "LOG_EVENT:log_event",
    }


def test_ids_count_from_one_across_types_and_are_not_used_again() -> None:
    center = NotificationCenter()
    assert center.add_notification_listener(TRACK, print) == 1
    assert center.add_notification_listener(DECISION, print) == 2
    assert center.remove_notification_listener(2)
    assert center.add_notification_listener(DECISION, print) == 3


@pytest.mark.parametrize("unknown", ["SOMETHING", None, [], 7])
def test_an_unknown_type_is_refused_and_logged(
    unknown: object, caplog: pytest.LogCaptureFixture
) -> None:
    center = NotificationCenter()
    assert center.add_notification_listener(unknown, print) == -1  # type: ignore[arg-type]
    center.send_notifications(unknown)  # type: ignore[arg-type]
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2


def test_the_same_callback_is_refused_a_second_time_for_one_type_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    center = NotificationCenter()
    assert center.add_notification_listener(TRACK, print) == 1
    assert center.add_notification_listener(TRACK, print) == -1
    assert center.add_notification_listener(DECISION, print) == 2
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_a_raising_listener_is_logged_and_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    center, calls = NotificationCenter(), []

    def broken(*args: object) -> None:
        raise ValueError("broken listener")

    center.add_notification_listener(TRACK, broken)
    center.add_notification_listener(TRACK, calls.append)
    center.send_notifications(TRACK, 1)
    assert calls == [1]
    assert "broken listener" in caplog.text
    assert caplog.records[0].levelno == logging.ERROR


def test_removing_answers_whether_there_was_one() -> None:
    center = NotificationCenter()
    listener_id = center.add_notification_listener(TRACK, print)
    assert center.remove_notification_listener(listener_id)
    assert not center.remove_notification_listener(listener_id)
    assert not center.has_listeners(TRACK)


def test_clearing_one_type_leaves_the_others() -> None:
    center = NotificationCenter()
    center.add_notification_listener(TRACK, print)
    center.add_notification_listener(DECISION, print)
    center.clear_notification_listeners(TRACK)
    assert not center.has_listeners(TRACK)
    assert center.has_listeners(DECISION)
    center.clear_all_notification_listeners()
    assert not center.has_listeners(DECISION)


def test_clearing_an_unknown_type_is_logged_and_makes_it_known(
    caplog: pytest.LogCaptureFixture,
) -> None:
    center = NotificationCenter()
    center.clear_notification_listeners("NEW")
    center.clear_notification_listeners([])  # type: ignore[arg-type]
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert center.add_notification_listener("NEW", print) == 1


def test_the_table_that_is_shown_is_a_copy() -> None:
    center = NotificationCenter()
    center.add_notification_listener(TRACK, print)
    shown = center.notification_listeners
    assert shown[TRACK] == [(1, print)]
    shown[TRACK].clear()
    assert center.has_listeners(TRACK)


def test_a_listener_may_remove_itself_while_it_is_called() -> None:
    center, calls = NotificationCenter(), []

    def once(value: int) -> None:
        calls.append(value)
        center.remove_notification_listener(1)

    center.add_notification_listener(TRACK, once)
    center.add_notification_listener(TRACK, calls.append)
    center.send_notifications(TRACK, 1)
    center.send_notifications(TRACK, 2)
    assert calls == [1, 1, 2]


def test_threads_that_add_at_once_get_different_ids() -> None:
    center, ids = NotificationCenter(), []
    barrier = threading.Barrier(8)

    def add() -> None:
        barrier.wait()
        ids.extend(center.add_notification_listener(TRACK, lambda: None) for _ in range(200))

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ids) == list(range(1, 1601))
