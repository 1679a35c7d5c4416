"""The official SDK and ours side by side: the same calls, and what each answers, tells and sends.

Ours twice: the native client, and the drop-in, which the very code for the official SDK drives.
"""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from both_sdks import OFFICIAL, OURS, Sdk
from datafiles import Guest
from sinks import Mailbox
from tallybook import (
    Client,
    Decision,
    DecisionContext,
    ForcedDecision,
    InputError,
    NotificationType,
    TallybookError,
)
from tallybook.deliver.settings import DeliverySettings

VARYING = ("uuid", "timestamp", "client_name", "client_version")
TOLD = (NotificationType.TRACK, NotificationType.DECISION, NotificationType.ACTIVATE)
# What the official SDK raises for malformed conditions and versions, where ours answers.
RAISED = (IndexError, TypeError, ValueError)
# Holdouts are a class of their own in the official SDK; and of variations that share a key only
# the one that counts is known to ours.
NOT_COMPARED = (
    *("layerId", "forcedVariations", "groupId", "groupPolicy", "cmab", "type"),
    *("included_rules", "exclude_targeted_deliveries", "variations"),
)
EXCEPTIONS = {
    "attribute": "InvalidAttributeException",
    "attributes": "InvalidAttributeException",
    "audience": "InvalidAudienceException",
    "event": "InvalidEventException",
    "event_tags": "InvalidEventTagException",
    "experiment": "InvalidExperimentException",
    "variation": "InvalidVariationException",
}


class Side:
    """One SDK with one datafile: what it told, sent, complained of and asked of the profiles."""

    client: Any

    def __init__(self, profiles: dict[str, Any] | None) -> None:
        self.profiles = copy.deepcopy(profiles)
        self.told: list[Any] = []
        self.sent: list[Any] = []
        self.errors: list[str] = []
        self.asked: list[Any] = []
        self.users: dict[int, Any] = {}

    def lookup(self, user_id: str) -> Any:
        self.asked.append(["lookup", user_id])
        assert self.profiles is not None
        return self.profiles.get(user_id)

    def save(self, profile: dict[str, Any]) -> None:
        self.asked.append(["save", copy.deepcopy(profile)])
        assert self.profiles is not None
        self.profiles[profile["user_id"]] = copy.deepcopy(profile)

    def listen(self, kind: NotificationType) -> Callable[..., None]:
        def listener(*args: Any) -> None:
            if kind is NotificationType.ACTIVATE:
                rule, user_id, attributes, variation, event = args
                args = (*self.activated(rule, variation), user_id, attributes, event)
            self.told.append([kind.name, *plain(args)])

        return listener

    def activated(self, rule: Any, variation: Any) -> tuple[Any, Any]:
        """A rule and a variation by what both SDKs call by the same names."""
        shown = variation if isinstance(variation, dict) else vars_of(variation)
        return (rule.id, rule.key, rule.status), shown and (shown["id"], shown["key"])

    def take(self) -> dict[str, list[Any]]:
        """What has happened since this was last asked."""
        taken = {
            "told": self.told,
            "sent": self.sent,
            "errors": self.errors,
            "profiles": self.asked,
        }
        self.told, self.sent, self.errors, self.asked = [], [], [], []
        return {name: plain(events) for name, events in taken.items()}


class OfficialSide(Side):
    """The official SDK, or whatever else has its modules."""

    prefix = OFFICIAL

    def __init__(self, text: str, profiles: dict[str, Any] | None, options: list[str]) -> None:
        super().__init__(profiles)
        sdk = Sdk(self.prefix)
        self._context = sdk.module("optimizely_user_context").OptimizelyUserContext
        self.client = sdk.module("optimizely").Optimizely(
            text,
            event_processor=sdk.ForwardingEventProcessor(self),
            logger=silent(),
            error_handler=self,
            user_profile_service=self if profiles is not None else None,
            default_decide_options=options,
        )
        assert self.client.config_manager.get_config() is not None, "the datafile was refused"
        for kind in TOLD:
            center = self.client.notification_center
            center.add_notification_listener(
                getattr(sdk.NotificationTypes, kind.name), self.listen(kind)
            )

    def dispatch_event(self, event: Any) -> None:
        self.sent.append([event.url, event.params])

    def handle_error(self, error: Exception) -> None:
        self.errors.append(type(error).__name__)

    def user(self, number: int, guest: Guest) -> Any:
        if number not in self.users:
            user = self.client.create_user_context(guest.user_id, guest.attributes)
            user.set_qualified_segments(guest.segments)
            for (flag, rule), variation in guest.forced.items():
                user.set_forced_decision(
                    self._context.OptimizelyDecisionContext(flag, rule),
                    self._context.OptimizelyForcedDecision(variation),
                )
            self.users[number] = user
        return self.users[number]

    def close(self) -> None:
        self.client.close()


