"""What users write for a client: a user profile service, an error handler, a transport."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_type

from tallybook import Client, DatafileError, InputError, TallybookError
from tallybook.client import ErrorHandler, UserProfileService
from tallybook.deliver.answer import Http, Reply


class Profiles:
    """Keeps profiles in memory."""

    def __init__(self) -> None:
        self.by_user: dict[str, dict[str, Any]] = {}

    def lookup(self, user_id: str) -> dict[str, Any] | None:
        return self.by_user.get(user_id)

    def save(self, user_profile: dict[str, Any]) -> None:
        self.by_user[user_profile["user_id"]] = user_profile


class Forgetful(UserProfileService):
    """Derives from the protocol."""

    def lookup(self, user_id: str) -> Mapping[str, Any] | None:
        return None

    def save(self, user_profile: dict[str, Any]) -> bool:
        return False


class LookupOnly:
    """Cannot save."""

    def lookup(self, user_id: str) -> dict[str, Any] | None:
        return None


class ProfilesByNumber:
    """Users are no numbers."""

    def lookup(self, user_id: int) -> dict[str, Any] | None:
        return None

    def save(self, user_profile: dict[str, Any]) -> None:
        """Keep nothing."""


Client("{}", user_profile_service=Profiles())
Client("{}", user_profile_service=Forgetful())
Client("{}", user_profile_service=LookupOnly())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Client("{}", user_profile_service=ProfilesByNumber())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Client("{}", user_profile_service=Profiles)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def raise_fault(error: TallybookError) -> None:
    if isinstance(error, InputError):
        assert_type(error.subject, str)
    if isinstance(error, DatafileError):
        assert_type(error.path, str)
        assert_type(error.reason, str)
    raise error


def count(error: Exception) -> int:
    return len(str(error))


def handle_input(error: InputError) -> None:
    print(error.subject)


handlers: list[ErrorHandler] = [raise_fault, count, print]
Client("{}", error_handler=raise_fault)
Client("{}", error_handler=count)
Client("{}", error_handler=lambda error: print(error))
Client("{}", error_handler=handle_input)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Client("{}", error_handler="raise")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


class Wire:
    """Carries requests."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        return Reply(204)

    def get(self, url: str, headers: Mapping[str, str]) -> Reply:
        return Reply(200, text="", body=b"{}", headers={"etag": '"1"'}, retry_after_s=None)

    def abandon(self) -> None:
        """Nothing is connected."""


class Postman:
    """Can only post."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        return Reply(204)


wire: Http = Wire()
Client("{}", http=wire)
Client("{}", http=Postman())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
Reply("204")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
