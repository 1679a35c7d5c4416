"""Clients made with settings of the whole process."""

from __future__ import annotations

import logging
from typing import Any

from tallybook.client.memories import UserProfileService
from tallybook.optimizely._logging import Logger, adapted
from tallybook.optimizely.config_manager import BaseConfigManager, PollingConfigManager
from tallybook.optimizely.error_handler import ErrorHandler, NoOpErrorHandler
from tallybook.optimizely.event.event_processor import BatchEventProcessor
from tallybook.optimizely.event_dispatcher import CustomEventDispatcher, EventDispatcher
from tallybook.optimizely.helpers.sdk_settings import OptimizelySdkSettings
from tallybook.optimizely.logger import NoOpLogger, adapt_logger
from tallybook.optimizely.notification_center import NotificationCenter
from tallybook.optimizely.optimizely import Optimizely


class OptimizelyFactory:
    """Makes clients that poll, with the settings made here before."""

    max_event_batch_size: int | None = None
    max_event_flush_interval: int | None = None
    polling_interval: float | None = None
    blocking_timeout: int | None = None
    cmab_cache_size: int | None = None
    cmab_cache_ttl: int | None = None
    cmab_custom_cache: Any = None

    @staticmethod
    def set_batch_size(batch_size: int) -> int:
        """How many events a request carries at most."""
        OptimizelyFactory.max_event_batch_size = batch_size
        return batch_size

    @staticmethod
    def set_flush_interval(flush_interval: int) -> int:
        """How long, in seconds, the first event of a batch waits for company."""
        OptimizelyFactory.max_event_flush_interval = flush_interval
        return flush_interval

    @staticmethod
    def set_polling_interval(polling_interval: int) -> int:
        """How many seconds lie between two questions for the datafile."""
        OptimizelyFactory.polling_interval = polling_interval
        return polling_interval

    @staticmethod
    def set_blocking_timeout(blocking_timeout: int) -> int:
        """How many seconds calls wait for the first datafile."""
        OptimizelyFactory.blocking_timeout = blocking_timeout
        return blocking_timeout

    @staticmethod
    def set_cmab_cache_size(cache_size: int, logger: Logger | None = None) -> int | None:
        """How many predictions are kept; ``None``, and a line in the log, for what is no number."""
        is_count = isinstance(cache_size, int) and cache_size > 0
        if not is_count:
            _log(logger).error("cmab_cache_size: expected a positive whole number.")
            return None
        OptimizelyFactory.cmab_cache_size = cache_size
        return cache_size

    @staticmethod
    def set_cmab_cache_ttl(cache_ttl: int, logger: Logger | None = None) -> int | None:
        """For how many seconds; ``None``, and a line in the log, for what is no number."""
        is_time = isinstance(cache_ttl, int | float) and cache_ttl > 0
        if not is_time:
            _log(logger).error("cmab_cache_ttl: expected a positive number of seconds.")
            return None
        OptimizelyFactory.cmab_cache_ttl = int(cache_ttl)
        return OptimizelyFactory.cmab_cache_ttl

    @staticmethod
    def set_cmab_custom_cache(custom_cache: Any) -> Any:
        """What keeps predictions instead."""
        OptimizelyFactory.cmab_custom_cache = custom_cache
        return custom_cache

    @staticmethod
    def default_instance(sdk_key: str, datafile: str | None = None) -> Optimizely:
        """A client that polls; ``datafile`` is where it begins."""
        return OptimizelyFactory.custom_instance(sdk_key, datafile)

    @staticmethod
    def default_instance_with_config_manager(config_manager: BaseConfigManager) -> Optimizely:
        """A client with a config manager of one's own; no other setting counts for it."""
        return Optimizely(config_manager=config_manager)

    @staticmethod
    def custom_instance(  # noqa: PLR0913, PLR0917 - as the official one
        sdk_key: str,
        datafile: str | None = None,
        event_dispatcher: CustomEventDispatcher | None = None,
        logger: Logger | None = None,
        error_handler: ErrorHandler | None = None,
        skip_json_validation: bool | None = None,
        user_profile_service: UserProfileService | None = None,
        config_manager: BaseConfigManager | None = None,
        notification_center: NotificationCenter | None = None,
        settings: OptimizelySdkSettings | None = None,
    ) -> Optimizely:
        """A client with plugs of one's own; see :class:`Optimizely` for each.

        Raises:
            InvalidInputException: What polls the datafile cannot use its arguments.
        """
        error_handler = error_handler or NoOpErrorHandler()
        logger = adapt_logger(logger or NoOpLogger())
        notification_center = notification_center or NotificationCenter(logger)
        processor = BatchEventProcessor(
            event_dispatcher or EventDispatcher,
            logger,
            start_on_init=True,
            batch_size=OptimizelyFactory.max_event_batch_size,
            flush_interval=OptimizelyFactory.max_event_flush_interval,
            notification_center=notification_center,
        )
        config_manager = config_manager or PollingConfigManager(
            sdk_key,
            datafile,
            OptimizelyFactory.polling_interval,
            OptimizelyFactory.blocking_timeout,
            logger=logger,
            error_handler=error_handler,
            notification_center=notification_center,
            skip_json_validation=skip_json_validation,
        )
        client = Optimizely(
            datafile,
            event_dispatcher,
            logger,
            error_handler,
            skip_json_validation,
            user_profile_service,
            sdk_key,
            config_manager,
            notification_center,
            processor,
            settings=settings,
        )
        client._keep_predictions(  # noqa: SLF001 - its client
            OptimizelyFactory.cmab_custom_cache,
            OptimizelyFactory.cmab_cache_size,
            OptimizelyFactory.cmab_cache_ttl,
        )
        return client


def _log(logger: Logger | None) -> logging.Logger:
    return adapted(logger or NoOpLogger())
