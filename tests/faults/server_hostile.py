"""Bodies that are hostile, and seeded mutations of those that are not."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from collections.abc import Callable, Sequence
from typing import Final

from tallybook.model.event import Batch

AT_MS: Final = 1_760_000_000_000
Identity = tuple[str, ...]

_TOKENS: Final = (
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"null", b"true", b"-0", b"1e999"),
    *(b"NaN", b"-Infinity", b"\\ud800", b"\\u0000", b"\xff", b"\xed\xa0\x80", b"\x00", b"\xf0\x9f"),
    *(b'""', b"{}", b"[]", b"9" * 25, b"1.0", b"-1", b'"a":1,', b"/*", b"\n", b"[[[[[[[["),
)
_VALUES: Final = (
    *(None, True, False, 0, -1, 1.5, 2**63, -(2**63) - 1, 1e308, 10**30, "", "x" * 300, "\u0000"),
    *("\ud800", "🦊", [], {}, [[]], {"": ""}, "null", "1760000000000", 253_402_300_799_999),
)


def event(uuid: str, **more: object) -> dict[str, object]:
    return {"entity_id": "200", "uuid": uuid, "timestamp": AT_MS, "key": "buy", **more}


def decision(uuid: str) -> dict[str, object]:
    return {"entity_id": "10", "uuid": uuid, "timestamp": AT_MS, "key": "campaign_activated"}


def body(*events: object, **envelope: object) -> bytes:
    visitor = {
        "visitor_id": "visitor-hostile",
        "session_id": "s",
        "attributes": [
            {"entity_id": "100", "key": "plan", "type": "custom", "value": "gold"},
            {"entity_id": "101", "key": "age", "type": "custom", "value": 42},
        ],
        "snapshots": [
            {
                "decisions": [
                    {"campaign_id": "10", "experiment_id": "11", "variation_id": "12"},
                ],
                "events": list(events),
            }
        ],
    }
    return json.dumps({"account_id": "1", "visitors": [visitor], **envelope}).encode()


def valid_body(name: str, chance: random.Random) -> bytes:
    """A body that is taken whole, with uuids that no other has."""
    tags = {"revenue": chance.randrange(10_000), "value": chance.random(), "colour": "rød"}
    events = [event(f"{name}-{n}", tags=tags, revenue=1) for n in range(chance.randint(1, 3))]
    return body(decision(f"{name}-d"), *events, project_id="2", client_name="c", revision="7")


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The body with a few things changed, most of them where JSON is most easily hurt."""
    if chance.random() < 0.6:
        data = _with_other_value(data, chance)
        if chance.random() < 0.6:
            return data
    for _ in range(min(int(chance.expovariate(0.7)) + 1, 8)):
        data = chance.choice(_MUTATIONS)(data, chance)
    return data


def _with_other_value(data: bytes, chance: random.Random) -> bytes:
    """Exchange one value anywhere in the document, or take it out, or put it in twice."""
    document = json.loads(data)
    at = document
    while True:
        key = chance.choice([*(at if isinstance(at, dict) else range(len(at)))])
        below = at[key]
        if isinstance(below, (dict, list)) and below and chance.random() < 0.8:
            at = below
            continue
        turn = chance.random()
        if turn < 0.15:
            del at[key]
        elif turn < 0.3 and isinstance(at, list):
            at.append(below)
        else:
            at[key] = chance.choice(_VALUES)
        return json.dumps(document, ensure_ascii=chance.random() < 0.9).encode(
            "utf-8", "surrogatepass"
        )


def _flipped(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) or 1)
    return (
        data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :] if data else b""
    )


