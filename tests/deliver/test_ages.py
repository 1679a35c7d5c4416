"""How long what waits has waited."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.deliver.ages import Ages

ROUNDS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 7), st.floats(0, 3)), min_size=1, max_size=50
)


@given(ROUNDS)
def test_the_oldest_is_as_old_as_the_first_that_is_not_settled(
    rounds: list[tuple[int, int, float]],
) -> None:
    ages, waiting = Ages(), deque[float]()
    accepted, settled, now = 0, 0, 0.0
    for arriving, leaving, seconds in rounds:
        now += seconds
        if arriving:
            accepted += arriving
            waiting.extend([now] * arriving)
            ages.note(accepted, settled, now)
        for _ in range(min(leaving, len(waiting))):
            waiting.popleft()
            settled += 1
        expected = now - waiting[0] if waiting else 0.0
        assert ages.oldest_s(settled, now) == pytest.approx(expected, abs=0.11)
        assert bool(waiting) or ages.oldest_s(settled, now) == 0.0
