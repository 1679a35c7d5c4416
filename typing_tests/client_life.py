"""A client is waited for, flushed and closed, by threads and by coroutines; it counts events."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_type

from tallybook import Client
from tallybook.deliver.tally import DeliveryStats


def work_and_close(client: Client) -> None:
    assert_type(client.is_ready, bool)
    assert_type(client.wait_until_ready(), bool)
    assert_type(client.wait_until_ready(timeout_s=0.5), bool)
    assert_type(client.flush(), bool)
    assert_type(client.flush(timeout_s=1), bool)
    assert_type(client.close(), int)
    assert_type(client.close(timeout_s=None), int)
    with client as entered:
        assert_type(entered, Client)

    client.wait_until_ready("soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.flush("soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.close("soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.is_ready = True  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


async def work_in_a_loop(client: Client) -> None:
    assert_type(await client.ready(), bool)
    assert_type(await client.ready(timeout_s=0.5), bool)
    assert_type(await client.aclose(), int)
    assert_type(await client.aclose(timeout_s=None), int)
    async with client as entered:
        assert_type(entered, Client)

    await client.ready("soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await client.aclose("soon")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.ready()  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]


def look_at(client: Client) -> None:
    stats = client.delivery_stats()
    assert_type(stats, DeliveryStats)
    assert_type(stats.accepted, int)
    assert_type(stats.delivered, int)
    assert_type(stats.retried, int)
    assert_type(stats.refused, Mapping[str, int])
    assert_type(stats.flaws, Mapping[str, int])
    assert_type(stats.waiting_events, int)
    assert_type(stats.waiting_bytes, int)
    assert_type(stats.oldest_waiting_s, float)
    assert_type(stats.in_memory_only, int)
    assert_type(stats.adopted, int)
    assert_type(stats.damaged_bytes, int)

    stats.accepted = 0  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    stats.refused["closed"] = 0  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    stats.dropped  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