class FullyOfficialSide(OfficialSide):
    """The same, told apart also by what only the official names show."""

    def activated(self, rule: Any, variation: Any) -> tuple[Any, Any]:
        known = {k: v for k, v in sorted(vars(rule).items()) if k not in NOT_COMPARED}
        if known["audienceConditions"] is None:  # then the ids count, which they may repeat
            known["audienceConditions"] = known["audienceIds"]
        if isinstance(variation, dict):
            return known, ["dict", sorted({"featureEnabled": False, **variation}.items())]
        return known, variation and vars(variation)


class DropInSide(FullyOfficialSide):
    """Ours, by the official names."""

    prefix = OURS


class OurSide(Side):
    """Ours, the native client."""

    def __init__(self, text: str, profiles: dict[str, Any] | None, options: list[str]) -> None:
        super().__init__(profiles)
        self.mailbox = Mailbox()
        self.client = Client(
            text,
            http=self.mailbox,
            delivery=DeliverySettings(flush_interval_s=30),
            error_handler=self.handle_error,
            user_profile_service=self if profiles is not None else None,
            default_decide_options=options,
        )
        for kind in TOLD:
            self.client.notifications.add_notification_listener(kind, self.listen(kind))

    def handle_error(self, error: TallybookError) -> None:
        assert isinstance(error, InputError)
        self.errors.append(EXCEPTIONS[error.subject])

    def user(self, number: int, guest: Guest) -> Any:
        if number not in self.users:
            user = self.client.create_user_context(guest.user_id, guest.attributes)
            user.set_qualified_segments(guest.segments)
            for place, variation in guest.forced.items():
                user.set_forced_decision(DecisionContext(*place), ForcedDecision(variation))
            self.users[number] = user
        return self.users[number]

    def take(self) -> dict[str, list[Any]]:
        assert self.client.flush(10)
        for url, body in zip(self.mailbox.urls, self.mailbox.bodies, strict=True):
            self.sent += [[url, body | {"visitors": [visitor]}] for visitor in body["visitors"]]
        self.mailbox.urls.clear()
        self.mailbox.bodies.clear()
        return super().take()

    def close(self) -> None:
        self.client.close(5)


def plain(value: Any) -> Any:
    """The value without what differs from call to call, decisions as JSON with kinds of reasons."""
    if isinstance(value, Decision) or hasattr(value, "rule_key"):
        return plain(value.as_json())
    if isinstance(value, dict):
        return {
            k: "*" if k in VARYING else plain(v) for k, v in value.items() if k != "reasons"
        } | {k: bool(v) for k, v in value.items() if k == "reasons"}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def copied(value: Any) -> Any:
    """The value with containers of its own; what is in them is shared."""
    if type(value) is dict:
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if type(value) is list else value


def described(config: Any) -> Any:
    """An OptimizelyConfig of either SDK as plain data."""
    if isinstance(config, msgspec.Struct):
        return described(msgspec.structs.asdict(config))
    if hasattr(config, "__dict__"):
        return {name.lstrip("_"): described(value) for name, value in vars(config).items()}
    if isinstance(config, dict):
        return {key: described(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return [described(value) for value in config]
    return config


def vars_of(value: Any) -> dict[str, Any] | None:
    return None if value is None else {"id": value.id, "key": value.key}


def silent() -> logging.Logger:
    logger = logging.getLogger("official silent")
    logger.propagate = False
    logger.setLevel(logging.CRITICAL)
    logger.handlers = [logging.NullHandler()]
    return logger


def as_text(value: Any) -> str:
    """For comparing: NaN is not equal to itself, and 1 is equal to True."""
    try:
        return json.dumps(value)
    except (TypeError, ValueError):
        return repr(value)
