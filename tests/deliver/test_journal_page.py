"""A page gives back what was written on it, and a damaged byte costs one event at most."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.deliver.journal import Envelope, Item, Origin
from tallybook.deliver.journal_files import make_page, ownerless_pages
from tallybook.deliver.journal_page import Page, room_for
from tallybook.deliver.journal_place import place_at
from tallybook.deliver.journal_records import RECORD_BYTES
from tallybook.deliver.quiet_log import QuietLog

PREFIX = b"01234567-89ab-4cde-8f01-"
SIZE = 64 * 1024
AMPLE = 2**30
ENVELOPES = [
    Envelope("https://one.example/v1", b'{"visitors":[', b"]}"),
    Envelope("https://two.example/v1", b"[", b"]", (("x-key", "secret"),)),
]
ORIGINS = [Origin(ENVELOPES[n % 2], f'"visitor_id":"{n}"'.encode(), 100 + n) for n in range(4)]
FRAMES = [(b"opening %d" % n, b"middle", b"closing") for n in range(2)]


def quiet() -> QuietLog:
    return QuietLog(lambda: 0.0)


def items(count: int) -> list[Item]:
    """Items of several origins, every third of them written already."""
    return [
        Item(ORIGINS[n % 4], b'{"n":%d}' % n)
        if n % 3 == 0
        else Item(ORIGINS[n % 4], b'{"n":%d}' % n, FRAMES[n % 2], 1_000 + n)
        for n in range(count)
    ]


def content(item: Item) -> tuple[object, ...]:
    origin = item.origin
    return (origin.envelope, origin.author, origin.size, item.text, item.frame, item.at_ns)


def written(directory: Path, some: Sequence[Item], size: int = SIZE) -> Page:
    page = make_page(directory, PREFIX, 7_000, size, AMPLE)
    positions = [page.add(item) for item in some]
    assert all(positions), "there is room"
    assert positions == sorted(set(positions))
    for item, position in zip(some, positions, strict=True):
        item.position = position
    return page


def found(directory: Path) -> list[Page]:
    return list(ownerless_pages(directory, set(), quiet()))


def test_what_was_written_is_read_again_with_its_identity(tmp_path: Path) -> None:
    some = items(50)
    written(tmp_path, some).close()
    (page,) = found(tmp_path)
    recovered = [each.item for each in page.unsettled()]
    assert [content(item) for item in recovered if item] == [content(item) for item in some]
    for before, after in zip(some, recovered, strict=True):
        assert after is not None
        name = page.identity(before.position) if before.frame else b""
        assert after.identity == name, "what is written has its identity in its bytes"
    page.close()


def test_identities_follow_from_positions(tmp_path: Path) -> None:
    page = written(tmp_path, items(2))
    assert page.identity(0xABC) == PREFIX + b"000000000abc"
    page.remove()


def test_what_is_settled_is_read_no_more(tmp_path: Path) -> None:
    some = items(30)
    page = written(tmp_path, some)
    page.settle(some[9].position + 1)
    page.settle(some[4].position + 1)  # what is settled stays so
    page.close()
    (page,) = found(tmp_path)
    assert [content(each.item) for each in page.unsettled() if each.item] == [
        content(item) for item in some[10:]
    ]
    page.close()


def test_a_page_is_settled_with_its_last_event(tmp_path: Path) -> None:
    some = items(3)
    page = make_page(tmp_path, PREFIX, 0, SIZE, AMPLE)
    assert page.is_settled, "there is nothing on it"
    positions = [page.add(item) for item in some]
    page.settle(positions[1] + 1)
    assert not page.is_settled
    page.settle(positions[2] + 1)
    assert page.is_settled
    page.remove()


def test_a_full_page_takes_nothing_more_and_keeps_what_it_has(tmp_path: Path) -> None:
    page = make_page(tmp_path, PREFIX, 0, 4_096, AMPLE)
    taken = [item for item in items(500) if page.add(item)]
    assert 0 < len(taken) < 500
    assert [each for each in items(500)[len(taken) :] if page.add(each)] == []
    page.close()
    (page,) = found(tmp_path)
    assert [content(each.item) for each in page.unsettled() if each.item] == [
        content(item) for item in taken
    ]
    page.close()


@pytest.mark.parametrize("size", [1, 5_000, 3_000_000])
def test_there_is_room_for_an_item_of_any_size(tmp_path: Path, size: int) -> None:
    page = make_page(tmp_path, PREFIX, 0, room_for(size), AMPLE)
    assert page.add(Item(ORIGINS[0], b"x" * size))
    page.remove()


@given(
    where=st.floats(0, 1, exclude_max=True), change=st.integers(1, 255), count=st.integers(1, 40)
)
def test_a_damaged_byte_costs_one_event_at_most_and_no_event_is_made_up(
    tmp_path_factory: pytest.TempPathFactory, where: float, change: int, count: int
) -> None:
    directory = tmp_path_factory.mktemp("pages")
    some = items(count)
    page = written(directory, some)
    used = page.end - page.first
    page.close()
    at = int(where * used)
    with page.path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ change]))
    (page,) = found(directory)
    recovered = list(page.unsettled())
    page.close()
    contents = [content(each.item) for each in recovered if each.item is not None]
    originals = [content(item) for item in some]
    assert [each for each in originals if each in contents] == contents, "in order, and none new"
    assert len(contents) >= count - 1
    if len(contents) < count:
        assert sum(each.damaged for each in recovered) > 0, "it is told"


@pytest.mark.parametrize("change", [0x01, 0x16, 0x80, 0xFF])  # 0x16: from one mark to the other
def test_wherever_the_byte_stands(tmp_path: Path, change: int) -> None:
    some = items(6)
    page = written(tmp_path, some)
    used = page.end - page.first
    page.close()
    good = page.path.read_bytes()
    originals = {content(item): page.identity(item.position) for item in some}
    for at in range(used):
        page.path.write_bytes(good[:at] + bytes([good[at] ^ change]) + good[at + 1 :])
        (damaged,) = found(tmp_path)
        recovered = list(damaged.unsettled())
        damaged.close()
        events = [each.item for each in recovered if each.item is not None]
        assert all(content(item) in originals for item in events), at
        assert all(item.identity in (b"", originals[content(item)]) for item in events), at
        is_told = any(each.damaged for each in recovered)
        assert len(events) == 6 or (len(events) == 5 and is_told), at


@given(cut=st.floats(0, 1))
def test_of_a_page_that_was_cut_everything_before_the_cut_is_read(
    tmp_path_factory: pytest.TempPathFactory, cut: float
) -> None:
    directory = tmp_path_factory.mktemp("pages")
    some = items(20)
    page = written(directory, some)
    page.close()
    length = int(cut * (page.end - page.first))
    os.truncate(page.path, length)
    contents = []
    for cut_page in found(directory):
        contents += [content(each.item) for each in cut_page.unsettled() if each.item is not None]
        cut_page.close()
    assert contents == [content(item) for item in some][: len(contents)]
    whole = [item for item in some if item.position - 7_000 + 200 < length]
    assert len(contents) >= len(whole)


def test_a_write_that_was_not_finished_is_neither_an_event_nor_damage(tmp_path: Path) -> None:
    some = items(5)
    page = written(tmp_path, some)
    page.close()
    text = page.path.read_bytes()
    last = some[-1].position - 7_000
    page.path.write_bytes(text[:last] + bytes(RECORD_BYTES) + text[last + RECORD_BYTES :])
    (page,) = found(tmp_path)
    recovered = list(page.unsettled())
    assert [content(each.item) for each in recovered if each.item] == [
        content(item) for item in some[:-1]
    ]
    assert [each.damaged for each in recovered] == [0] * 4
    page.close()


def test_a_page_in_use_is_nobody_elses(tmp_path: Path) -> None:
    page = written(tmp_path, items(3))
    assert found(tmp_path) == []
    assert place_at(tmp_path).has_pages()
    page.remove()
    assert not place_at(tmp_path).has_pages()


def test_a_file_that_is_no_page_is_set_aside_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, text in (("empty", b""), ("short", b"TBJ1"), ("other", b"x" * 1_000)):
        (tmp_path / f"{name}.journal").write_bytes(text)
    assert found(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "empty.damaged",
        "other.damaged",
        "short.damaged",
    ]
    assert len([r for r in caplog.records if "set aside" in r.getMessage()]) == 3


def test_pages_are_their_owners_alone(tmp_path: Path) -> None:
    directory = tmp_path / "journal"
    page = written(directory, items(1))
    assert page.path.stat().st_mode & 0o777 == 0o600
    assert directory.stat().st_mode & 0o777 == 0o700
    page.remove()


def test_a_page_its_owner_did_not_live_to_name_is_removed_after_a_while(tmp_path: Path) -> None:
    old, new = tmp_path / "old.new", tmp_path / "new.new"
    for path in (old, new):
        path.write_bytes(b"")
    os.utime(old, (0, 0))
    assert found(tmp_path) == []
    assert not old.exists()
    assert new.exists()


def test_where_there_is_no_room_nothing_is_left_behind(tmp_path: Path) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - whatever the system says of it
        make_page(tmp_path, PREFIX, 0, 2**62, 2**63)
    assert list(tmp_path.iterdir()) == []


def test_pages_of_a_directory_take_no_more_than_they_may(tmp_path: Path) -> None:
    first = make_page(tmp_path, PREFIX, 0, 4_096, 10_000)
    second = make_page(tmp_path, PREFIX, 4_096, 4_096, 10_000)
    with pytest.raises(OSError, match="it takes 8192 of the 10000 bytes it may"):
        make_page(tmp_path, PREFIX, 8_192, 4_096, 10_000)
    first.remove()
    third = make_page(tmp_path, PREFIX, 8_192, 4_096, 10_000)
    for page in (second, third):
        page.remove()
    assert list(tmp_path.iterdir()) == []
