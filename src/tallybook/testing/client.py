"""A client for tests: the real one, whose flags answer as told and whose events stay in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from tallybook.client import Client, ClientSettings, OdpSettings
from tallybook.client.settings import settings_from
from tallybook.errors import NotFoundError
from tallybook.testing.clock import FixedClock
from tallybook.testing.datafile import DatafileBuilder
from tallybook.testing.letterbox import Letterbox
from tallybook.testing.seen import SentDecision, TrackedEvent, sent_decision, tracked_event

_URL: Final = "http://in-memory.invalid/v1/events"
_PATIENCE_S: Final = 10.0


class InMemoryClient(Client):
    """A :class:`~tallybook.Client` without a network, to be given to the code under test.

    Args:
        datafile: What flags answer until told otherwise, such as a copy of production's datafile.
        events: Keys of events that may be tracked, besides the datafile's.
        attributes: Keys of attributes that are sent, besides the datafile's.
        settings: Anything else about the client; address, transport and clock are the test's.

    Attributes:
        clock: What the client takes for the present; it moves only when told to.
        letterbox: What the client sends its events to.

    Example:
        >>> client = InMemoryClient(events=["purchase"])
        >>> client.set_flag("checkout", variation="treatment", variables={"color": "green"})
        >>> user = client.create_user_context("user123")
        >>> user.decide("checkout").variables["color"]
        'green'
        >>> user.track_event("purchase", {"revenue": 4200})
        >>> [event.revenue for event in client.tracked("purchase")]
        [4200]
        >>> client.close()
        0
    """

    def __init__(
        self,
        datafile: str | bytes | None = None,
        *,
        events: Iterable[str] = (),
        attributes: Iterable[str] = (),
        settings: ClientSettings | None = None,
    ) -> None:
        self.clock = FixedClock()
        self.letterbox = Letterbox()
        self._builder = DatafileBuilder(datafile, events=events, attributes=attributes)
        settings = settings_from(settings)
        super().__init__(
            self._builder.build(),
            settings=replace(
                settings,
                event_url=_URL,
                datafile_url=None,
                http=self.letterbox,
                cmab=None,
                odp=OdpSettings(disabled=True),
                clock_ms=self.clock,
                delivery=replace(settings.delivery, flush_interval_s=0.0),
            ),
        )

    def set_flag(
        self,
        key: str,
        variation: str | None = None,
        *,
        enabled: bool = True,
        variables: Mapping[str, object] | None = None,
        users: Iterable[str] = (),
    ) -> None:
        """Have a flag give one variation from now on; see :meth:`DatafileBuilder.answer`."""
        self._builder.answer(key, variation, enabled=enabled, variables=variables, users=users)
        self._revisions.install(self._builder.build())

    def define_event(self, key: str) -> None:
        """Let an event be tracked from now on."""
        self._revisions.install(self._builder.event(key).build())

    def tracked(
        self, event_key: str | None = None, *, user_id: str | None = None
    ) -> list[TrackedEvent]:
        """The events that were tracked, in their order; with a key or a user, theirs.

        Raises:
            NotFoundError: No event has this key: whoever tracks it is refused, also in production.
        """
        if event_key is not None and event_key not in self._builder.event_keys:
            raise NotFoundError(
                f"event `{event_key}` is not defined, so it cannot be tracked; there are: "
                f"{', '.join(self._builder.event_keys) or 'none'}"
            )
        self._deliver()
        _, conversions = self.letterbox.events()
        return [
            tracked_event(event)
            for event in conversions
            if event_key in (None, event.key) and user_id in (None, event.visitor_id)
        ]

    def decided(
        self, flag_key: str | None = None, *, user_id: str | None = None
    ) -> list[SentDecision]:
        """The decisions that were sent as events, in their order; with a key or a user, theirs."""
        self._deliver()
        decisions, _ = self.letterbox.events()
        return [
            sent_decision(event)
            for event in decisions
            if flag_key in (None, event.flag_key) and user_id in (None, event.visitor_id)
        ]

    def forget(self) -> None:
        """Forget what was tracked and decided so far."""
        self._deliver()
        self.letterbox.clear()

    def _deliver(self) -> None:
        # An event that is refused on purpose stays in the outbox: it is not waited for.
        patience_s = _PATIENCE_S if self.letterbox.status < 300 else 0.0  # noqa: PLR2004
        self.flush(patience_s)
