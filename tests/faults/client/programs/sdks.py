"""Each SDK with the settings it has by itself, behind the same three doors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

USERS: Final = 50


class Sdk(Protocol):
    def track(self, n: int) -> object: ...
    def close(self) -> object: ...
    def stats(self) -> Mapping[str, Any]: ...


class Peer:
    """Others do not tell what became of events."""

    def stats(self) -> Mapping[str, Any]:
        return {}


class Tallybook:
    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        from tallybook import Client
        from tallybook.client import DeliverySettings
        from tallybook.deliver import disk_journal

        if "look_s" in options:
            disk_journal.LOOK_S = options["look_s"]  # type: ignore[misc]
        self.client = Client(
            Path(options["datafile"]).read_bytes(),
            server_url=url,
            journal=options["journal"],
            delivery=DeliverySettings(**options.get("delivery", {})),
        )
        self._users = [self.client.create_user_context(f"user-{n}") for n in range(USERS)]
        if options.get("decides"):
            for user in self._users:
                user.decide("checkout")

    def track(self, n: int) -> None:
        self._users[n % USERS].track_event("purchase", {"n": n})

    def close(self) -> None:
        self.client.close(timeout_s=120)

    def stats(self) -> Mapping[str, Any]:
        from msgspec.structs import asdict

        stats = asdict(self.client.delivery_stats())
        return {k: dict(v) if isinstance(v, Mapping) else v for k, v in stats.items()}


class Official(Peer):
    """A batch processor made by hand: it sends ten events a request, the client's own sends one."""

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        from optimizely import optimizely
        from optimizely.event.event_processor import BatchEventProcessor
        from optimizely.event_dispatcher import EventDispatcher

        class Redirected:
            @staticmethod
            def dispatch_event(event: Any) -> None:
                event.url = f"{url}/v1/events"
                EventDispatcher.dispatch_event(event)

        self._client = optimizely.Optimizely(
            Path(options["datafile"]).read_text("utf-8"),
            event_processor=BatchEventProcessor(Redirected, start_on_init=True),
        )
        self._users = [self._client.create_user_context(f"user-{n}") for n in range(USERS)]

    def track(self, n: int) -> None:
        self._users[n % USERS].track_event("purchase", {"n": n})

    def close(self) -> None:
        self._client.close()


class Posthog(Peer):
    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        from posthog import Posthog as Client

        self._client = Client("key", host=url)

    def track(self, n: int) -> None:
        self._client.capture("purchase", distinct_id=f"user-{n % USERS}", properties={"n": n})

    def close(self) -> None:
        self._client.shutdown()


class Segment(Peer):
    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        from segment.analytics.client import Client

        self._client = Client("key", host=url)

    def track(self, n: int) -> None:
        self._client.track(f"user-{n % USERS}", "purchase", {"n": n})

    def close(self) -> None:
        self._client.shutdown()


class Snowplow(Peer):
    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        from snowplow_tracker import AsyncEmitter, StructuredEvent, Tracker

        logging.getLogger("snowplow_tracker").setLevel(logging.ERROR)
        place = urlsplit(url)
        emitter = AsyncEmitter(str(place.hostname), protocol="http", port=place.port)
        self._client = Tracker("shop", emitter)
        self._event = StructuredEvent

    def track(self, n: int) -> None:
        self._client.track(self._event("shop", "purchase", label=str(n)))

    def close(self) -> None:
        self._client.flush()


class Growthbook(Peer):
    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        from growthbook import GrowthBook
        from growthbook.plugins import growthbook_tracking_plugin

        self._client = GrowthBook(
            attributes={"id": "user"},
            client_key="key",
            plugins=[growthbook_tracking_plugin(ingestor_host=url)],
        )

    def track(self, n: int) -> None:
        self._client.log_event("purchase", {"n": n})

    def close(self) -> None:
        self._client.destroy()


SDKS: Final[Mapping[str, Callable[[str, Mapping[str, Any]], Sdk]]] = {
    "tallybook": Tallybook,
    "optimizely": Official,
    "posthog": Posthog,
    "segment": Segment,
    "snowplow": Snowplow,
    "growthbook": Growthbook,
}
