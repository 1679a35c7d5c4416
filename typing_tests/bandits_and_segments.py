"""Contextual bandits, qualified segments and customer events: settings and calls."""

from __future__ import annotations

import threading
from typing import assert_type

from tallybook import Client, UserContext
from tallybook.client import CmabSettings, OdpSettings, SegmentOption
from tallybook.deliver.tally import DeliveryStats


def set_up(datafile: str) -> Client:
    cmab = CmabSettings(endpoint="https://predict/{}", cache_size=5, cache_timeout_s=60, waits=True)
    odp = OdpSettings(disabled=False, segments_timeout_s=1, events_timeout_s=1.5)
    Client(datafile, cmab=None)

    CmabSettings(waits="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    OdpSettings(patience=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Client(datafile, odp=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return Client(datafile, cmab=cmab, odp=odp)


async def fetch(user: UserContext) -> None:
    assert_type(user.fetch_qualified_segments(), bool)
    assert_type(user.fetch_qualified_segments(options=[SegmentOption.IGNORE_CACHE]), bool)
    assert_type(user.fetch_qualified_segments(print, ["RESET_CACHE"]), threading.Thread)
    assert_type(await user.afetch_qualified_segments(), bool)
    assert_type(await user.afetch_qualified_segments([SegmentOption.RESET_CACHE]), bool)

    user.fetch_qualified_segments("later")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]
    await user.afetch_qualified_segments(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def tell(client: Client) -> None:
    client.send_odp_event("signed_up", {"email": "a@b"})
    client.send_odp_event("signed_up", {"email": "a@b"}, type="own", data={"n": 1, "x": None})
    assert_type(client.odp_stats(), DeliveryStats)

    client.send_odp_event("signed_up")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.send_odp_event("signed_up", ["a@b"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.send_odp_event("signed_up", {"email": "a"}, data={"n": [1]})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
