"""Everything in every place of what clients are made of: either it is taken, or a ConfigError.

The error names the place and shows what was found, briefly.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any

import pytest

from shop import datafile
from tallybook import Client, ClientSettings, ConfigError, DatafileError
from tallybook.client import DeliverySettings, PollingSettings
from tallybook.client.service_settings import CmabSettings, OdpSettings
from tallybook.client.settings import ClientOptions
from tallybook.deliver.settings import Surroundings
from tallybook.model.text import LONGEST_SHOWN, excerpt
from tallybook.openfeature import TallybookProvider
from tallybook.testing import DatafileBuilder, InMemoryClient, Letterbox
from wrong_values import TEXTS, WRONG, by_name

TEXT = json.dumps(datafile())
SETTINGS = (
    *(ClientSettings, DeliverySettings, PollingSettings, Surroundings),
    *(CmabSettings, OdpSettings),
)
LONGEST_MESSAGE = LONGEST_SHOWN + 500

NONE = frozenset({"none"})
NOTHING: frozenset[str] = frozenset()
FUNCTION = frozenset({"hostile", "class", "function"})
SENDABLE = TEXTS - {"surrogate"}
ABOVE_ZERO = frozenset({"fraction"})
ZERO_OR_MORE = frozenset({"fraction", "zero"})
COLLECTIONS = frozenset(
    {"empty list", "empty dict", "set", "list", "tuple", "dict", "dict of a class", "generator"}
)
# What each field takes of all that; of those that are not here, numbers, see `taken_by`.
TAKEN: dict[str, frozenset[str]] = {
    "ClientSettings.event_url": NONE,
    "ClientSettings.datafile_url": NONE,
    "ClientSettings.datafile_access_token": SENDABLE | NONE,
    "ClientSettings.event_token": frozenset({"hostile text", "text member", "long"}) | NONE,
    "ClientSettings.default_decide_options": frozenset({"empty list", "list", "tuple"}),
    "ClientSettings.delivery": NOTHING,
    "ClientSettings.polling": NOTHING,
    "ClientSettings.odp": NOTHING,
    "ClientSettings.cmab": NONE,
    "ClientSettings.journal": (SENDABLE - {"empty text"}) | NONE,
    "ClientSettings.client_name": SENDABLE,
    "ClientSettings.client_version": SENDABLE,
    "ClientSettings.clock_ms": FUNCTION,
    "ClientSettings.new_uuid": FUNCTION | NONE,
    "ClientSettings.http": NONE,
    "ClientSettings.surroundings": NOTHING,
    "ClientSettings.user_profile_service": NONE,
    "ClientSettings.error_handler": FUNCTION | NONE,
    "DeliverySettings.gzip": frozenset({"none", "true"}),
    "PollingSettings.stream": frozenset({"true"}),
    "Surroundings.monotonic": FUNCTION,
    "Surroundings.chance": FUNCTION,
    "Surroundings.logger": NOTHING,
    "CmabSettings.endpoint": NOTHING,
    "CmabSettings.waits": frozenset({"true"}),
    "OdpSettings.disabled": frozenset({"true"}),
}
MAY_BE_ZERO = {
    *("DeliverySettings.exit_timeout_s", "DeliverySettings.flush_interval_s"),
    *("CmabSettings.cache_size", "CmabSettings.cache_timeout_s"),
    *("OdpSettings.cache_size", "OdpSettings.cache_timeout_s", "OdpSettings.flush_interval_s"),
}
FIELDS = [
    (kind, name, default)
    for kind in SETTINGS
    for name, default in zip(kind.__struct_fields__, kind.__struct_defaults__, strict=True)
]


def taken_by(kind: type, name: str, default: object) -> frozenset[str]:
    """The values a field takes; by its default if it is a number."""
    field = f"{kind.__name__}.{name}"
    if field in TAKEN:
        return TAKEN[field]
    assert type(default) in (int, float), f"{field} is not in the table"
    taken = ZERO_OR_MORE if field in MAY_BE_ZERO else ABOVE_ZERO
    return taken - {"fraction"} if type(default) is int else taken


def taken(name: str, make: Callable[[Any], object]) -> set[str]:
    """The values with which ``make`` makes something; what it raises otherwise says why."""
    found = set()
    for wrong, value in by_name(WRONG):
        try:
            made = make(value)
        except ConfigError as error:
            message = str(error)
            assert name in message, wrong
            assert len(message) <= LONGEST_MESSAGE, wrong
            shown = (type(value).__name__, excerpt(value))
            is_absent = wrong in ("none", "empty text")  # then nothing was found
            assert is_absent or any(one in message for one in shown), wrong
        else:
            found.add(wrong)
            getattr(made, "close", bool)(0)
    return found


@pytest.mark.parametrize(
    ("kind", "name", "default"), FIELDS, ids=[f"{kind.__name__}.{name}" for kind, name, _ in FIELDS]
)
def test_a_setting_is_taken_or_named(kind: type, name: str, default: object) -> None:
    assert taken(name, lambda value: kind(**{name: value})) == taken_by(kind, name, default)


@pytest.mark.parametrize("name", ClientOptions.__annotations__)
def test_a_setting_given_as_a_keyword_is_taken_or_named_as_well(name: str) -> None:
    default = dict(
        zip(ClientSettings.__struct_fields__, ClientSettings.__struct_defaults__, strict=True)
    )
    due = taken_by(ClientSettings, name, default[name])
    options = {} if name == "http" else {"http": Letterbox()}
    if name == "event_token":
        options["event_url"] = "http://server"
    found = taken(name, lambda value: Client(TEXT, **{**options, name: value}))
    assert found == due


def test_settings_and_keywords_have_the_same_names() -> None:
    assert set(ClientOptions.__annotations__) == set(ClientSettings.__struct_fields__)


@pytest.mark.parametrize(
    ("name", "due"),
    [("sdk_key", SENDABLE | NONE), ("server_url", NONE), ("settings", NONE)],
)
def test_an_argument_of_a_client_is_taken_or_named(name: str, due: frozenset[str]) -> None:
    options = {} if name == "settings" else {"http": Letterbox()}
    assert taken(name, lambda value: Client(TEXT, **{**options, name: value})) == due


def test_those_are_all_arguments_of_a_client() -> None:
    names = inspect.signature(Client).parameters
    assert list(names) == ["datafile", "sdk_key", "server_url", "settings", "options"]


@pytest.mark.parametrize("kind", [Client, InMemoryClient, DatafileBuilder])
def test_a_datafile_of_any_other_kind_is_one_that_cannot_be_read(kind: Any) -> None:
    for wrong, value in by_name(WRONG):
        if wrong != "none":
            with pytest.raises(DatafileError, match=r"^\$: expected") as raised:
                kind(value)
            assert len(str(raised.value)) <= LONGEST_MESSAGE


@pytest.mark.parametrize(
    ("name", "due"),
    [
        ("settings", NONE),
        ("events", COLLECTIONS | {"pretender", "dict in itself"}),
        ("attributes", COLLECTIONS | {"pretender", "dict in itself"}),
    ],
)
def test_an_argument_of_the_client_of_tests_is_taken_or_named(
    name: str, due: frozenset[str]
) -> None:
    assert taken(name, lambda value: InMemoryClient(TEXT, **{name: value})) == due


@pytest.mark.parametrize(
    ("name", "due"),
    [
        ("sdk_key", SENDABLE - {"empty text"}),
        ("server_url", NONE),
        ("ready_within_s", ZERO_OR_MORE),
    ],
)
def test_an_argument_of_the_provider_is_taken_or_named(name: str, due: frozenset[str]) -> None:
    def connect(value: Any) -> Client:
        right = {"sdk_key": "key", "settings": ClientSettings(http=Letterbox())}
        return TallybookProvider.connect(**{**right, name: value}).client

    assert taken(name, connect) == due


def test_settings_of_the_provider_are_taken_or_named() -> None:
    def connect(value: Any) -> Client:
        # An address where nobody is, since settings that are taken have connections of their own.
        return TallybookProvider.connect("key", "http://127.0.0.1:9", settings=value).client

    assert taken("settings", connect) == NONE


def test_the_client_of_a_provider_is_one() -> None:
    assert taken("client", TallybookProvider) == set()
