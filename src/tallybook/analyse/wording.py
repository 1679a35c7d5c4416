"""Texts of a request as values: moments and splits, the same at the prompt and over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from tallybook.errors import ConfigError


def moment(name: str, text: str | None) -> int | None:
    """Return milliseconds since the epoch for an ISO 8601 date or moment; a bare date is 00:00 UTC.

    Raises:
        ConfigError: ``text`` is neither; the message says so of ``name``.

    Example:
        >>> moment("--from", "1970-01-02")
        86400000
    """
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{name} is {text!r}; expected a date (2026-01-31) or a moment (2026-01-31T09:00:00Z)"
        ) from None
    aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    whole = int(aware.replace(microsecond=0).timestamp())
    return whole * 1000 + aware.microsecond // 1000


def split(name: str, text: str | None) -> Mapping[str, float] | None:
    """Return the proportion of visitors each variation should have.

    Raises:
        ConfigError: ``text`` is not of that form, or a weight is not a positive number.

    Example:
        >>> split("--expected-split", "control=1,treatment=3")
        {'control': 0.25, 'treatment': 0.75}
    """
    if text is None:
        return None
    weights: dict[str, float] = {}
    for part in text.split(","):
        key, _, weight = part.strip().rpartition("=")
        try:
            weights[key] = float(weight)
        except ValueError:
            weights[key] = 0.0
        if not key or not 0 < weights[key] < float("inf"):
            raise ConfigError(f"{name} has {part.strip()!r}; expected variation=weight, weight > 0")
    total = sum(weights.values())
    return {key: weight / total for key, weight in weights.items()}
