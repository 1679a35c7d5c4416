"""Random datafiles, visitors and calls: the official SDK and this one answer, tell and send alike.

``TALLYBOOK_COMPARISONS=100000`` compares more, ``TALLYBOOK_SEED=7`` begins elsewhere; a test's
number is its seed.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from comparison import ALIKE, CALLS, RAISES, compare

COMPARISONS = int(os.environ.get("TALLYBOOK_COMPARISONS", "5000"))
FIRST_SEED = int(os.environ.get("TALLYBOOK_SEED", "0"))
SEEDS = range(FIRST_SEED, FIRST_SEED + -(-COMPARISONS // (CALLS - 2)))

_compared: Counter[str] = Counter()


@pytest.mark.parametrize("seed", SEEDS)
def test_both_clients_answer_tell_send_and_complain_alike(seed: int) -> None:
    _compared.update(compare(seed))


def test_enough_was_compared() -> None:
    print(f"\n{dict(_compared)} from seed {FIRST_SEED}")
    assert _compared.total() == len(SEEDS) * CALLS
    assert _compared[ALIKE] >= COMPARISONS
    assert _compared[RAISES] <= _compared[ALIKE] / 10