def _cut(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + data[at + chance.randint(1, 40) :]


def _truncated(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _inserted(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(_TOKENS) + data[at:]


def _overwritten(data: bytes, chance: random.Random) -> bytes:
    at, token = chance.randrange(len(data) + 1), chance.choice(_TOKENS)
    return data[:at] + token + data[at + len(token) :]


def _repeated(data: bytes, chance: random.Random) -> bytes:
    at, length = chance.randrange(len(data) + 1), chance.randint(1, 120)
    return data[: at + length] + data[at : at + length] + data[at + length :]


def _swapped(data: bytes, chance: random.Random) -> bytes:
    one, two = sorted((chance.randrange(len(data) + 1), chance.randrange(len(data) + 1)))
    middle = (one + two) // 2
    return data[:one] + data[middle:two] + data[one:middle] + data[two:]


_MUTATIONS: Final[Sequence[Callable[[bytes, random.Random], bytes]]] = (
    *(_flipped, _cut, _inserted, _overwritten, _repeated, _swapped, _flipped, _inserted),
    _truncated,
)


def identities(batch: Batch) -> list[Identity]:
    """What tells each event of a body from every other one in the lake."""
    account = batch.sender.account_id
    conversions = [(account, c.entity_id, c.uuid, str(c.at_ms)) for c in batch.conversions]
    decisions = [
        (account, d.experiment_id, d.campaign_id, d.uuid, str(d.at_ms)) for d in batch.decisions
    ]
    return [*conversions, *decisions]


def bomb(mebibytes: int) -> bytes:
    """A gzip body of so many MiB of zeros; it takes a thousandth of that."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    head = gzip.compress(b"")[:10]
    return head + block * mebibytes + packer.flush() + bytes(8)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def hostile_bodies() -> dict[str, tuple[bytes, int]]:
    """By name: a body and the status it is answered with; those taken have an event of that name."""
    whole = body(event("whole"))
    account = b'{"account_id": "1", "visitors": '

    def beside(name: str, text: bytes) -> bytes:
        """A good event and one with ``text`` as its tags."""
        good, bad = event(name), event(f"{name}-bad", tags="TAGS")
        return body(good, bad).replace(b'"TAGS"', text)

    def envelope(name: str, text: bytes) -> bytes:
        return body(event(name))[:-1] + b", " + text + b"}"

    return {
        "nothing": (b"", 400),
        "no JSON": (b"account_id=1", 400),
        "a number": (b"1", 400),
        "a list": (b"[]", 400),
        "no visitors": (b'{"account_id": "1"}', 400),
        "visitors in an object": (account + b"{}}", 400),
        "an account that is a list": (whole.replace(b'"1"', b"[]", 1), 400),
        "truncated": (whole[:-20], 400),
        "two documents": (whole + whole, 400),
        "a comment": (whole[:-1] + b"/* */}", 400),
        "a byte order mark": (b"\xef\xbb\xbf" + whole, 400),
        "UTF-16": (whole.decode().encode("utf-16"), 400),
        "nested a hundred thousand deep": (nested(100_000), 400),
        "visitors nested deep": (account + nested(50_000) + b"}", 400),
        "zero bytes": (bytes(1_000), 400),
        "brackets": (b"[" * 1_000_000, 400),
        "objects": (b'{"a":' * 500_000, 400),
        "tags nested deep": (beside("", b'{"a":' * 9_000 + b"1" + b"}" * 9_000), 400),
        "tags nested": (beside("tags nested", b'{"a":' * 90 + b"1" + b"}" * 90), 204),
        "invalid UTF-8": (beside("invalid UTF-8", b'{"a": "\xff\xfe\x80"}'), 204),
        "a lone surrogate": (beside("a lone surrogate", b'{"a": "\\ud800"}'), 204),
        "NaN": (beside("NaN", b'{"a": NaN, "b": -Infinity}'), 204),
        "a huge integer": (beside("a huge integer", b'{"revenue": ' + b"9" * 20_000 + b"}"), 204),
        "a huge exponent": (beside("a huge exponent", b'{"value": 1e999999999}'), 204),
        "a tiny exponent": (beside("a tiny exponent", b'{"value": 1e-999999999}'), 204),
        "duplicate tags": (beside("duplicate tags", b'{"a": 1, "a": 2, "a": {}}'), 204),
        "a key of a megabyte": (
            beside("a key of a megabyte", b'{"' + b"k" * 2**20 + b'": 1}'),
            204,
        ),
        "a zero in a text": (beside("a zero in a text", b'{"a\\u0000": "\\u0000"}'), 204),
        "duplicate keys": (envelope("duplicate keys", b'"account_id": "1"'), 204),
        "unknown keys": (envelope("unknown keys", b'"x": {"y": [NaN, 1e400]}'), 204),
    }
