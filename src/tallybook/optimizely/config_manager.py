"""Config managers: where a client's datafile comes from."""

from __future__ import annotations

import threading
import weakref
from abc import ABC, abstractmethod
from typing import Any, Final

from tallybook.client.addresses import Addresses
from tallybook.client.arguments import number_of
from tallybook.client.diagnostics import Diagnostics
from tallybook.client.revision import Revision, Revisions
from tallybook.deliver.process import tell_of_forks
from tallybook.deliver.settings import bounded_s
from tallybook.errors import DatafileError
from tallybook.model.text import excerpt
from tallybook.optimizely._askable import askable
from tallybook.optimizely._logging import Logger, adapted
from tallybook.optimizely._polling import ManagedPoller
from tallybook.optimizely._validity import is_beyond_schema, require_plugs
from tallybook.optimizely.error_handler import ErrorHandler, NoOpErrorHandler, told_to
from tallybook.optimizely.exceptions import InvalidInputException
from tallybook.optimizely.helpers.enums import ConfigManager
from tallybook.optimizely.logger import NoOpLogger, adapt_logger
from tallybook.optimizely.notification_center import NotificationCenter
from tallybook.optimizely.optimizely_config import OptimizelyConfig, OptimizelyConfigService
from tallybook.optimizely.project_config import SENT_BY, ProjectConfig

_LEAST_ADVISABLE_INTERVAL_S: Final = 30


class BaseConfigManager(ABC):
    """Where a client's datafile comes from; one of your own has the two methods.

    Raises:
        InvalidInputException: Logger, error handler or notification center cannot be used.
    """

    def __init__(
        self,
        logger: Logger | None = None,
        error_handler: ErrorHandler | None = None,
        notification_center: NotificationCenter | None = None,
    ) -> None:
        self.logger = adapt_logger(askable(logger) or NoOpLogger())
        self.error_handler: ErrorHandler = askable(error_handler) or NoOpErrorHandler()
        center = askable(notification_center) or NotificationCenter(self.logger)
        self.notification_center: NotificationCenter = center
        require_plugs(self.logger, self.error_handler, self.notification_center)

    @abstractmethod
    def get_config(self) -> ProjectConfig | None:
        """The newest config, ``None`` while there is none."""

    @abstractmethod
    def get_sdk_key(self) -> str | None:
        """What names the environment the datafile is of."""


class StaticConfigManager(BaseConfigManager):
    """One datafile, given at once. What cannot be read is logged, and there is no config then.

    ``skip_json_validation`` changes nothing but who is told of a fault: what is used of a datafile
    is always checked.
    """

    def __init__(
        self,
        datafile: str | None = None,
        logger: Logger | None = None,
        error_handler: ErrorHandler | None = None,
        notification_center: NotificationCenter | None = None,
        skip_json_validation: bool | None = False,
    ) -> None:
        super().__init__(logger, error_handler, notification_center)
        self._diagnostics = Diagnostics(told_to(self.error_handler), adapted(self.logger))
        self._revisions = Revisions(
            Addresses(), SENT_BY, self.notification_center, self._diagnostics
        )
        self._config: ProjectConfig | None = None
        self._described: tuple[ProjectConfig, OptimizelyConfig | None] | None = None
        self._sdk_key: str | None = None
        self.validate_schema = not askable(skip_json_validation)
        self._set_config(datafile)

    @property
    def newest(self) -> Revision | None:
        """What a client decides by, ``None`` while there is no config."""
        return self._revisions.newest

    @property
    def optimizely_config(self) -> OptimizelyConfig | None:
        """The config described, once somebody asks; from then on always the same object."""
        config = self.get_config()
        if config is None:
            return None
        if self._described is None or self._described[0] is not config:
            service = OptimizelyConfigService(config, self.logger)
            self._described = (config, service.get_config())
        return self._described[1]

    def get_config(self) -> ProjectConfig | None:
        """The newest config, ``None`` while there is none."""
        revision = self._revisions.newest
        if revision is None:
            return None
        config = self._config
        if config is None or config.prepared is not revision:
            config = ProjectConfig.of(revision, self.logger, self.error_handler)
            self._config = config
        return config

    def get_sdk_key(self) -> str | None:
        """What names the environment: the first key that was known."""
        return self._sdk_key

    def _set_config(self, datafile: str | bytes | None) -> bool:
        try:
            self._revisions.install(datafile)  # type: ignore[arg-type]  # refused, not raised
        except DatafileError as error:
            self._diagnostics.logger.error("The datafile is not used: %s", error)  # noqa: TRY400 - one line
            if not self.validate_schema or is_beyond_schema(error):
                self._diagnostics.hand_over(error)
            return False
        newest = self._revisions.newest
        self._sdk_key = self._sdk_key or (newest.project.sdk_key if newest else None)
        return True


