"""What can be plugged in, told by what it can do; and whose fault a datafile's is."""

from __future__ import annotations

from typing import Final

from tallybook.errors import DatafileError, DatafileVersionError
from tallybook.optimizely.exceptions import InvalidInputException
from tallybook.optimizely.notification_center import NotificationCenter

_IN_SCHEMA: Final = frozenset(
    (
        *("version", "revision", "projectId", "accountId", "groups", "experiments", "events"),
        *("audiences", "attributes", "integrations"),
    )
)


def require(name: str, value: object, *methods: str) -> None:
    """Demand that ``value`` has these methods.

    Raises:
        InvalidInputException: It lacks one.
    """
    missing = [method for method in methods if not callable(getattr(value, method, None))]
    if missing:
        raise InvalidInputException(
            f"{name}: expected an object with {', '.join(methods)}, found {type(value).__name__}"
        )


def require_plugs(logger: object, error_handler: object, notification_center: object) -> None:
    """Demand what every client and every config manager needs, in this order.

    Raises:
        InvalidInputException: One of them cannot be used.
    """
    require("logger", logger, "log")
    require("error_handler", error_handler, "handle_error")
    if not isinstance(notification_center, NotificationCenter):
        name = type(notification_center).__name__
        raise InvalidInputException(
            f"notification_center: expected a NotificationCenter, found {name}"
        )


def is_beyond_schema(error: DatafileError) -> bool:
    """True for a fault that the official SDK's schema would not have found.

    Its error handlers are told of these only.
    """
    if isinstance(error, DatafileVersionError) or error.path.endswith(".conditions"):
        return True  # a version is any text to the schema, and so are an audience's conditions
    section = error.path.removeprefix("$").lstrip(".").partition(".")[0].partition("[")[0]
    return bool(section) and section not in _IN_SCHEMA
