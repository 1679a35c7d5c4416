from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from tallybook.deliver.journal import (
    FULL,
    Batch,
    Envelope,
    Holdings,
    Item,
    Origin,
)
from tallybook.deliver.memory_journal import MemoryJournal
from tallybook.deliver.settings import DeliverySettings

HERE = Envelope("http://here", b"[", b"]")
THERE = Envelope("http://there", b"[", b"]")


def journal(**settings: int) -> MemoryJournal:
    return MemoryJournal(DeliverySettings(**settings))  # type: ignore[arg-type]


def unwritable(drafts: Sequence[Item]) -> list[bytes]:
    raise AssertionError(f"nothing is to be written: {drafts}")


def test_it_is_bounded_in_events_until_some_are_acknowledged() -> None:
    kept = journal(max_waiting_events=2)
    assert [kept.append(Item(Origin(HERE), b"x")) for _ in range(3)] == [1, 2, FULL]
    taken = kept.take(1, 100)
    assert kept.append(Item(Origin(HERE), b"x")) == FULL, "handed out is not delivered"
    assert taken is not None
    kept.acknowledge(taken.written(unwritable))
    assert kept.append(Item(Origin(HERE), b"x")) == 2


def test_it_is_bounded_in_bytes() -> None:
    kept = journal(max_waiting_bytes=10)
    assert [
        kept.append(Item(Origin(HERE), b"12345678")),
        kept.append(Item(Origin(HERE), b"123")),
        kept.append(Item(Origin(HERE), b"12")),
    ] == [1, FULL, 2]
    assert kept.holdings() == Holdings(events=2, bytes=10)


def test_numbers_of_events_have_no_gaps() -> None:
    kept = journal()
    for envelope in (HERE, HERE, THERE, HERE):
        kept.append(Item(Origin(envelope), b"x"))
    taken = [kept.take(2, 100) for _ in range(4)]
    assert [(batch.first, len(batch.items)) for batch in taken if batch] == [(0, 2), (2, 1), (3, 1)]
    assert taken[3] is None


def test_halves_are_the_whole_in_order() -> None:
    first, second = Batch(HERE, 5, (b"a", b"b", b"c"), 3, 3).halves()
    assert first == Batch(HERE, 5, (b"a",), 1, 1)
    assert second == Batch(HERE, 6, (b"b", b"c"), 2, 2)


def test_abandoning_leaves_nothing() -> None:
    kept = journal()
    kept.append(Item(Origin(HERE), b"x"))
    kept.abandon()
    assert kept.holdings() == Holdings(0, 0)
    assert kept.take(1, 1) is None


@given(st.lists(st.sampled_from([HERE, THERE])), st.integers(1, 5), st.integers(1, 60))
def test_taking_and_putting_back_changes_nothing(
    envelopes: list[Envelope], max_events: int, max_bytes: int
) -> None:
    kept = journal()
    for number, envelope in enumerate(envelopes):
        kept.append(Item(Origin(envelope), str(number).encode()))
    before = kept.holdings()
    taken = []
    while batch := kept.take(max_events, max_bytes):
        assert len(batch.items) <= max_events
        taken.append(batch)
    batches = [stretch.written(unwritable) for stretch in taken]
    assert [item for batch in batches for item in batch.items] == [
        str(number).encode() for number in range(len(envelopes))
    ]
    for batch in reversed(batches):
        kept.put_back(batch)
    assert kept.waiting() == len(envelopes)
    assert kept.holdings() == before
    again = []
    while batch := kept.take(max_events, max_bytes):
        again.append(batch)
    assert [stretch.written(unwritable) for stretch in again] == batches


def test_drafts_are_counted_as_they_were_taken_for_until_they_are_acknowledged() -> None:
    kept = journal()
    origin = Origin(HERE, b"author", 3)
    kept.append(Item(origin, b"ab", "a frame"))
    kept.append(Item(origin, b"cd", "a frame"))
    kept.append(Item(Origin(HERE), b"x"))
    assert kept.holdings() == Holdings(3, 11)
    taken = kept.take(10, 100)
    assert taken is not None
    batch = taken.written(lambda drafts: [b"abab", b""][: len(drafts)])
    assert batch.items == (b"abab", b"x"), "what cannot be written is left out"
    assert kept.holdings() == Holdings(3, 11)
    kept.put_back(batch)
    assert kept.holdings() == Holdings(2, 5)
    again = kept.take(10, 100)
    assert again is not None
    for half in again.written(unwritable).halves():
        kept.acknowledge(half)
    assert kept.holdings() == Holdings(0, 0)
