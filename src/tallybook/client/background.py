"""What works behind a client: the outbox of its events, and the polling of its datafile."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from tallybook.client.addresses import Addresses
from tallybook.client.revision import Revisions
from tallybook.client.services import Services
from tallybook.client.settings import ClientSettings, journal_place
from tallybook.deliver.http import KeepAliveHttp
from tallybook.deliver.outbox import Outbox
from tallybook.deliver.poller import Poller


def outbox_for(settings: ClientSettings, addresses: Addresses) -> Outbox:
    """The outbox of a client; it starts working with its first event.

    Raises:
        ConfigError: There is a token for events, and no address it could be for.
    """
    delivery = settings.delivery
    if delivery.gzip is None:
        delivery = replace(delivery, gzip=bool(addresses.server_url) and settings.event_url is None)
    http = settings.http or KeepAliveHttp(delivery.request_timeout_s)
    if settings.event_token is not None:
        from tallybook.deliver.authorized import AuthorizedHttp  # noqa: PLC0415 - for its users only

        http = AuthorizedHttp(http, addresses.for_event_token(), settings.event_token)
    return Outbox(delivery, http, surroundings=settings.surroundings, place=journal_place(settings))


def aim_when_ready(outbox: Outbox, revisions: Revisions) -> None:
    """Have what processes that are gone have left for the same place delivered too."""
    may_take_long = revisions.newest is None  # then it is done on the thread that brings one

    def aim() -> None:
        revision = revisions.newest
        if revision is not None:
            outbox.aim(revision.envelope.url, may_take_long=may_take_long)

    revisions.when_ready(aim)


def start_polling(url: str, offer: Callable[[bytes], bool], settings: ClientSettings) -> Poller:
    """Ask ``url`` for datafiles from now on, and hand them to ``offer``."""
    poller = Poller(
        url,
        offer,
        settings.http or KeepAliveHttp(settings.polling.request_timeout_s),
        settings.polling,
        access_token=settings.datafile_access_token,
        surroundings=settings.surroundings,
    )
    poller.start()
    return poller


def retire(outbox: Outbox, poller: Poller | None, services: Services) -> None:
    """Finish what is there and end, without anybody waiting for it."""
    outbox.retire()
    services.retire()
    if poller is not None:
        poller.stop(timeout_s=0)
