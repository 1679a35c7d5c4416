"""How a client's services are made of its settings."""

from __future__ import annotations

import logging
from functools import partial

from tallybook.client.customer_data import CustomerData
from tallybook.client.errands import Errands
from tallybook.client.prediction_fetching import PredictionFetcher, to_logger
from tallybook.client.predictions import THREAD_NAME, PredictionService
from tallybook.client.revision import RevisionSource
from tallybook.client.segments import SegmentService
from tallybook.client.service_settings import CmabSettings
from tallybook.client.settings import ClientSettings, journal_place
from tallybook.deliver.ask import AskingHttp
from tallybook.deliver.http import KeepAliveHttp
from tallybook.deliver.lru_cache import LruCache
from tallybook.deliver.odp_events import OdpEvents, OdpSource, odp_settings
from tallybook.deliver.quiet_log import QuietLog
from tallybook.deliver.segments import fetch_segments


def prediction_service(settings: ClientSettings, logger: logging.Logger) -> PredictionService:
    """What predicts for a client's contextual bandits."""
    cmab = settings.cmab or CmabSettings()
    monotonic = settings.surroundings.monotonic
    quiet = QuietLog(monotonic, logger=logger)
    http = settings.http or AskingHttp(cmab.request_timeout_s)
    say = to_logger(logger) if cmab.waits else quiet.say
    return PredictionService(
        PredictionFetcher(http, cmab.endpoint, say),
        LruCache(cmab.cache_size, cmab.cache_timeout_s, monotonic),
        logger,
        errands=None if cmab.waits else Errands(THREAD_NAME, quiet),
    )


def customer_data(
    settings: ClientSettings, revisions: RevisionSource, logger: logging.Logger
) -> CustomerData:
    """What asks and tells a client's customer data platform."""
    odp, surroundings = settings.odp, settings.surroundings
    segments = SegmentService(
        partial(fetch_segments, settings.http or AskingHttp(odp.segments_timeout_s)),
        LruCache(odp.cache_size, odp.cache_timeout_s, surroundings.monotonic),
        logger,
    )
    events = OdpEvents(
        odp_settings(odp.flush_interval_s, odp.events_timeout_s, settings.delivery.exit_timeout_s),
        settings.http or KeepAliveHttp(odp.events_timeout_s),
        OdpSource(settings.client_name, settings.client_version),
        surroundings=surroundings,
        new_uuid=settings.new_uuid,
        place=journal_place(settings),
    )
    return CustomerData(revisions, segments, events, logger)
