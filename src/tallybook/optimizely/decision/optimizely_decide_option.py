"""What a caller may ask of a decide call."""

from __future__ import annotations

from typing import Final

from tallybook.model.decision import DecideOption


class OptimizelyDecideOption:
    """Options of decide calls, as the text they are passed as."""

    DISABLE_DECISION_EVENT: Final = DecideOption.DISABLE_DECISION_EVENT.value
    ENABLED_FLAGS_ONLY: Final = DecideOption.ENABLED_FLAGS_ONLY.value
    IGNORE_USER_PROFILE_SERVICE: Final = DecideOption.IGNORE_USER_PROFILE_SERVICE.value
    INCLUDE_REASONS: Final = DecideOption.INCLUDE_REASONS.value
    EXCLUDE_VARIABLES: Final = DecideOption.EXCLUDE_VARIABLES.value
    IGNORE_CMAB_CACHE: Final = DecideOption.IGNORE_CMAB_CACHE.value
    RESET_CMAB_CACHE: Final = DecideOption.RESET_CMAB_CACHE.value
    INVALIDATE_USER_CMAB_CACHE: Final = DecideOption.INVALIDATE_USER_CMAB_CACHE.value
