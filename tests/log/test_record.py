"""Records: what was appended is read back, whatever happens to the bytes around it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.errors import StorageError
from tallybook.log.entry import pack, unpack
from tallybook.log.record import HEADER_BYTES, frame, scan
from tallybook.model.event import Arrival

SEGMENT = 1_790_000_000_000
PAYLOADS = st.lists(st.binary(max_size=40) | st.just(frame(b"inner", segment=SEGMENT, offset=0)))


def written(payloads: list[bytes], segment: int = SEGMENT) -> bytes:
    data = b""
    for payload in payloads:
        data += frame(payload, segment=segment, offset=len(data)) + payload
    return data


@given(PAYLOADS)
def test_what_was_appended_is_read_back(payloads: list[bytes]) -> None:
    contents = scan(written(payloads), SEGMENT)
    assert contents.payloads == tuple(payloads)
    assert (contents.damages, contents.torn_bytes) == ((), 0)


@given(PAYLOADS.filter(bool), st.data())
def test_cut_anywhere_all_whole_records_are_read_and_the_rest_is_torn(
    payloads: list[bytes], data: st.DataObject
) -> None:
    whole = written(payloads)
    cut = data.draw(st.integers(0, len(whole)))
    contents = scan(whole[:cut], SEGMENT)
    kept = len(contents.payloads)
    size = sum(HEADER_BYTES + len(payload) for payload in payloads[:kept])
    assert contents.payloads == tuple(payloads[:kept])
    assert contents.damages == ()
    assert contents.torn_bytes == cut - size
    if kept < len(payloads):
        assert cut < size + HEADER_BYTES + len(payloads[kept])


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5), st.data())
def test_a_flipped_bit_costs_its_record_alone_and_is_reported(
    payloads: list[bytes], data: st.DataObject
) -> None:
    raw = bytearray(written(payloads))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= 1 << data.draw(st.integers(0, 7))
    contents = scan(bytes(raw), SEGMENT)
    assert len(contents.payloads) == len(payloads) - 1
    assert set(contents.payloads) <= set(payloads)
    assert contents.torn_bytes == 0
    (damage,) = contents.damages
    assert damage.offset <= at < damage.offset + len(damage.data)


@given(st.lists(st.binary(max_size=20), max_size=3), st.integers(1, 5000))
def test_space_that_was_never_filled_is_a_torn_tail(payloads: list[bytes], zeros: int) -> None:
    contents = scan(written(payloads) + bytes(zeros), SEGMENT)
    assert (contents.payloads, contents.damages) == (tuple(payloads), ())
    assert contents.torn_bytes == zeros


@given(st.binary(max_size=200))
def test_any_bytes_are_scanned_without_an_error(data: bytes) -> None:
    contents = scan(data, SEGMENT)
    damaged = sum(len(damage.data) for damage in contents.damages)
    kept = sum(HEADER_BYTES + len(payload) for payload in contents.payloads)
    assert kept + damaged + contents.torn_bytes == len(data)


def test_bytes_inside_a_payload_are_never_taken_for_a_record() -> None:
    hidden = frame(b"forged", segment=SEGMENT, offset=0) + b"forged"
    raw = bytearray(written([hidden, b"next"]))
    raw[0] ^= 1  # the header of the record that hides it is damaged
    assert scan(bytes(raw), SEGMENT).payloads == (b"next",)


def test_a_record_of_another_segment_is_not_read() -> None:
    assert scan(written([b"a"], segment=1), 2).payloads == ()


@given(
    at_ms=st.integers(0, 2**53),
    texts=st.lists(st.none() | st.text(min_size=1, max_size=50), min_size=3, max_size=3),
    body=st.binary(max_size=100),
)
def test_an_entry_keeps_body_and_arrival(at_ms: int, texts: list[str | None], body: bytes) -> None:
    arrival = Arrival(at_ms, *texts)
    assert unpack(pack(arrival, body)) == (arrival, body)


def test_headers_of_any_length_are_cut() -> None:
    arrival, body = unpack(pack(Arrival(1, None, "x" * 100_000, ""), b"{}"))
    assert arrival == Arrival(1, None, "x" * 2_000, None)
    assert body == b"{}"


def test_an_entry_of_another_version_says_so() -> None:
    payload = pack(Arrival(1), b"{}")
    with pytest.raises(StorageError, match="version 9"):
        unpack(b"\x09" + payload[1:])
