from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from both_sdks import Sdk, Spoken

STORED = {"user_id": "user", "experiment_bucket_map": {"1": {"variation_id": "2"}}}
EMPTY = {"user_id": "user", "experiment_bucket_map": {}}


class Service:
    """Keeps one profile; one that is an exception is raised."""

    def __init__(self, profile: Any = None) -> None:
        self.profile = profile
        self.saved: list[Any] = []

    def lookup(self, user_id: str) -> Any:
        if isinstance(self.profile, Exception):
            raise self.profile
        return self.profile

    def save(self, user_profile: dict[str, Any]) -> None:
        self.saved.append(user_profile)
        if isinstance(self.profile, Exception):
            raise self.profile


class Handler:
    def __init__(self) -> None:
        self.errors: list[Exception] = []

    def handle_error(self, error: Exception) -> None:
        self.errors.append(error)


def test_a_profile_keeps_variations(sdk: Sdk) -> None:
    profile = sdk.UserProfile("user", {"1": {"variation_id": "2", "more": "3"}}, more=1)
    assert profile.get_variation_for_experiment("1") == "2"
    assert profile.get_variation_for_experiment("9") is None
    profile.save_variation_for_experiment("1", "4")
    profile.save_variation_for_experiment("5", "6")
    kept = {"1": {"variation_id": "4"}, "5": {"variation_id": "6"}}
    assert vars(profile) == {"user_id": "user", "experiment_bucket_map": kept}
    assert profile == sdk.UserProfile("user", kept)
    assert profile != sdk.UserProfile("other", kept)


def test_the_service_keeps_nothing_unless_it_is_overridden(sdk: Sdk) -> None:
    service = sdk.UserProfileService()
    assert service.lookup("user") == EMPTY
    assert service.save(STORED) is None


def test_a_tracker_looks_up_and_saves_what_changed(sdk: Sdk, spoken: Spoken) -> None:
    service = Service(STORED)
    tracker = sdk.UserProfileTracker("user", service, spoken)
    tracker.load_user_profile([], None)
    tracker.save_user_profile()
    assert service.saved == []
    assert tracker.get_user_profile().get_variation_for_experiment("1") == "2"
    tracker.update_user_profile(SimpleNamespace(id="5"), SimpleNamespace(id="6"))
    tracker.save_user_profile()
    both = {"1": {"variation_id": "2"}, "5": {"variation_id": "6"}}
    assert service.saved == [{"user_id": "user", "experiment_bucket_map": both}]


@pytest.mark.parametrize("profile", [None, {}, {"user_id": "user"}, "text"])
def test_a_profile_that_lacks_something_is_an_empty_one(
    sdk: Sdk, spoken: Spoken, profile: Any
) -> None:
    reasons: list[str] = []
    tracker = sdk.UserProfileTracker("user", Service(profile), spoken)
    tracker.load_user_profile(reasons, None)
    assert vars(tracker.get_user_profile()) == EMPTY
    assert len(reasons) == 1
    assert spoken.levels() == []


def test_what_a_service_raises_is_logged_and_handed_over(sdk: Sdk, spoken: Spoken) -> None:
    error, handler = ValueError("down"), Handler()
    service, reasons = Service(error), []
    tracker = sdk.UserProfileTracker("user", service, spoken)
    tracker.load_user_profile(reasons, handler)
    tracker.update_user_profile(SimpleNamespace(id="5"), SimpleNamespace(id="6"))
    tracker.save_user_profile(handler)
    assert reasons == ["down"]
    assert handler.errors == [error, error]
    assert spoken.levels() == ["exception", "warning"]


def test_without_a_service_a_tracker_is_a_profile(sdk: Sdk) -> None:
    tracker = sdk.UserProfileTracker("user", None)
    tracker.update_user_profile(SimpleNamespace(id="5"), SimpleNamespace(id="6"))
    tracker.save_user_profile()
    assert tracker.get_user_profile().get_variation_for_experiment("5") == "6"


def test_calls_without_reasons_share_none(ours: Sdk) -> None:
    default = ours.UserProfileTracker.load_user_profile.__defaults__
    ours.UserProfileTracker("user", Service()).load_user_profile()
    assert ours.UserProfileTracker.load_user_profile.__defaults__ == default == (None, None)
