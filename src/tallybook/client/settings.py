"""What a client can be told beyond whose project it is for, and what it borrows from the world."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypedDict, cast

from msgspec import Struct, field
from msgspec.structs import force_setattr

from tallybook.client.addresses import Addresses
from tallybook.client.diagnostics import ErrorHandler
from tallybook.client.memories import UserProfileService
from tallybook.client.service_settings import CmabSettings, OdpSettings
from tallybook.deliver.answer import Http
from tallybook.deliver.journal_place import VARIABLE, JournalPlace, place_at, usual_place
from tallybook.deliver.settings import DeliverySettings, PollingSettings, Surroundings
from tallybook.errors import ConfigError
from tallybook.model.text import is_text, plain

CLIENT_NAME: Final = "tallybook-python"
CLIENT_VERSION: Final = "0.1.0"
USUAL_PLACE: Final = f"${VARIABLE}"  # in a directory's place
_SECRET: Final = ("datafile_access_token", "event_token")


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def in_ns(clock_ms: Callable[[], int]) -> Callable[[], int]:
    """A clock that counts in nanoseconds; this module's own needs no detour for that."""
    return time.time_ns if clock_ms is now_ms else lambda: clock_ms() * 1_000_000


class ClientSettings(Struct, frozen=True):
    """Everything that has a good default.

    Attributes:
        event_url: Where events go, whatever ``server_url`` and the project's region say.
        datafile_url: Where the datafile is polled; ``{sdk_key}`` in it is filled in.
        datafile_access_token: Sent as a bearer token with each poll.
        event_token: Sent as a bearer token with events, to ``event_url`` or ``server_url``; kept in
            no journal.
        default_decide_options: Options every decide call has, besides its own.
        delivery: Batching, retrying, bounds.
        polling: How often the datafile is asked for.
        journal: The directory in which events are safe before a call returns, also from the
            process's own sudden end; processes may share it. By default the one that the variable
            ``TALLYBOOK_JOURNAL`` names (``off``: none), else one among the user's own state; where
            ``http`` is given, none. ``None`` for none.
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
        cmab: Predictions for contextual bandits; ``None`` asks for none.
        odp: Segments and events of a customer data platform.
    """

    event_url: str | None = None
    datafile_url: str | None = None
    datafile_access_token: str | None = None
    event_token: str | None = None
    default_decide_options: Sequence[str] = ()
    delivery: DeliverySettings = field(default_factory=DeliverySettings)
    polling: PollingSettings = field(default_factory=PollingSettings)
    journal: str | os.PathLike[str] | None = USUAL_PLACE
    client_name: str = CLIENT_NAME
    client_version: str = CLIENT_VERSION
    clock_ms: Callable[[], int] = now_ms
    new_uuid: Callable[[], str] | None = None
    http: Http | None = None
    surroundings: Surroundings = field(default_factory=Surroundings)
    user_profile_service: UserProfileService | None = None
    error_handler: ErrorHandler | None = None
    cmab: CmabSettings | None = field(default_factory=CmabSettings)
    odp: OdpSettings = field(default_factory=OdpSettings)

    def __repr__(self) -> str:
        """As a call that would make it; tokens are not shown."""
        values = ((name, getattr(self, name)) for name in self.__struct_fields__)
        shown = (f"{n}={'...' if v and n in _SECRET else repr(v)}" for n, v in values)
        return f"ClientSettings({', '.join(shown)})"

    def __post_init__(self) -> None:
        Addresses(None, self.event_url, self.datafile_url)  # raises for what is no address
        for name, (is_usable, expected) in _CHECKS.items():
            value = getattr(self, name)
            if not _passes(is_usable, value):  # found values are not shown: a token is among them
                raise ConfigError(f"{name}: expected {expected}, found {type(value).__name__}")
            if is_text(value):
                force_setattr(self, name, plain(value))


def settings_from(given: object) -> ClientSettings:
    """The settings given, or the usual ones for ``None``.

    Raises:
        ConfigError: They are none.
    """
    if given is None:
        return ClientSettings()
    if not _passes(lambda value: isinstance(value, ClientSettings), given):
        raise ConfigError(f"settings: expected ClientSettings, found {type(given).__name__}")
    return cast(ClientSettings, given)


def journal_place(settings: ClientSettings) -> JournalPlace | None:
    """Where a client's journal stands, ``None`` for one in memory."""
    directory = settings.journal
    if directory == USUAL_PLACE:
        # What a transport of the caller's own carries may be no real events.
        return None if settings.http else usual_place()
    return None if directory is None else place_at(directory)


def _passes(is_usable: Callable[[object], bool], value: object) -> bool:
    try:
        return is_usable(value)
    except Exception:  # noqa: BLE001 - a stand-in may raise whatever it is asked
        return False


def _are_options(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(is_text, value))


def _is_text(value: object) -> bool:
    return is_text(value) and plain(value).encode() is not None  # a lone surrogate raises


def _is_token(value: object) -> bool:
    text = plain(value) if is_text(value) else ""
    return text.isascii() and text.isprintable() and " " not in text and text != ""


def _is_path(value: object) -> bool:
    path = os.fspath(value)  # type: ignore[call-overload]  # raises for what is none
    return _is_text(path) and plain(path) != "" and "\0" not in plain(path)


def _is_http(value: object) -> bool:
    return all(callable(getattr(value, name, None)) for name in ("post", "get", "abandon"))


def _keeps_profiles(value: object) -> bool:
    return all(callable(getattr(value, name, None)) for name in ("lookup", "save"))


_CHECKS: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = {
    "datafile_access_token": (lambda value: value is None or _is_text(value), "a string"),
    "event_token": (
        lambda value: value is None or _is_token(value),
        "a string of printable ASCII without spaces",
    ),
    "default_decide_options": (_are_options, "a list of decide options"),
    "delivery": (lambda value: isinstance(value, DeliverySettings), "DeliverySettings"),
    "polling": (lambda value: isinstance(value, PollingSettings), "PollingSettings"),
    "journal": (lambda value: value is None or _is_path(value), "a directory's path, or None"),
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
    "cmab": (lambda value: isinstance(value, CmabSettings | None), "CmabSettings"),
    "odp": (lambda value: isinstance(value, OdpSettings), "OdpSettings"),
}


class ClientOptions(TypedDict, total=False):
    """The fields of :class:`ClientSettings`, to be given as keywords."""

    event_url: str | None
    datafile_url: str | None
    datafile_access_token: str | None
    event_token: str | None
    default_decide_options: Sequence[str]
    delivery: DeliverySettings
    polling: PollingSettings
    journal: str | os.PathLike[str] | None
    client_name: str
    client_version: str
    clock_ms: Callable[[], int]
    new_uuid: Callable[[], str] | None
    http: Http | None
    surroundings: Surroundings
    user_profile_service: UserProfileService | None
    error_handler: ErrorHandler | None
    cmab: CmabSettings | None
    odp: OdpSettings
