"""The client, as the official SDK has it, over the parts of the native one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tallybook.client.arguments import is_dict, is_user, shown
from tallybook.client.by_user_id import CallsByUserId
from tallybook.client.diagnostics import Diagnostics
from tallybook.client.memories import UserProfileService
from tallybook.model.text import excerpt, is_text, plain
from tallybook.optimizely._askable import askable
from tallybook.optimizely._assembly import (
    calls_of,
    calls_of_nobody,
    customer_data_of,
    manager_of,
    options_of,
    processor_options,
    require_usable,
    settings_of,
)
from tallybook.optimizely._customer_data import CustomerData
from tallybook.optimizely._logging import Logger, adapted
from tallybook.optimizely._predictions import CmabParts, new_service
from tallybook.optimizely.config_manager import BaseConfigManager
from tallybook.optimizely.error_handler import ErrorHandler, NoOpErrorHandler
from tallybook.optimizely.event.event_processor import BaseEventProcessor, BatchEventProcessor
from tallybook.optimizely.event_dispatcher import CustomEventDispatcher, EventDispatcher
from tallybook.optimizely.exceptions import InvalidInputException
from tallybook.optimizely.helpers.enums import OdpManagerConfig
from tallybook.optimizely.helpers.sdk_settings import OptimizelySdkSettings
from tallybook.optimizely.logger import NoOpLogger, adapt_logger, reset_logger
from tallybook.optimizely.notification_center import NotificationCenter
from tallybook.optimizely.optimizely_config import OptimizelyConfig, OptimizelyConfigService
from tallybook.optimizely.optimizely_user_context import OptimizelyUserContext, UserAttributes
from tallybook.optimizely.project_config import ProjectConfig

if TYPE_CHECKING:
    from tallybook.optimizely.odp.odp_manager import OdpManager


class Optimizely(CallsByUserId):
    """Decides and tracks for the users of one project. Thread-safe.

    Args:
        datafile: The project, as JSON.
        event_dispatcher: What carries events; the SDK's own connections unless given.
        logger: Where the client logs; nowhere unless given.
        error_handler: Who is told of errors, a class or an object.
        skip_json_validation: See :class:`StaticConfigManager`.
        user_profile_service: Where visitors' variations are kept, so that they stay.
        sdk_key: Which environment's datafile to poll.
        config_manager: Where the datafile comes from, whatever ``datafile`` and ``sdk_key`` say.
        notification_center: Where listeners are; a new one unless given.
        event_processor: What takes events; a batch processor unless given.
        datafile_access_token: Sent with each poll.
        default_decide_options: Options every decide call has, besides its own.
        event_processor_options: Arguments of the batch processor.
        settings: Everything else.
        cmab_service: What decides for contextual bandits.

    Attributes:
        is_valid: False when an argument cannot be used. It is logged, and every call answers as if
            there were no datafile.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - as the official one
        self,
        datafile: str | None = None,
        event_dispatcher: CustomEventDispatcher | None = None,
        logger: Logger | None = None,
        error_handler: ErrorHandler | None = None,
        skip_json_validation: bool | None = False,
        user_profile_service: UserProfileService | None = None,
        sdk_key: str | None = None,
        config_manager: BaseConfigManager | None = None,
        notification_center: NotificationCenter | None = None,
        event_processor: BaseEventProcessor | None = None,
        datafile_access_token: str | None = None,
        default_decide_options: list[str] | None = None,
        event_processor_options: dict[str, Any] | None = None,
        settings: OptimizelySdkSettings | None = None,
        cmab_service: Any = None,
    ) -> None:
        self.logger_name = f"{__name__}.{self.__class__.__name__}"
        self.event_dispatcher = askable(event_dispatcher) or EventDispatcher
        self.logger = adapt_logger(askable(logger) or NoOpLogger())
        self.error_handler = askable(error_handler) or NoOpErrorHandler
        self.config_manager = askable(config_manager) or None
        self.notification_center: NotificationCenter = askable(
            notification_center
        ) or NotificationCenter(self.logger)
        self.event_processor = askable(event_processor) or None
        self.default_decide_options = options_of(default_decide_options, adapted(self.logger))
        self.sdk_settings = settings_of(settings, adapted(self.logger))
        self.user_profile_service = user_profile_service
        self._cmab = CmabParts(self.sdk_settings.cmab_prediction_endpoint)
        if askable(cmab_service):
            self.cmab_service = cmab_service
        self.is_valid = self._is_usable()
        if self.event_processor is None:
            self.event_processor = BatchEventProcessor(
                self.event_dispatcher,
                self.logger,
                notification_center=self.notification_center,
                **processor_options(event_processor_options, adapted(self.logger)),
            )
        log = adapted(self.logger)
        self._identify: Callable[[str], None] | None = None
        if not self.is_valid:
            self._calls = calls_of_nobody(log)
            self._customer_data = CustomerData(OptimizelySdkSettings(), self._calls.revisions, log)
            return
        if self.config_manager is None:
            self.config_manager = manager_of(
                sdk_key,
                datafile_access_token,
                datafile=datafile,
                logger=self.logger,
                error_handler=self.error_handler,
                notification_center=self.notification_center,
                skip_json_validation=skip_json_validation,
            )
        self._calls = calls_of(self, log)
        self._customer_data = customer_data_of(self, log)
        if self._customer_data.is_foreign:
            self._identify = self._customer_data.identify

    @cached_property
    def odp_manager(self) -> OdpManager:
        """What asks and tells the customer data platform."""
        return self._customer_data.manager

    @cached_property
    def cmab_client(self) -> Any:
        """What asks for predictions, unless there is a service of somebody else's."""
        return self._cmab.new_client(self.logger)

    @cached_property
    def cmab_cache(self) -> Any:
        """Where they are kept."""
        return self._cmab.new_cache()

    @cached_property
    def cmab_service(self) -> Any:
        """What decides for contextual bandits."""
        return new_service(self)

    def _keep_predictions(
        self, cache: Any, cache_size: int | None, cache_timeout_s: int | None
    ) -> None:
        """Keep predictions as the factory was told to, which asks at the usual place."""
        self._cmab = CmabParts(None, cache, cache_size, cache_timeout_s)

    def create_user_context(
        self, user_id: str, attributes: dict[str, Any] | None = None
    ) -> OptimizelyUserContext | None:
        """A user to decide and track for; ``None``, and a line in the log, for a wrong type."""
        if not is_user(user_id, attributes, Diagnostics(logger=self._calls.logger)):
            return None
        known = None if attributes is None else UserAttributes(attributes)
        return OptimizelyUserContext(self, self.logger, user_id, known)

    def get_optimizely_config(self) -> OptimizelyConfig | None:
        """The datafile described by key; ``None`` before there is one."""
        config = self._config_for("get_optimizely_config")
        if config is None:
            return None
        manager: Any = self.config_manager
        if hasattr(manager, "optimizely_config"):
            described: OptimizelyConfig | None = manager.optimizely_config
            return described
        return OptimizelyConfigService(config, self.logger).get_config()

    def send_odp_event(
        self,
        action: str,
        identifiers: dict[str, str],
        type: str = OdpManagerConfig.EVENT_TYPE,  # noqa: A002 - as official
        data: dict[str, str | int | float | bool | None] | None = None,
    ) -> None:
        """Tell the customer data platform of something a user did.

        Args:
            action: What it was.
            identifiers: What the platform knows the user by, at least one.
            type: What kind of event it is.
            data: What else is known of it.
        """
        if not is_text(action) or not plain(action):
            message = "send_odp_event: the action must be a string, not empty, not %s."
            self._calls.logger.error(message, excerpt(action))
        elif not is_dict(identifiers) or not dict.__len__(identifiers):
            message = "send_odp_event: identifiers must be a dict, not empty, not %s."
            self._calls.logger.error(message, shown(identifiers))
        elif self._config_for("send_odp_event") is not None:
            kind = type if is_text(type) and plain(type) else OdpManagerConfig.EVENT_TYPE
            known = data if is_dict(data) else {}
            self._customer_data.send_event(kind, action, identifiers, known)

    def close(self) -> None:
        """Deliver what waits, and end what works in the background."""
        ends = ((self.event_processor, "stop"), (self._customer_data, "close"))
        for part, name in (*ends, (self.config_manager, "stop")):
            end = getattr(part, name, None)
            if callable(end):
                end()

    def _is_usable(self) -> bool:
        try:
            require_usable(self)
        except InvalidInputException:
            self.logger = reset_logger(self.logger_name)
            self.logger.exception("The client cannot be used.")
            return False
        return True

    def _config_for(self, call: str) -> ProjectConfig | None:
        manager = self.config_manager if self.is_valid else None
        config = manager.get_config() if manager else None
        if not config:
            self._calls.logger.error("%s: there is no valid datafile yet.", call)
        return config or None

    def _fetch_qualified_segments(
        self, user_id: str, options: list[str] | None = None
    ) -> list[str] | None:
        if self._config_for("fetch_qualified_segments") is None:
            return None
        wanted = options if isinstance(options, list) else []
        return self._customer_data.segments_of(user_id, wanted)
