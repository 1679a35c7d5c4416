"""The calls that name a user by id: those that were there before user contexts."""

from __future__ import annotations

from typing import Any

from tallybook.client.calls import Calls

Attributes = dict[str, Any] | None


class CallsByUserId:
    """Calls of a client that need no user context. Nothing raises for data."""

    _calls: Calls

    def track(
        self,
        event_key: str,
        user_id: str,
        attributes: Attributes = None,
        event_tags: dict[str, Any] | None = None,
    ) -> None:
        """Record a conversion without a user context; see :meth:`UserContext.track_event`."""
        self._calls.tracker.track(event_key, user_id, attributes, event_tags)

    def activate(
        self, experiment_key: str, user_id: str, attributes: Attributes = None
    ) -> str | None:
        """The key of the user's variation in an experiment, recorded as shown; ``None`` if none."""
        return self._calls.experiments.activate(experiment_key, user_id, attributes)

    def get_variation(
        self, experiment_key: str, user_id: str, attributes: Attributes = None
    ) -> str | None:
        """:meth:`activate` without recording anything."""
        return self._calls.experiments.get_variation(experiment_key, user_id, attributes)

    def set_forced_variation(
        self, experiment_key: str, user_id: str, variation_key: str | None
    ) -> bool:
        """Force a variation on this client, or with ``None`` none any more; true if that worked."""
        return self._calls.experiments.set_forced(experiment_key, user_id, variation_key)

    def get_forced_variation(self, experiment_key: str, user_id: str) -> str | None:
        """The key of the variation that is forced on this client."""
        return self._calls.experiments.get_forced(experiment_key, user_id)

    def is_feature_enabled(
        self, feature_key: str, user_id: str, attributes: Attributes = None
    ) -> bool:
        """True when the flag is on; what an experiment decided is recorded as shown."""
        return self._calls.features.is_enabled(feature_key, user_id, attributes)

    def get_enabled_features(self, user_id: str, attributes: Attributes = None) -> list[str]:
        """The keys of all flags that are on, each as by :meth:`is_feature_enabled`."""
        return self._calls.features.enabled_keys(user_id, attributes)

    def get_feature_variable(
        self, feature_key: str, variable_key: str, user_id: str, attributes: Attributes = None
    ) -> Any:
        """A variable's value in its own type; ``None`` if there is none. Nothing is recorded."""
        names = (feature_key, variable_key)
        return self._calls.features.variable(names, user_id, attributes, wanted=None)

    def get_feature_variable_boolean(
        self, feature_key: str, variable_key: str, user_id: str, attributes: Attributes = None
    ) -> bool | None:
        """:meth:`get_feature_variable` of a variable of type ``boolean`` only."""
        names = (feature_key, variable_key)
        value: bool | None = self._calls.features.variable(
            names, user_id, attributes, wanted="boolean"
        )
        return value

    def get_feature_variable_double(
        self, feature_key: str, variable_key: str, user_id: str, attributes: Attributes = None
    ) -> float | None:
        """:meth:`get_feature_variable` of a variable of type ``double`` only."""
        names = (feature_key, variable_key)
        value: float | None = self._calls.features.variable(
            names, user_id, attributes, wanted="double"
        )
        return value

    def get_feature_variable_integer(
        self, feature_key: str, variable_key: str, user_id: str, attributes: Attributes = None
    ) -> int | None:
        """:meth:`get_feature_variable` of a variable of type ``integer`` only."""
        names = (feature_key, variable_key)
        value: int | None = self._calls.features.variable(
            names, user_id, attributes, wanted="integer"
        )
        return value

    def get_feature_variable_string(
        self, feature_key: str, variable_key: str, user_id: str, attributes: Attributes = None
    ) -> str | None:
        """:meth:`get_feature_variable` of a variable of type ``string`` only."""
        names = (feature_key, variable_key)
        value: str | None = self._calls.features.variable(
            names, user_id, attributes, wanted="string"
        )
        return value

    def get_feature_variable_json(
        self, feature_key: str, variable_key: str, user_id: str, attributes: Attributes = None
    ) -> Any:
        """:meth:`get_feature_variable` of a variable of type ``json`` only."""
        names = (feature_key, variable_key)
        return self._calls.features.variable(names, user_id, attributes, wanted="json")

    def get_all_feature_variables(
        self, feature_key: str, user_id: str, attributes: Attributes = None
    ) -> dict[str, Any] | None:
        """All variables of a flag by key; ``None`` if it is unknown. Nothing is recorded."""
        return self._calls.features.all_variables(feature_key, user_id, attributes)
