"""What a client is put together from: its plugs checked, its defaults made, its calls wired."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final, cast

from tallybook.client.arguments import is_dict
from tallybook.client.calls import Calls
from tallybook.client.context import Decision, UserContext
from tallybook.client.diagnostics import Diagnostics
from tallybook.client.memories import Memories
from tallybook.client.revision import RevisionSource
from tallybook.model.reason import Reason
from tallybook.model.text import excerpt
from tallybook.optimizely._askable import askable
from tallybook.optimizely._customer_data import CustomerData
from tallybook.optimizely._predictions import Predictions
from tallybook.optimizely._recording import Processes, recorder_for
from tallybook.optimizely._sources import NoSource, source_of
from tallybook.optimizely._validity import require, require_plugs
from tallybook.optimizely.config_manager import (
    AuthDatafilePollingConfigManager,
    BaseConfigManager,
    PollingConfigManager,
    StaticConfigManager,
)
from tallybook.optimizely.decision.optimizely_decision import OptimizelyDecision
from tallybook.optimizely.error_handler import told_to
from tallybook.optimizely.event.event_processor import BatchEventProcessor
from tallybook.optimizely.helpers.sdk_settings import OptimizelySdkSettings
from tallybook.optimizely.notification_center import NotificationCenter
from tallybook.optimizely.odp.lru_cache import LRUCache

PROCESSOR_OPTIONS: Final[Mapping[str, Any]] = {
    "batch_size": 1,
    "flush_interval": 30,
    "timeout_interval": 5,
    "start_on_init": True,
}


def require_usable(client: Any) -> None:
    """Demand that everything a client was given can be used, in the official order.

    Raises:
        InvalidInputException: Something cannot.
    """
    settings = client.sdk_settings
    if client.config_manager:
        require("config_manager", client.config_manager, "get_config")
    require("event_dispatcher", client.event_dispatcher, "dispatch_event")
    require_plugs(client.logger, client.error_handler, client.notification_center)
    if client.event_processor:
        require("event_processor", client.event_processor, "process")
    if settings.segments_cache:
        require("settings.segments_cache", settings.segments_cache, "reset", "lookup", "save")
    if settings.odp_segment_manager:
        segments = settings.odp_segment_manager
        require("settings.odp_segment_manager", segments, "fetch_qualified_segments", "reset")
    if settings.odp_event_manager:
        events = settings.odp_event_manager
        require("settings.odp_event_manager", events, "send_event", "stop", "update_config")


def settings_of(given: object, logger: logging.Logger) -> OptimizelySdkSettings:
    """The settings given, or those of nobody in particular."""
    if isinstance(askable(given), OptimizelySdkSettings):
        return cast("OptimizelySdkSettings", given)
    if given is not None:
        logger.debug("settings: expected OptimizelySdkSettings; the defaults are used.")
    return OptimizelySdkSettings()


def options_of(given: object, logger: logging.Logger) -> list[str]:
    """A copy of the default options given, none if they are no list."""
    if isinstance(askable(given), list):
        return list(cast("list[str]", given))
    if given is not None:
        logger.debug("default_decide_options: expected a list; there are none.")
    return []


def processor_options(given: object, logger: logging.Logger) -> dict[str, Any]:
    """The arguments of a client's own batch processor, those given before the usual ones."""
    usable = given if is_dict(given) else {}
    if given is not None and not is_dict(given):
        logger.error("event_processor_options: expected a dict, found %s.", excerpt(given))
    return {**PROCESSOR_OPTIONS, **usable}


def manager_of(sdk_key: str | None, access_token: str | None, **options: Any) -> BaseConfigManager:
    """The config manager for what is known of the datafile.

    Raises:
        InvalidInputException: The key cannot be used.
    """
    sdk_key, access_token = askable(sdk_key), askable(access_token)
    if sdk_key and access_token:
        return AuthDatafilePollingConfigManager(access_token, sdk_key=sdk_key, **options)
    if sdk_key:
        return PollingConfigManager(sdk_key=sdk_key, **options)
    return StaticConfigManager(**options)


def calls_of(client: Any, logger: logging.Logger) -> Calls:
    """The calls of a client that can be used."""
    diagnostics = Diagnostics(told_to(client.error_handler), logger)
    source = source_of(client.config_manager, client.sdk_settings.event_url, logger)
    recorder = recorder_for(cast("Processes", client.event_processor), diagnostics)
    if type(client.config_manager) is StaticConfigManager:  # others may have one wait
        _aim(client.event_processor, source)
    return Calls(
        source,
        recorder,
        client.notification_center,
        Memories(client.user_profile_service, diagnostics),
        diagnostics,
        default_options=client.default_decide_options,
        new_decision=_decision,
        predictions=Predictions(client),
    )


def _aim(processor: object, source: RevisionSource) -> None:
    """Have what processes that are gone have left for the same place delivered too."""
    revision = source.newest
    if isinstance(processor, BatchEventProcessor) and revision is not None:
        processor.outbox.aim(revision.envelope.url)


def customer_data_of(client: Any, logger: logging.Logger) -> CustomerData:
    """The customer data of a client that has its calls; a cache that was not given is shared."""
    settings, calls = client.sdk_settings, client._calls  # noqa: SLF001 - its client
    if settings.odp_disabled:
        logger.info("The customer data platform is switched off.")
    elif settings.segments_cache is None:
        size, timeout_s = settings.segments_cache_size, settings.segments_cache_timeout_in_secs
        settings.segments_cache = LRUCache(size, timeout_s)
    data = CustomerData(settings, calls.revisions, logger)
    if data.is_foreign:
        if not isinstance(client.config_manager, PollingConfigManager):  # whose datafile may come
            data.tell()
        data.tell_at_once(client.notification_center)
    return data


def calls_of_nobody(logger: logging.Logger) -> Calls:
    """The calls of a client that cannot be used: whatever is asked, there is no datafile."""
    diagnostics = Diagnostics(logger=logger)
    return Calls(
        NoSource(),
        recorder_for(BatchEventProcessor(), diagnostics),
        NotificationCenter(),
        Memories(None, diagnostics),
        diagnostics,
        new_decision=_decision,
    )


def _decision(  # noqa: PLR0913 - what a decision is made of
    *,
    variation_key: str | None,
    enabled: bool,
    variables: dict[str, Any],
    rule_key: str | None,
    flag_key: str,
    user_context: UserContext,
    reasons: list[str],
    steps: tuple[Reason, ...],  # noqa: ARG001 - what is decided has no such thing here
) -> Decision:
    decision = OptimizelyDecision(
        variation_key, enabled, variables, rule_key, flag_key, user_context, reasons
    )
    return cast("Decision", decision)
