"""A client is made with a datafile or an address, and with every setting by its own type."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

from user_plugins import Profiles, raise_fault

from tallybook import Client, ClientSettings, DecideOption
from tallybook.client import DeliverySettings, PollingSettings
from tallybook.deliver.settings import Surroundings
from tallybook.testing import FixedClock, Letterbox

assert_type(Client("{}"), Client)
assert_type(Client(b"{}"), Client)
assert_type(Client(datafile=None, sdk_key="key"), Client)
assert_type(Client(sdk_key="key", server_url="http://localhost:8080"), Client)
assert_type(Client(sdk_key=None, server_url=None, datafile_url="http://localhost/d.json"), Client)

settings = ClientSettings(
    event_url="http://localhost/v1/events",
    datafile_url="http://localhost/datafiles/{sdk_key}.json",
    datafile_access_token="token",
    event_token="token",
    default_decide_options=[DecideOption.INCLUDE_REASONS, "EXCLUDE_VARIABLES"],
    delivery=DeliverySettings(
        batch_size=10,
        flush_interval_s=0.5,
        max_batch_bytes=1_000_000,
        max_waiting_events=1_000,
        max_waiting_bytes=1_000_000,
        request_timeout_s=5,
        backoff_base_s=0.1,
        backoff_cap_s=10,
        max_retry_after_s=60,
        refusal_wait_s=30,
        exit_timeout_s=2,
        journal_sync_s=0.5,
        max_journal_bytes=2**28,
        gzip=True,
    ),
    polling=PollingSettings(interval_s=30, request_timeout_s=5, backoff_base_s=0.1, stream=True),
    journal="/var/lib/shop",
    client_name="shop",
    client_version="1.0",
    clock_ms=FixedClock(),
    new_uuid=lambda: "6ba7b810-9dad-41d1-80b4-00c04fd430c8",
    http=Letterbox(),
    surroundings=Surroundings(monotonic=lambda: 0.0, chance=lambda: 0.5),
    user_profile_service=Profiles(),
    error_handler=raise_fault,
)
assert_type(Client("{}", settings=settings), Client)
assert_type(Client("{}", settings=None), Client)

assert_type(
    Client(
        "{}",
        settings=settings,
        event_url="http://localhost/v1/events",
        datafile_url="http://localhost/datafiles/{sdk_key}.json",
        datafile_access_token="token",
        event_token="token",
        default_decide_options=(DecideOption.INCLUDE_REASONS,),
        delivery=DeliverySettings(gzip=None),
        polling=PollingSettings(),
        journal=Path("journal"),
        client_name="shop",
        client_version="1.0",
        clock_ms=lambda: 0,
        new_uuid=None,
        http=None,
        surroundings=Surroundings(),
        user_profile_service=None,
        error_handler=None,
    ),
    Client,
)

Client(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Client({"version": "4"})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Client(sdk_key=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Client("{}", server_url=b"http://h")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Client("{}", settings={"gzip": True})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Client("{}", event_url=5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Client("{}", unknown=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Client("{}", clock_ms=lambda: "now")  # type: ignore[arg-type, return-value]  # pyright: ignore[reportArgumentType]
Client("{}", default_decide_options=[5])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
Client("{}", polling=DeliverySettings())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Client("{}", http=object())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ClientSettings(client_name=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ClientSettings(timeout=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
DeliverySettings(batch_size=0.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
DeliverySettings(gzip="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
PollingSettings(stream=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
settings.client_name = "other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
