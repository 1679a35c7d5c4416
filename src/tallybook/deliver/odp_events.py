"""Customer events for the Optimizely Data Platform, on their way out through outboxes of their own.

There is one outbox, and so one worker thread, for each address an event was made under: a project
may change its address while events wait, each goes where it was meant to, and what an old address
does not take holds up nothing else. An outbox is made by the first event and stays; addresses
change so seldom that there are one or two.

Nothing here is locked: of two threads that need an outbox first, both make one and one is kept.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType, NoneType
from typing import Final

from msgspec import Struct, field

from tallybook.deliver.answer import Http
from tallybook.deliver.journal import Envelope, Item
from tallybook.deliver.journal_place import JournalPlace
from tallybook.deliver.odp_address import OdpAddress
from tallybook.deliver.outbox import Outbox
from tallybook.deliver.settings import DeliverySettings, Surroundings, bounded_s
from tallybook.deliver.tally import DeliveryStats, Refusal
from tallybook.model.customer_data import FULLSTACK
from tallybook.model.text import is_text, plain

PATH: Final = "/v3/events"

_BATCH_SIZE: Final = 10  # events a request that the platform takes
_MAX_WAITING: Final = 1000
_BACKOFF_BASE_S: Final = 0.2
_PLAIN: Final = (str, int, float, bool, NoneType)
_USER_ID: Final = "fs_user_id"
_USER_ID_SPELLINGS: Final = (_USER_ID, "fs-user-id")  # in whatever case


class OdpFlaw(StrEnum):
    """What keeps an event from being sent."""

    ACTION = "action"
    TYPE = "type"
    IDENTIFIERS = "identifiers"
    DATA = "data"


class OdpEvent(Struct, frozen=True):
    """What somebody did: an action, the identifiers they are known by, and data about it.

    Values are strings, numbers, booleans or ``None``.
    """

    action: str
    identifiers: Mapping[str, object]
    type: str = FULLSTACK
    data: Mapping[str, object] = field(default_factory=dict)


class OdpSource(Struct, frozen=True):
    """How events name the SDK that sent them."""

    name: str
    version: str


class OdpEvents:
    """Customer events on their way out. Every method may be called from any thread."""

    def __init__(
        self,
        settings: DeliverySettings,
        http: Http,
        source: OdpSource,
        *,
        surroundings: Surroundings | None = None,
        new_uuid: Callable[[], str] | None = None,
        place: JournalPlace | None = None,
    ) -> None:
        self._settings = settings
        self._http = http
        self._source = source
        self._surroundings = surroundings
        self._new_uuid = _random_uuid if new_uuid is None else new_uuid
        self._place = place
        self._outboxes: dict[OdpAddress, Outbox] = {}
        self._is_stopped = False

    def send(self, event: OdpEvent, address: OdpAddress) -> OdpFlaw | None:
        """Have an event delivered to ``address``, or say what is wrong with it.

        An event that is refused for another cause (there is no room for it, :meth:`stop` was
        called) is counted and logged, like one that the platform will not have.
        """
        outbox = self._outbox(address)
        item = write_event(event, self._source, str(self._new_uuid()))
        if isinstance(item, OdpFlaw):
            outbox.tally.refuse(Refusal.INVALID_ARGUMENT)
            return item
        outbox.append(_envelope(address), item)
        return None

    def flush(self, timeout_s: float | None = None) -> bool:
        """Send what waits at once; true when all of it was delivered within ``timeout_s``."""
        deadline = time.monotonic() + bounded_s(timeout_s)
        outcomes = [outbox.flush(_left_s(deadline)) for outbox in self._all()]
        return all(outcomes)

    def retire(self) -> None:
        """Refuse further events, and let the workers end once everything is delivered."""
        self._is_stopped = True
        for outbox in self._all():
            outbox.retire()

    def stop(self, timeout_s: float | None) -> int:
        """Refuse further events, deliver what waits within ``timeout_s``, and end the workers.

        Returns:
            How many events are not delivered.
        """
        deadline = time.monotonic() + bounded_s(timeout_s)
        self.retire()  # all hurry at once
        return sum(outbox.close(_left_s(deadline)) for outbox in self._all())

    def stats(self) -> DeliveryStats:
        """What became of the events so far."""
        return _total([outbox.stats() for outbox in self._all()])

    def _outbox(self, address: OdpAddress) -> Outbox:
        outbox = self._outboxes.get(address)
        if outbox is None:
            made = Outbox(
                self._settings, self._http, surroundings=self._surroundings, place=self._place
            )
            made.write_with(_unwritten)
            outbox = self._outboxes.setdefault(address, made)
            if self._is_stopped:
                outbox.retire()
        return outbox

    def _all(self) -> tuple[Outbox, ...]:
        return tuple(self._outboxes.values())


def odp_settings(
    flush_interval_s: float = 1.0, request_timeout_s: float = 10.0, exit_timeout_s: float = 5.0
) -> DeliverySettings:
    """How customer events are delivered; with a flush interval of 0 each goes alone and at once.

    Raises:
        ConfigError: A time is no number, or negative.
    """
    return DeliverySettings(
        batch_size=_BATCH_SIZE if flush_interval_s else 1,
        flush_interval_s=flush_interval_s,
        max_waiting_events=_MAX_WAITING,
        request_timeout_s=request_timeout_s,
        backoff_base_s=_BACKOFF_BASE_S,
        exit_timeout_s=exit_timeout_s,
        gzip=False,
    )


def write_event(event: OdpEvent, source: OdpSource, idempotence_id: str) -> bytes | OdpFlaw:
    """An event as the platform's JSON, or what is wrong with it; nothing is raised.

    Whoever sent it and its ``idempotence_id`` are among its data, unless these say otherwise.
    """
    if not (is_text(event.action) and plain(event.action)):
        return OdpFlaw.ACTION
    if not is_text(event.type):
        return OdpFlaw.TYPE
    identifiers = _sendable(event.identifiers)
    if not identifiers or not all(map(is_text, identifiers)):
        return OdpFlaw.IDENTIFIERS
    data = _sendable(event.data)
    if data is None:
        return OdpFlaw.DATA
    written = {
        "type": plain(event.type) or FULLSTACK,
        "action": plain(event.action),
        "identifiers": _with_user_id(identifiers),
        "data": {
            "idempotence_id": idempotence_id,
            "data_source_type": "sdk",
            "data_source": source.name,
            "data_source_version": source.version,
            **data,
        },
    }
    return _encode(written)


def _sendable(values: Mapping[str, object]) -> dict[str, object] | None:
    try:
        copy = dict(values)
        _encode(copy)  # a number may be none, or have more digits than Python writes
    except Exception:  # noqa: BLE001 - a mapping's own code runs here and may raise anything
        return None
    return copy if all(isinstance(value, _PLAIN) for value in copy.values()) else None


def _encode(value: object) -> bytes:
    # The standard library's encoder also takes heirs of str, int and float, as callers have.
    return json.dumps(value, allow_nan=False).encode()


def _with_user_id(identifiers: dict[str, object]) -> dict[str, object]:
    spellings = (key for key in identifiers if key.lower() in _USER_ID_SPELLINGS)
    spelling = next(spellings, _USER_ID)
    if spelling in identifiers:
        identifiers[_USER_ID] = identifiers.pop(spelling)
    return identifiers


def _unwritten(_drafts: Sequence[Item]) -> Sequence[bytes]:
    return ()  # what is handed in here is written already


def _envelope(address: OdpAddress) -> Envelope:
    return Envelope(address.url(PATH), b"[", b"]", tuple(address.headers.items()))


def _random_uuid() -> str:
    return str(uuid.uuid4())


def _left_s(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())


def _total(stats: Sequence[DeliveryStats]) -> DeliveryStats:
    return DeliveryStats(
        accepted=sum(each.accepted for each in stats),
        delivered=sum(each.delivered for each in stats),
        retried=sum(each.retried for each in stats),
        refused=_sums(each.refused for each in stats),
        flaws=_sums(each.flaws for each in stats),
        waiting_events=sum(each.waiting_events for each in stats),
        waiting_bytes=sum(each.waiting_bytes for each in stats),
        oldest_waiting_s=max((each.oldest_waiting_s for each in stats), default=0.0),
        in_memory_only=sum(each.in_memory_only for each in stats),
        adopted=sum(each.adopted for each in stats),
        damaged_bytes=sum(each.damaged_bytes for each in stats),
    )


def _sums(counts: Iterable[Mapping[str, int]]) -> Mapping[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return MappingProxyType(dict(total))
