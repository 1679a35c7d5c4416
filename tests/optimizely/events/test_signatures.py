"""The names, arguments and defaults of what people import."""

from __future__ import annotations

import importlib
import inspect

import pytest

NAMES = {
    "event.event_processor": [
        "BaseEventProcessor.process",
        "BatchEventProcessor",
        "BatchEventProcessor.flush",
        "BatchEventProcessor.process",
        "BatchEventProcessor.start",
        "BatchEventProcessor.stop",
        "ForwardingEventProcessor",
        "ForwardingEventProcessor.process",
    ],
    "event.event_factory": ["EventFactory.create_log_event"],
    "event.user_event": ["EventContext", "UserEvent", "ImpressionEvent", "ConversionEvent"],
    "event.payload": ["VisitorAttribute"],
    "event.log_event": ["LogEvent"],
    "entities": ["Event", "Experiment", "Variation"],
    "event_dispatcher": [
        "CustomEventDispatcher.dispatch_event",
        "EventDispatcher.dispatch_event",
    ],
    "logger": [
        "BaseLogger.log",
        "BaseLogger.error",
        "BaseLogger.warning",
        "BaseLogger.info",
        "BaseLogger.debug",
        "BaseLogger.exception",
        "NoOpLogger",
        "SimpleLogger",
        "SimpleLogger.log",
        "adapt_logger",
        "reset_logger",
    ],
    "notification_center": [
        "NotificationCenter",
        "NotificationCenter.add_notification_listener",
        "NotificationCenter.remove_notification_listener",
        "NotificationCenter.clear_notification_listeners",
        "NotificationCenter.clear_notifications",
        "NotificationCenter.clear_all_notification_listeners",
        "NotificationCenter.clear_all_notifications",
        "NotificationCenter.send_notifications",
    ],
    "user_profile": [
        "UserProfile",
        "UserProfile.get_variation_for_experiment",
        "UserProfile.save_variation_for_experiment",
        "UserProfileService.lookup",
        "UserProfileService.save",
        "UserProfileTracker",
        "UserProfileTracker.get_user_profile",
        "UserProfileTracker.load_user_profile",
        "UserProfileTracker.save_user_profile",
        "UserProfileTracker.update_user_profile",
    ],
}
ALL = [(module, name) for module, names in NAMES.items() for name in names]
# The official default is one list, to which every call without an argument adds.
SHARED = "UserProfileTracker.load_user_profile"


def arguments(prefix: str, module: str, name: str) -> list[tuple[str, object, object]]:
    found = importlib.import_module(f"{prefix}.{module}")
    for part in name.split("."):
        found = getattr(found, part)
    parameters = inspect.signature(found).parameters.values()
    return [(each.name, each.kind, None if name == SHARED else each.default) for each in parameters]


@pytest.mark.parametrize(("module", "name"), ALL, ids=[f"{m}.{n}" for m, n in ALL])
def test_arguments_have_the_official_names_order_and_defaults(module: str, name: str) -> None:
    assert arguments("tallybook.optimizely", module, name) == arguments("optimizely", module, name)


def test_every_public_method_is_looked_at() -> None:
    for module, looked_at in NAMES.items():
        official = importlib.import_module(f"optimizely.{module}")
        classes = [
            (name, found)
            for name, found in vars(official).items()
            if inspect.isclass(found) and found.__module__ == official.__name__
        ]
        methods = {
            f"{name}.{method}"
            for name, found in classes
            for method, value in vars(found).items()
            if not method.startswith("_") and callable(getattr(value, "__func__", value))
        }
        assert methods - set(looked_at) <= NOT_OURS, module


# Parts that only the official package's own modules use.
NOT_OURS = {
    "EventFactory.build_attribute_list",
    "EventBatch.get_event_params",
    "Audience.get_segments",
    "BatchEventProcessor.Signal",
    "Experiment.get_audience_conditions_or_ids",
    "Experiment.get_default",
    "Holdout.Status",
    "Holdout.get",
    "Holdout.get_audience_conditions_or_ids",
    "Variable.Type",
    "Variation.VariableUsage",
}