class PollingConfigManager(StaticConfigManager):
    """A datafile that is asked for again and again, in the background, from now on.

    Args:
        sdk_key: Which environment's; unless given, the key in ``datafile``.
        datafile: Where to begin.
        update_interval: Seconds between two questions; 300 unless given.
        blocking_timeout: Seconds that a call waits while no datafile has ever come; 10 unless
            given.
        url: Where it is.
        url_template: The same with ``{sdk_key}`` to be filled in.
        logger: Where this logs.
        error_handler: Who is told of a datafile that cannot be read.
        notification_center: Who is told of a new config.
        skip_json_validation: See :class:`StaticConfigManager`.
        retries: Kept as an attribute: a question that fails is asked again, with growing pauses,
            until there is an answer.

    Raises:
        InvalidInputException: An argument cannot be used, or there is neither a key nor a URL.
    """

    DATAFILE_URL_TEMPLATE: str = ConfigManager.DATAFILE_URL_TEMPLATE

    def __init__(  # noqa: PLR0913, PLR0917 - as the official one
        self,
        sdk_key: str | None = None,
        datafile: str | None = None,
        update_interval: float | None = None,
        blocking_timeout: int | None = None,
        url: str | None = None,
        url_template: str | None = None,
        logger: Logger | None = None,
        error_handler: ErrorHandler | None = None,
        notification_center: NotificationCenter | None = None,
        skip_json_validation: bool | None = False,
        retries: int | None = 3,
    ) -> None:
        self._arrived = threading.Event()
        super().__init__(datafile, logger, error_handler, notification_center, skip_json_validation)
        self._sdk_key = askable(sdk_key) or self._sdk_key
        template = askable(url_template) or self.DATAFILE_URL_TEMPLATE
        self.datafile_url = self.get_datafile_url(self._sdk_key, url, template)
        self.retries = retries
        self.set_update_interval(update_interval)
        self.set_blocking_timeout(blocking_timeout)
        token = getattr(self, "datafile_access_token", None)
        self._poller = ManagedPoller(self, token, self._diagnostics.logger)
        # Who polls does not hold this manager: when nobody else does, polling may end.
        weakref.finalize(self, self._poller.stop, 0).atexit = False
        tell_of_forks(self)
        self.start()

    @staticmethod
    def get_datafile_url(sdk_key: str | None, url: str | None, url_template: str | None) -> str:
        """Where the datafile is.

        Raises:
            InvalidInputException: Neither a key nor a URL is given, or the key cannot be filled in.
        """
        if url is not None:
            return url
        if sdk_key is None:
            raise InvalidInputException("an sdk_key or a url is needed")
        try:
            return url_template.format(sdk_key=sdk_key)  # type: ignore[union-attr]  # see below
        except Exception as error:  # of what is no template, or a key's own code
            message = f"url_template: {excerpt(url_template)} is none"
            raise InvalidInputException(message) from error

    @property
    def newest(self) -> Revision | None:
        """What a client decides by; waits while no datafile has ever come."""
        revision = self._revisions.newest
        if revision is None:
            self._arrived.wait(bounded_s(self.blocking_timeout))
            revision = self._revisions.newest
        return revision

    def get_config(self) -> ProjectConfig | None:
        """The newest config; waits for it while no datafile has ever come."""
        return super().get_config() if self.newest else None

    @property
    def is_running(self) -> bool:
        """True while the datafile is asked for."""
        return self._poller.is_asking

    def start(self) -> None:
        """Ask from now on."""
        if not self.is_running:
            self._poller.start()

    def stop(self) -> None:
        """Ask no more, and let nobody wait any longer."""
        self._poller.stop()
        self._arrived.set()

    def fetch_datafile(self) -> None:
        """Ask once, now, on the calling thread."""
        self._poller.ask()

    def set_update_interval(self, update_interval: float | None) -> None:
        """Ask every so many seconds, from the next pause on.

        Raises:
            InvalidInputException: It is no number.
        """
        default = ConfigManager.DEFAULT_UPDATE_INTERVAL
        value = self._seconds("update_interval", update_interval, default)
        if value <= 0:
            self._diagnostics.logger.debug("update_interval: %s is too small: %s.", value, default)
            value = default
        if value < _LEAST_ADVISABLE_INTERVAL_S:
            self._diagnostics.logger.warning("An update interval below 30 seconds is not advised.")
        self.update_interval = value

    def set_blocking_timeout(self, blocking_timeout: float | None) -> None:
        """Let calls wait so many seconds for the first datafile.

        Raises:
            InvalidInputException: It is no number.
        """
        default = ConfigManager.DEFAULT_BLOCKING_TIMEOUT
        value = self._seconds("blocking_timeout", blocking_timeout, default)
        if value < 0:
            self._diagnostics.logger.debug("blocking_timeout: %s is too small: %s.", value, default)
            value = default
        self.blocking_timeout = value

    def take(self, datafile: bytes) -> bool:
        """Use a datafile that came; false when it cannot be."""
        return self._set_config(datafile) is not False  # one's own may answer nothing

    def begin_in_child(self) -> None:
        """Have an event of its own: the parent's may be locked for ever."""
        had_arrived = self._arrived.is_set()
        self._arrived = threading.Event()
        if had_arrived:
            self._arrived.set()

    def _set_config(self, datafile: str | bytes | None) -> bool:
        if not askable(datafile):
            return False
        try:
            return super()._set_config(datafile)
        finally:
            self._arrived.set()

    def _seconds(self, name: str, value: Any, default: int) -> float:
        if value is None:
            self._diagnostics.logger.debug("%s: %s seconds, since none is given.", name, default)
            return default
        number = number_of(value)
        if number is None or number != number:  # noqa: PLR0124 - NaN
            found = excerpt(value)
            raise InvalidInputException(f"{name}: expected a number of seconds, found {found}")
        return number


class AuthDatafilePollingConfigManager(PollingConfigManager):
    """A :class:`PollingConfigManager` for an environment whose datafile is not public.

    Raises:
        InvalidInputException: The token is empty, or as for any other.
    """

    DATAFILE_URL_TEMPLATE: str = ConfigManager.AUTHENTICATED_DATAFILE_URL_TEMPLATE

    def __init__(self, datafile_access_token: str, *args: Any, **kwargs: Any) -> None:
        try:
            token = str(datafile_access_token or "")
        except Exception:  # noqa: BLE001 - an object that has no text
            token = ""
        if not token:
            raise InvalidInputException("datafile_access_token: expected text that is not empty")
        self.datafile_access_token = datafile_access_token
        super().__init__(*args, **kwargs)
