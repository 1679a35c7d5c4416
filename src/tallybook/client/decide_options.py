"""What a decide call asks for: its own options and the client's, read once for each combination."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from tallybook.model.decision import DecideOption
from tallybook.model.text import is_text, plain

_MAX_KNOWN: Final = 256  # combinations remembered


class Wanted(Struct, frozen=True):
    """What is wanted of a call; ``options`` are all of them, as text."""

    options: frozenset[str]
    events: bool
    off_too: bool
    profile: bool
    reasons: bool
    variables: bool


class DecideOptions:
    """Reads the options of one client's calls.

    Args:
        defaults: Those every call has, besides its own.
        logger: Where misuse is logged.
    """

    def __init__(self, defaults: Iterable[str], logger: logging.Logger) -> None:
        self._defaults = frozenset(plain(option) for option in defaults if is_text(option))
        self._logger = logger
        self._known: dict[tuple[object, ...], Wanted] = {}
        self._default = _wanted(self._defaults)

    def read(self, options: object) -> Wanted:
        """What ``options``, a list or ``None``, and the defaults come to; anything else is none."""
        if options is None:
            return self._default
        if not issubclass(type(options), list):
            message = "Decide options must be a list, not %s; the client's defaults are used."
            self._logger.debug(message, type(options).__name__)
            return self._default
        given: list[object] = list.copy(options)  # type: ignore[arg-type]  # it is one
        try:
            known = self._known.get(tuple(given))
        except Exception:  # noqa: BLE001 - not even hashable, so not an option
            known = None
        return known or self._learn(given)

    def _learn(self, options: list[object]) -> Wanted:
        own = tuple(plain(option) for option in options if is_text(option))
        wanted = _wanted(self._defaults.union(own))
        if len(own) == len(options) and len(self._known) < _MAX_KNOWN:
            self._known[own] = wanted
        return wanted


def _wanted(options: frozenset[str]) -> Wanted:
    return Wanted(
        options,
        events=DecideOption.DISABLE_DECISION_EVENT not in options,
        off_too=DecideOption.ENABLED_FLAGS_ONLY not in options,
        profile=DecideOption.IGNORE_USER_PROFILE_SERVICE not in options,
        reasons=DecideOption.INCLUDE_REASONS in options,
        variables=DecideOption.EXCLUDE_VARIABLES not in options,
    )
