"""What a client can be told beyond whose project it is for, and what it borrows from the world."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypedDict

from tallybook.client.faults import ErrorHandler
from tallybook.client.memories import UserProfileService
from tallybook.deliver.answer import Http
from tallybook.deliver.settings import DeliverySettings, PollingSettings, Surroundings
from tallybook.errors import ConfigError

CLIENT_NAME: Final = "tallybook-python"
CLIENT_VERSION: Final = "0.1.0"


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """Everything that has a good default.

    Attributes:
        event_url: Where events go, whatever ``server_url`` and the project's region say.
        datafile_url: Where the datafile is polled; ``{sdk_key}`` in it is filled in.
        datafile_access_token: Sent as a bearer token with each poll.
        default_decide_options: Options every decide call has, besides its own.
        delivery: Batching, retrying, bounds.
        polling: How often the datafile is asked for.
        client_name: How events name the SDK that sent them.
        client_version: And its version.
        clock_ms: The present, in milliseconds since the epoch.
        new_uuid: A new event's identity, as text; random ones unless given.
        http: What carries requests; connections of its own unless given.
        surroundings: The clock and the chance that delivery and polling wait by.
        user_profile_service: Where visitors' variations are kept, so that they stay; called by
            the thread that decides.
        error_handler: Called with what a call came upon and could not use, beside the log line;
            what it raises reaches the caller.
    """

    event_url: str | None = None
    datafile_url: str | None = None
    datafile_access_token: str | None = None
    default_decide_options: Sequence[str] = ()
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    polling: PollingSettings = field(default_factory=PollingSettings)
    client_name: str = CLIENT_NAME
    client_version: str = CLIENT_VERSION
    clock_ms: Callable[[], int] = now_ms
    new_uuid: Callable[[], str] | None = None
    http: Http | None = None
    surroundings: Surroundings = field(default_factory=Surroundings)
    user_profile_service: UserProfileService | None = None
    error_handler: ErrorHandler | None = None

    def __post_init__(self) -> None:
        for name, (is_usable, expected) in _CHECKS.items():
            value = getattr(self, name)
            if not is_usable(value):  # found values are not shown: a token is among them
                raise ConfigError(f"{name}: expected {expected}, found {type(value).__name__}")


def _are_options(value: object) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(option, str) for option in value)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_http(value: object) -> bool:
    return all(callable(getattr(value, name, None)) for name in ("post", "get", "abandon"))


def _keeps_profiles(value: object) -> bool:
    return all(callable(getattr(value, name, None)) for name in ("lookup", "save"))


_CHECKS: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = {
    "datafile_access_token": (lambda value: value is None or _is_text(value), "a string"),
    "default_decide_options": (_are_options, "a list of decide options"),
    "delivery": (lambda value: isinstance(value, DeliverySettings), "DeliverySettings"),
    "polling": (lambda value: isinstance(value, PollingSettings), "PollingSettings"),
    "client_name": (_is_text, "a string"),
    "client_version": (_is_text, "a string"),
    "clock_ms": (callable, "a function"),
    "new_uuid": (lambda value: value is None or callable(value), "a function"),
    "http": (lambda value: value is None or _is_http(value), "an object with post, get, abandon"),
    "surroundings": (lambda value: isinstance(value, Surroundings), "Surroundings"),
    "user_profile_service": (
        lambda value: value is None or _keeps_profiles(value),
        "an object with lookup, save",
    ),
    "error_handler": (lambda value: value is None or callable(value), "a function"),
}


class ClientOptions(TypedDict, total=False):
    """The fields of :class:`ClientSettings`, to be given as keywords."""

    event_url: str | None
    datafile_url: str | None
    datafile_access_token: str | None
    default_decide_options: Sequence[str]
    delivery: DeliverySettings
    polling: PollingSettings
    client_name: str
    client_version: str
    clock_ms: Callable[[], int]
    new_uuid: Callable[[], str] | None
    http: Http | None
    surroundings: Surroundings
    user_profile_service: UserProfileService | None
    error_handler: ErrorHandler | None
