"""Invents traffic with a known truth and sends it through the real client.

Who a visitor is, what they do and when follows from the seed alone; which variation they are given
is the client's decision, as it is in a service.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tallybook.client import Client
from tallybook.model.time import DAY_MS


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How visitors of one variation behave.

    Attributes:
        buy: Probability that a visitor buys at all.
        buy_again: Probability of each further purchase.
        order_cents: Mean order, in cents; orders are exponentially distributed around it.
        complain: Probability that a visitor contacts support.
    """

    buy: float
    buy_again: float
    order_cents: int
    complain: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """The truth that results are held against: a flag and how each of its variations works."""

    flag_key: str
    behaviours: Mapping[str, Behaviour]
    visitors: int
    days: int
    start_ms: int
    seed: int = 1
    plans: Mapping[str, float] = field(default_factory=lambda: {"free": 0.7, "gold": 0.3})
    early_buyers: float = 0.05


@dataclass(slots=True)
class Tally:
    """What really happened in one variation: visitors, and what they did once exposed."""

    visitors: int = 0
    buyers: int = 0
    purchases: int = 0
    revenue_cents: int = 0
    complainers: int = 0


class Clock:
    """The simulated present, in milliseconds since the epoch."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        """Return the simulated present."""
        return self.now_ms


def simulate(
    client: Client,
    clock: Clock,
    scenario: Scenario,
    progress: Callable[[int], None] = lambda _visitors: None,
) -> dict[str, Tally]:
    """Send a scenario's traffic and return what was really done, by variation key.

    Args:
        client: A client that reads its time from ``clock``.
        clock: Moved forward visitor by visitor over the scenario's days.
        scenario: The truth.
        progress: Called with the number of visitors simulated so far.
    """
    chance = random.Random(scenario.seed)  # noqa: S311 - simulated people need no cryptography
    tallies = {key: Tally() for key in scenario.behaviours}
    step_ms = scenario.days * DAY_MS / scenario.visitors
    for number in range(scenario.visitors):
        clock.now_ms = scenario.start_ms + int(number * step_ms)
        _visit(client, clock, scenario, chance, tallies=tallies, number=number)
        progress(number + 1)
    return tallies


def _visit(
    client: Client,
    clock: Clock,
    scenario: Scenario,
    chance: random.Random,
    *,
    tallies: dict[str, Tally],
    number: int,
) -> None:
    plan = chance.choices(list(scenario.plans), weights=list(scenario.plans.values()))[0]
    user = client.create_user_context(f"visitor-{number}", {"plan": plan})
    if chance.random() < scenario.early_buyers:
        # Bought before seeing anything: must count for nobody.
        user.track_event("purchase", {"revenue": 9_900})
    clock.now_ms += 1_000
    variation = user.decide(scenario.flag_key).variation_key
    if variation is None or variation not in scenario.behaviours:
        return
    behaviour, tally = scenario.behaviours[variation], tallies[variation]
    tally.visitors += 1
    if chance.random() < behaviour.buy:
        tally.buyers += 1
        buying = True
        while buying:
            clock.now_ms += 30_000
            cents = 1 + int(chance.expovariate(1 / behaviour.order_cents))
            user.track_event("purchase", {"revenue": cents, "category": "shoes"})
            tally.purchases += 1
            tally.revenue_cents += cents
            buying = chance.random() < behaviour.buy_again
    if chance.random() < behaviour.complain:
        clock.now_ms += 60_000
        user.track_event("support_request")
        tally.complainers += 1
