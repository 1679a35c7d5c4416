"""Visitors to decide and track for, and what their events say; seeded, like the datafiles."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, Final

SEED: Final = 5_700

PLANS: Final = ("free", "basic", "gold", "platinum")
COUNTRIES: Final = ("DE", "FR", "GB", "IN", "JP", "NL", "PL", "US")
VERSIONS: Final = ("1.9.12", "2.0.0-beta", "2.4.1", "3.0.0", "3.1.7", "4.0.2")
KNOWN_ATTRIBUTES: Final = ("plan", "country", "age", "app_version", "logged_in", "spent")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody to decide and track for, with the six attributes the audiences ask about."""

    user_id: str
    attributes: dict[str, Any]


def visitors(how_many: int, seed: int = SEED) -> list[Visitor]:
    """Different visitors, each with values of its own."""
    random = Random(seed)
    return [
        Visitor(
            user_id=f"visitor-{random.randrange(10**9)}",
            attributes={
                "plan": random.choice(PLANS),
                "country": random.choice(COUNTRIES),
                "age": random.randint(16, 80),
                "app_version": random.choice(VERSIONS),
                "logged_in": random.random() < 0.7,  # noqa: PLR2004 - most, not all
                "spent": round(random.uniform(0, 500), 2),
            },
        )
        for _ in range(how_many)
    ]


def tags_of(number: int) -> dict[str, object]:
    """Five tags of one event; a new dictionary each time, as a service makes them."""
    return {
        "revenue": 1_000 + number,
        "value": number / 8,
        "category": "shoes",
        "sku": f"sku-{number}",
        "is_gift": number % 2 == 0,
    }


def event_tags(how_many: int) -> list[dict[str, object]]:
    """Tags of as many events, made beforehand."""
    return [tags_of(number) for number in range(how_many)]
