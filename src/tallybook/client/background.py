"""What works behind a client: the outbox of its events, and the polling of its datafile."""

from __future__ import annotations

import os
from collections.abc import Callable

from msgspec.structs import replace

from tallybook.client.addresses import Addresses
from tallybook.client.services import Services
from tallybook.client.settings import FROM_ENVIRONMENT, JOURNAL_VARIABLE, ClientSettings
from tallybook.deliver.http import KeepAliveHttp
from tallybook.deliver.journal import Journal
from tallybook.deliver.outbox import Outbox
from tallybook.deliver.poller import Poller
from tallybook.deliver.settings import DeliverySettings


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
    return Outbox(
        delivery, http, surroundings=settings.surroundings, journal=_journal(settings, delivery)
    )


def _journal(settings: ClientSettings, delivery: DeliverySettings) -> Journal | None:
    directory = settings.journal
    if directory == FROM_ENVIRONMENT:
        # What a transport of the caller's own carries may be no real events.
        directory = None if settings.http else os.environ.get(JOURNAL_VARIABLE) or None
    if directory is None:
        return None
    from tallybook.deliver.disk_journal import DiskJournal  # noqa: PLC0415 - for its users only

    return DiskJournal(delivery, directory, settings.surroundings)


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
