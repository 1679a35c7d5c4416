"""A project's config: what a config manager's ``get_config`` answers.

A view of a revision. It has what is known by name in the official SDK: the settings, the getters,
the maps by key, and the sections of the datafile as they were written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Self, TypeVar

from tallybook.client.addresses import Addresses
from tallybook.client.revision import Revision, SentBy, prepare
from tallybook.client.settings import CLIENT_NAME, CLIENT_VERSION
from tallybook.errors import DatafileError
from tallybook.model.optimizely_config import OptimizelyConfig
from tallybook.model.project import Project
from tallybook.optimizely import entities
from tallybook.optimizely.exceptions import official

_Noun = TypeVar("_Noun")
_Entity = TypeVar("_Entity")

SENT_BY: Final = SentBy(CLIENT_NAME, CLIENT_VERSION)


class ProjectConfig:
    """What a datafile says.

    Args:
        datafile: The JSON.
        logger: Kept as an attribute.
        error_handler: Kept as an attribute.

    Attributes:
        prepared: What a client decides and writes events by.

    Raises:
        UnsupportedDatafileVersionException: The datafile is of a version nothing here reads.
        InvalidInputException: It cannot be read.
    """

    def __init__(self, datafile: str | bytes, logger: Any, error_handler: Any) -> None:
        try:
            self.prepared = prepare(datafile, Addresses(), SENT_BY)
        except DatafileError as error:
            raise official(error) from error
        self.logger = logger
        self.error_handler = error_handler
        self._made: dict[str, Any] = {}

    @classmethod
    def of(cls, revision: Revision, logger: Any, error_handler: Any) -> Self:
        """The view of a revision that is there already."""
        config = cls.__new__(cls)
        config.prepared = revision
        config.logger = logger
        config.error_handler = error_handler
        config._made = {}  # noqa: SLF001 - its own class
        return config

    @property
    def _project(self) -> Project:
        return self.prepared.project

    @property
    def version(self) -> str:
        """The datafile's version."""
        return self._project.version

    @property
    def revision(self) -> str:
        """The datafile's revision."""
        return self._project.revision

    @property
    def account_id(self) -> str:
        """Whose project it is."""
        return self._project.account_id

    @property
    def project_id(self) -> str:
        """Which project it is."""
        return self._project.project_id

    @property
    def sdk_key(self) -> str | None:
        """What the datafile is polled by."""
        return self._project.sdk_key

    @property
    def environment_key(self) -> str | None:
        """Which environment it is of."""
        return self._project.environment_key

    @property
    def anonymize_ip(self) -> bool:
        """True when the collector is to forget addresses."""
        return self._project.anonymize_ip

    @property
    def bot_filtering(self) -> bool | None:
        """Whether bots are filtered; ``None`` where the datafile does not say."""
        return self._project.bot_filtering

    @property
    def send_flag_decisions(self) -> bool:
        """True when every decision is sent, also of delivery rules."""
        return self._project.send_flag_decisions

    @property
    def region(self) -> str:
        """Where the project's data are kept."""
        return self._project.region

    @property
    def experiment_key_map(self) -> dict[str, entities.Experiment]:
        """Rules by key."""
        return self._map("rules", self._project.experiment_by_key, entities.experiment)

    @property
    def experiment_id_map(self) -> dict[str, entities.Experiment]:
        """Rules by id."""
        return self._map("rules by id", self._project.experiment_by_id, entities.experiment)

    @property
    def feature_key_map(self) -> dict[str, entities.FeatureFlag]:
        """Flags by key."""
        return self._map("flags", self._project.flag_by_key, entities.feature_flag)

    @property
    def event_key_map(self) -> dict[str, entities.Event]:
        """Events by key."""
        return self._map("events", self._project.event_by_key, entities.event)

    @property
    def attribute_key_map(self) -> dict[str, entities.Attribute]:
        """Attributes by key."""
        return self._map("attributes", self._project.attribute_by_key, entities.attribute)

    @property
    def experiments(self) -> list[Any]:
        """Experiments as the datafile has them."""
        return self._section("experiments")

    @property
    def feature_flags(self) -> list[Any]:
        """Flags as the datafile has them."""
        return self._section("featureFlags")

    @property
    def rollouts(self) -> list[Any]:
        """Delivery rules as the datafile has them."""
        return self._section("rollouts")

    @property
    def groups(self) -> list[Any]:
        """Groups as the datafile has them."""
        return self._section("groups")

    @property
    def events(self) -> list[Any]:
        """Events as the datafile has them."""
        return self._section("events")

    @property
    def attributes(self) -> list[Any]:
        """Attributes as the datafile has them."""
        return self._section("attributes")

    @property
    def audiences(self) -> list[Any]:
        """Audiences as the datafile has them."""
        return self._section("audiences")

    @property
    def integrations(self) -> list[Any]:
        """Integrations as the datafile has them."""
        return self._section("integrations")

    def to_datafile(self) -> str:
        """The datafile as it came."""
        return self.description().datafile

    def description(self) -> OptimizelyConfig:
        """The datafile described; always the same object."""
        return self.prepared.description.config()

    def get_version(self) -> str:
        """The datafile's version."""
        return self.version

    def get_revision(self) -> str:
        """The datafile's revision."""
        return self.revision

    def get_sdk_key(self) -> str | None:
        """What the datafile is polled by."""
        return self.sdk_key

    def get_environment_key(self) -> str | None:
        """Which environment it is of."""
        return self.environment_key

    def get_account_id(self) -> str:
        """Whose project it is."""
        return self.account_id

    def get_project_id(self) -> str:
        """Which project it is."""
        return self.project_id

    def get_anonymize_ip_value(self) -> bool:
        """True when the collector is to forget addresses."""
        return self.anonymize_ip

    def get_bot_filtering_value(self) -> bool | None:
        """Whether bots are filtered."""
        return self.bot_filtering

    def get_send_flag_decisions_value(self) -> bool:
        """True when every decision is sent."""
        return self.send_flag_decisions

    def get_experiment_from_key(self, experiment_key: str) -> entities.Experiment | None:
        """The rule of that key."""
        return self.experiment_key_map.get(experiment_key)

    def get_experiment_from_id(self, experiment_id: str) -> entities.Experiment | None:
        """The rule of that id."""
        return self.experiment_id_map.get(experiment_id)

    def get_feature_from_key(self, feature_key: str) -> entities.FeatureFlag | None:
        """The flag of that key."""
        return self.feature_key_map.get(feature_key)

    def get_event(self, event_key: str) -> entities.Event | None:
        """The event of that key."""
        return self.event_key_map.get(event_key)

    def get_attribute_id(self, attribute_key: str) -> str | None:
        """The id of the attribute of that key."""
        known = self.attribute_key_map.get(attribute_key)
        return known.id if known else None

    def is_feature_experiment(self, experiment_id: str) -> bool:
        """True when a flag has that experiment."""
        return experiment_id in self._project.flag_experiment_ids

    def _map(
        self, name: str, known: Mapping[str, _Noun], entity: Callable[[_Noun], _Entity]
    ) -> dict[str, _Entity]:
        """What is ``known`` under its official names; made once."""
        made: dict[str, _Entity] | None = self._made.get(name)
        if made is None:
            made = self._made.setdefault(name, {key: entity(noun) for key, noun in known.items()})
        return made

    def _section(self, name: str) -> list[Any]:
        document = self._made.get("document")
        if document is None:
            import json  # noqa: PLC0415 - 1 ms that only who reads the datafile pays

            document = self._made.setdefault("document", json.loads(self.to_datafile()))
        section: list[Any] = document.get(name) or []
        return section
