"""The official package and ours by the same names, and what is plugged into either."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

OFFICIAL, OURS = "optimizely", "tallybook.optimizely"


class Sdk:
    """One package's modules by their official names, and events made of them."""

    def __init__(self, prefix: str) -> None:
        self.is_ours = prefix == OURS
        self._prefix = prefix

    def module(self, name: str) -> ModuleType:
        return importlib.import_module(f"{self._prefix}.{name}")

    def __getattr__(self, name: str) -> Any:
        for place in PLACES:
            if hasattr(self.module(place), name):
                return getattr(self.module(place), name)
        raise AttributeError(name)

    def context(self, **changes: Any) -> Any:
        values = {
            "account_id": "account",
            "project_id": "project",
            "revision": "7",
            "anonymize_ip": True,
            "region": "US",
        }
        return self.EventContext(**{**values, **changes})

    def conversion(
        self,
        user_id: str = "user",
        tags: Any = None,
        *,
        context: Any = None,
        attributes: Any = (),
        event: Any = ("501", "purchase"),
    ) -> Any:
        return self.ConversionEvent(
            context or self.context(),
            event and self.Event(*event, []),
            user_id,
            [self.VisitorAttribute(*attribute) for attribute in attributes],
            tags,
        )

    def experiment(self, **changes: Any) -> Any:
        values = {
            "id": "100",
            "key": "test",
            "status": "Running",
            "audienceIds": [],
            "variations": [],
            "forcedVariations": {},
            "trafficAllocation": [],
            "layerId": "110",
        }
        return self.Experiment(**{**values, **changes})

    def impression(self, user_id: str = "user", **changes: Any) -> Any:
        values = {
            "event_context": self.context(),
            "experiment": self.experiment(),
            "visitor_attributes": [],
            "variation": self.Variation("101", "on"),
            "flag_key": "flag",
            "rule_key": "test",
            "rule_type": "feature-test",
            "enabled": True,
        }
        return self.ImpressionEvent(user_id=user_id, **{**values, **changes})


PLACES = (
    "event.event_processor",
    "event.event_factory",
    "event.user_event",
    "event.payload",
    "event.log_event",
    "entities",
    "event_dispatcher",
    "logger",
    "notification_center",
    "user_profile",
    "helpers.enums",
)


class Dispatcher:
    """Keeps what it is to dispatch; ``otherwise`` may raise or take its time."""

    def __init__(self, otherwise: Callable[[Any], object] = bool) -> None:
        self.events: list[Any] = []
        self.otherwise = otherwise
        self._changed = threading.Condition()

    def dispatch_event(self, event: Any) -> None:
        self.otherwise(event)
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait_for(self, visitors: int, timeout_s: float = 20) -> bool:
        """True once events of so many visitors have come."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.visitors) >= visitors, timeout_s)

    @property
    def batches(self) -> list[list[str]]:
        """The visitors' ids, batch by batch."""
        return [[v["visitor_id"] for v in event.params["visitors"]] for event in self.events]

    @property
    def visitors(self) -> list[str]:
        return [visitor for batch in self.batches for visitor in batch]


class Spoken:
    """A logger that is none of the standard library's, and what it was told."""

    def __init__(self) -> None:
        self.records: list[tuple[str, str]] = []

    def log(self, level: int, message: object) -> None:
        self.records.append(("log", str(message)))

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name in ("debug", "info", "warning", "error", "exception"):
            return lambda message, *_: self.records.append((name, str(message)))
        raise AttributeError(name)

    def levels(self) -> list[str]:
        return [level for level, _ in self.records]
