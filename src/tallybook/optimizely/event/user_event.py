"""What happened, as an event processor is given it."""

from __future__ import annotations

import uuid
from typing import Any, Final

from tallybook.client.settings import CLIENT_NAME as NAME
from tallybook.client.settings import CLIENT_VERSION, now_ms
from tallybook.optimizely.entities import Event, Experiment, Variation
from tallybook.optimizely.event.payload import VisitorAttribute

CLIENT_NAME: Final = NAME


class EventContext:
    """Whose event it is: the project, its datafile's revision, and the SDK.

    Attributes:
        event_url: Where the event goes instead of the region's own place.
    """

    event_url: str | None = None

    def __init__(
        self, account_id: str, project_id: str, revision: str, anonymize_ip: bool, region: str
    ) -> None:
        self.account_id = account_id
        self.project_id = project_id
        self.revision = revision
        self.client_name = CLIENT_NAME
        self.client_version = CLIENT_VERSION
        self.anonymize_ip = anonymize_ip
        self.region = region


class UserEvent:
    """What every event has.

    Attributes:
        uuid: Which one it is: sent twice it counts once.
        timestamp: When it happened, in milliseconds since the epoch.
    """

    def __init__(
        self,
        event_context: EventContext,
        user_id: str,
        visitor_attributes: list[VisitorAttribute],
        bot_filtering: bool | None = None,
    ) -> None:
        self.event_context = event_context
        self.user_id = user_id
        self.visitor_attributes = visitor_attributes
        self.bot_filtering = bot_filtering
        self.uuid = str(uuid.uuid4())
        self.timestamp = now_ms()


class ImpressionEvent(UserEvent):
    """A user was shown a variation; where no rule decided, all of ``experiment`` is empty."""

    def __init__(  # noqa: PLR0913, PLR0917 - as official
        self,
        event_context: EventContext,
        user_id: str,
        experiment: Experiment,
        visitor_attributes: list[VisitorAttribute],
        variation: Variation | dict[str, Any] | None,
        flag_key: str,
        rule_key: str,
        rule_type: str,
        enabled: bool,
        bot_filtering: bool | None = None,
        cmab_uuid: str | None = None,
    ) -> None:
        super().__init__(event_context, user_id, visitor_attributes, bot_filtering)
        self.experiment = experiment
        self.variation = variation
        self.flag_key = flag_key
        self.rule_key = rule_key
        self.rule_type = rule_type
        self.enabled = enabled
        self.cmab_uuid = cmab_uuid


class ConversionEvent(UserEvent):
    """A user did something that counts."""

    def __init__(
        self,
        event_context: EventContext,
        event: Event | None,
        user_id: str,
        visitor_attributes: list[VisitorAttribute],
        event_tags: dict[str, Any] | None,
        bot_filtering: bool | None = None,
    ) -> None:
        super().__init__(event_context, user_id, visitor_attributes, bot_filtering)
        self.event = event
        self.event_tags = event_tags
