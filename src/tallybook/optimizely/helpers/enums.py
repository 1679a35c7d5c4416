"""Names and numbers people import from here, without the official SDK's log sentences."""

from __future__ import annotations

import logging
from typing import Final

from tallybook.model.decision import DecisionSource
from tallybook.notify import NotificationType


class ConfigManager:
    """Where datafiles are, and how often and how long they are asked for, in seconds."""

    AUTHENTICATED_DATAFILE_URL_TEMPLATE: Final = (
        "https://config.optimizely.com/datafiles/auth/{sdk_key}.json"
    )
    AUTHORIZATION_HEADER_DATA_TEMPLATE: Final = "Bearer {datafile_access_token}"
    DATAFILE_URL_TEMPLATE: Final = "https://cdn.optimizely.com/datafiles/{sdk_key}.json"
    DEFAULT_BLOCKING_TIMEOUT: Final = 10
    DEFAULT_UPDATE_INTERVAL: Final = 300
    REQUEST_TIMEOUT: Final = 10


class ControlAttributes:
    """Attributes that steer deciding instead of describing a visitor."""

    BOT_FILTERING: Final = "$opt_bot_filtering"
    BUCKETING_ID: Final = "$opt_bucketing_id"
    USER_AGENT: Final = "$opt_user_agent"


class DatafileVersions:
    """Versions of datafiles that are read."""

    V2: Final = "2"
    V3: Final = "3"
    V4: Final = "4"


class DecisionNotificationTypes:
    """What a listener of decisions is told was decided."""

    AB_TEST: Final = "ab-test"
    ALL_FEATURE_VARIABLES: Final = "all-feature-variables"
    FEATURE: Final = "feature"
    FEATURE_TEST: Final = "feature-test"
    FEATURE_VARIABLE: Final = "feature-variable"
    FLAG: Final = "flag"


class DecisionSources:
    """What kind of rule decided."""

    EXPERIMENT: Final = DecisionSource.EXPERIMENT.value
    FEATURE_TEST: Final = DecisionSource.FEATURE_TEST.value
    ROLLOUT: Final = DecisionSource.ROLLOUT.value
    HOLDOUT: Final = DecisionSource.HOLDOUT.value


class EventDispatchConfig:
    """How the official dispatcher sends: the patience with a request in seconds, and retries."""

    REQUEST_TIMEOUT: Final = 10
    RETRIES: Final = 3


class ExperimentTypes:
    """Types of rules."""

    ab: Final = "ab"
    mab: Final = "mab"
    cmab: Final = "cmab"
    td: Final = "td"
    fr: Final = "fr"


class HTTPHeaders:
    """Headers of requests and answers."""

    AUTHORIZATION: Final = "Authorization"
    IF_MODIFIED_SINCE: Final = "If-Modified-Since"
    LAST_MODIFIED: Final = "Last-Modified"


class HTTPVerbs:
    """Methods of requests."""

    GET: Final = "GET"
    POST: Final = "POST"


class LogLevels:
    """The levels of the standard library's logging."""

    NOTSET: Final = logging.NOTSET
    DEBUG: Final = logging.DEBUG
    INFO: Final = logging.INFO
    WARNING: Final = logging.WARNING
    ERROR: Final = logging.ERROR
    CRITICAL: Final = logging.CRITICAL


class NotificationTypes:
    """What can be listened to."""

    ACTIVATE: Final = NotificationType.ACTIVATE.value
    DECISION: Final = NotificationType.DECISION.value
    OPTIMIZELY_CONFIG_UPDATE: Final = NotificationType.OPTIMIZELY_CONFIG_UPDATE.value
    TRACK: Final = NotificationType.TRACK.value
    LOG_EVENT: Final = NotificationType.LOG_EVENT.value


class OdpEventApiConfig:
    """Patience with a request that carries events to the customer data platform, in seconds."""

    REQUEST_TIMEOUT: Final = 10


class OdpEventManagerConfig:
    """How events for the customer data platform wait and are sent; the interval in seconds."""

    DEFAULT_QUEUE_CAPACITY: Final = 1000
    DEFAULT_BATCH_SIZE: Final = 10
    DEFAULT_FLUSH_INTERVAL: Final = 1
    DEFAULT_RETRY_COUNT: Final = 3


class OdpManagerConfig:
    """What the customer data platform knows a user and an event by."""

    KEY_FOR_USER_ID: Final = "fs_user_id"
    EVENT_TYPE: Final = "fullstack"


class OdpSegmentApiConfig:
    """Patience with a request for a user's segments, in seconds."""

    REQUEST_TIMEOUT: Final = 10


class OdpSegmentsCacheConfig:
    """How many users' segments are kept, and for how many seconds."""

    DEFAULT_CAPACITY: Final = 10000
    DEFAULT_TIMEOUT_SECS: Final = 600


class VersionType:
    """What a semantic version's suffix begins with."""

    IS_PRE_RELEASE: Final = "-"
    IS_BUILD: Final = "+"
