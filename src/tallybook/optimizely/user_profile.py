"""User profiles: which variation a user keeps in which experiment."""

from __future__ import annotations

from typing import Any, Final, Protocol

from tallybook.optimizely._logging import Logger, adapted
from tallybook.optimizely.error_handler import BaseErrorHandler
from tallybook.optimizely.logger import NoOpLogger


class HasId(Protocol):
    """An experiment, or a variation."""

    @property
    def id(self) -> str:
        """Which one it is."""
        ...


class UserProfile:
    """What is kept of one user.

    ``experiment_bucket_map`` maps an experiment's id to a mapping that has ``variation_id``.
    """

    USER_ID_KEY: Final = "user_id"
    EXPERIMENT_BUCKET_MAP_KEY: Final = "experiment_bucket_map"
    VARIATION_ID_KEY: Final = "variation_id"

    def __init__(
        self,
        user_id: str,
        experiment_bucket_map: dict[str, dict[str, str | None]] | None = None,
        **kwargs: Any,  # noqa: ARG002 - what a profile service keeps beside is not for us
    ) -> None:
        self.user_id = user_id
        self.experiment_bucket_map = experiment_bucket_map or {}

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == getattr(other, "__dict__", None)

    __hash__ = None  # type: ignore[assignment]  # it can change

    def get_variation_for_experiment(self, experiment_id: str) -> str | None:
        """The id of the variation to keep there, if any."""
        return self.experiment_bucket_map.get(experiment_id, {}).get(self.VARIATION_ID_KEY)

    def save_variation_for_experiment(self, experiment_id: str, variation_id: str) -> None:
        """Keep a variation."""
        self.experiment_bucket_map[experiment_id] = {self.VARIATION_ID_KEY: variation_id}


class UserProfileService:
    """Where profiles are kept; one of your own overrides both. This one keeps nothing."""

    def lookup(self, user_id: str) -> dict[str, Any]:
        """The profile of a user: ``user_id`` and ``experiment_bucket_map``."""
        return vars(UserProfile(user_id))

    def save(self, user_profile: dict[str, Any]) -> None:
        """Keep a profile in the place of what was kept of that user."""


class UserProfileTracker:
    """One user's profile during one call: looked up before it, saved after it if it changed.

    Attributes:
        profile_updated: True when there is something to save.
    """

    def __init__(
        self,
        user_id: str,
        user_profile_service: UserProfileService | None,
        logger: Logger | None = None,
    ) -> None:
        self.user_id = user_id
        self.user_profile_service = user_profile_service
        self.logger = adapted(logger or NoOpLogger())
        self.profile_updated = False
        self.user_profile = UserProfile(user_id)

    def get_user_profile(self) -> UserProfile:
        """The profile as it is now."""
        return self.user_profile

    def load_user_profile(
        self,
        reasons: list[str] | None = None,
        error_handler: BaseErrorHandler | type[BaseErrorHandler] | None = None,
    ) -> None:
        """Ask the service for the profile; without a usable one it is an empty one.

        What is wrong with it is added to ``reasons``.
        """
        reasons = [] if reasons is None else reasons
        if self.user_profile_service is None:
            return
        try:
            found = self.user_profile_service.lookup(self.user_id)
            fault = _fault(found)
            if fault is None:
                self.user_profile = UserProfile(**found)
        except Exception as error:
            reasons.append(str(error))
            self.logger.exception("A user profile cannot be looked up.")
            if error_handler is not None:
                error_handler.handle_error(error)
            return
        if fault is not None:
            reasons.append(fault)

    def update_user_profile(self, experiment: HasId, variation: HasId) -> None:
        """Note that the user keeps a variation."""
        self.user_profile.save_variation_for_experiment(experiment.id, variation.id)
        self.profile_updated = True

    def save_user_profile(
        self, error_handler: BaseErrorHandler | type[BaseErrorHandler] | None = None
    ) -> None:
        """Have the service keep the profile, if it changed."""
        if not self.profile_updated or self.user_profile_service is None:
            return
        try:
            self.user_profile_service.save(vars(self.user_profile))
        except Exception as error:  # noqa: BLE001 - somebody else's code
            self.logger.warning("A user profile is not saved: %s", error)
            if error_handler is not None:
                error_handler.handle_error(error)
            return
        self.logger.info("The user profile of %r is saved.", self.user_id)


def _fault(profile: object) -> str | None:
    if not isinstance(profile, dict):
        return "The user profile service has no profile of the user."
    keys = (UserProfile.USER_ID_KEY, UserProfile.EXPERIMENT_BUCKET_MAP_KEY)
    missing = ", ".join(key for key in keys if key not in profile)
    return f"The user profile lacks {missing}." if missing else None
