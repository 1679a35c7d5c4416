"""What a metric has to say about itself for the query text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Pieces of SQL that make a metric out of its events.

    Attributes:
        amount: One event's amount, null where absent (``moments.sql``, ``measured``).
        scale: Binary places that make every amount of a visitor a whole number (``scaled``).
        units: The amount as that whole number (``daily``).
        numerator: A visitor's numerator out of ``units`` and ``occurrences`` (``states``).
        denominator: A visitor's denominator, or ``None`` where it is 1 for every visitor.
        is_whole: Amounts are whole numbers as they are, so that a total is an ``int``.
        parameters: Values of the parameters that the pieces mention.
    """

    amount: str = "0"
    scale: str = "0"
    units: str = "0"
    numerator: str
    denominator: str | None = None
    is_whole: bool = True
    parameters: Mapping[str, object] = field(default_factory=dict)
