"""A/A runs with fixed seeds: peeking at the sequential method costs nothing, at Welch's a lot."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from scipy.special import bdtrik

from tallybook.errors import NotEnoughDataError
from tallybook.stats.effect import Effect, Sample, relative
from tallybook.stats.methods import METHODS
from tallybook.stats.sample_ratio import MISMATCH_LEVEL, Split, sample_ratio_p
from tallybook.stats.welch import welch

EXPERIMENTS, LOOKS, ALPHA = 400, 40, 0.05
# What sound behaviour exceeds once in a thousand runs of all experiments.
MOST_CROSSINGS = int(bdtrik(0.999, EXPERIMENTS, ALPHA)) + 1


def a_a_looks(seed: int, share: float, draw: object) -> list[list[Effect]]:
    """Relative effects of experiments without effect, look by look."""
    random = np.random.default_rng(seed)
    return [_one(random, share, draw) for _ in range(EXPERIMENTS)]


def _one(random: np.random.Generator, share: float, draw: object) -> list[Effect]:
    steps = 200 * LOOKS
    values = draw(random, steps)  # type: ignore[operator]
    treated = random.uniform(size=steps) < share
    looks = []
    for end in range(200, steps + 1, 200):
        arms = (values[:end][~treated[:end]], values[:end][treated[:end]])
        samples = [Sample(len(a), float(a.mean()), float(a.var(ddof=1))) for a in arms]
        looks.append(relative(*samples))
    return looks


def binary(random: np.random.Generator, n: int) -> np.ndarray:
    return (random.uniform(size=n) < 0.2).astype(float)


def skewed_revenue(random: np.random.Generator, n: int) -> np.ndarray:
    return np.where(random.uniform(size=n) < 0.3, random.lognormal(3, 0.8, n), 0.0)


@pytest.mark.parametrize(
    ("seed", "share", "draw"), [(1, 0.5, binary), (2, 0.5, skewed_revenue), (3, 0.2, binary)]
)
def test_the_sequential_method_crosses_in_at_most_alpha_of_a_a_experiments(
    seed: int, share: float, draw: object
) -> None:
    estimate = METHODS["sequential"].estimate
    crossings = sum(
        estimate(looks, ALPHA).p_value <= ALPHA for looks in a_a_looks(seed, share, draw)
    )
    assert crossings <= MOST_CROSSINGS


def few_and_skewed(random: np.random.Generator, visitors: int) -> np.ndarray:
    return np.where(random.uniform(size=visitors) < 0.1, random.lognormal(7, 1.5, visitors), 0.0)


def test_a_handful_of_visitors_a_day_with_rare_large_orders_proves_nothing() -> None:
    """The delta method as it stands would cross in a quarter of these."""
    random = np.random.default_rng(5)
    estimate = METHODS["sequential"].estimate
    crossings = 0
    for _ in range(EXPERIMENTS):
        arms = [few_and_skewed(random, 10 * 14) for _ in range(2)]
        looks = []
        for end in range(10, 10 * 14 + 1, 10):
            with suppress(NotEnoughDataError):
                samples = [Sample(end, float(a[:end].mean()), a[:end].var(ddof=1)) for a in arms]
                looks.append(relative(*samples))
        found = estimate(looks, ALPHA)
        crossings += found.p_value <= ALPHA or not found.low <= 0.0 <= found.high
    assert crossings <= MOST_CROSSINGS


def test_peeking_with_the_fixed_method_does_not_stay_within_the_bound() -> None:
    crossed = [
        any(welch(look, ALPHA).p_value <= ALPHA for look in looks)
        for looks in a_a_looks(1, 0.5, binary)
    ]
    assert sum(crossed) > 2 * MOST_CROSSINGS


def test_the_sample_ratio_test_rarely_alarms_on_a_sound_split() -> None:
    random = np.random.default_rng(4)
    alarms = 0
    for _ in range(EXPERIMENTS):
        days = random.multinomial(300, [0.5, 0.3, 0.2], size=LOOKS).cumsum(axis=0)
        looks = [[Split(tuple(int(c) for c in day), (0.5, 0.3, 0.2))] for day in days]
        alarms += sample_ratio_p(looks) <= MISMATCH_LEVEL
    assert alarms <= int(bdtrik(0.999, EXPERIMENTS, MISMATCH_LEVEL)) + 1
