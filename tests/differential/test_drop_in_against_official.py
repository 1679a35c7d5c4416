"""The same random questions by the same code: the official SDK and the drop-in, by its names.

``TALLYBOOK_COMPARISONS`` and ``TALLYBOOK_SEED`` are those of ``test_client_against_official``.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from comparison import ALIKE, CALLS, RAISES, compare_drop_in

COMPARISONS = int(os.environ.get("TALLYBOOK_COMPARISONS", "5000"))
FIRST_SEED = int(os.environ.get("TALLYBOOK_SEED", "0"))
SEEDS = range(FIRST_SEED, FIRST_SEED + -(-COMPARISONS // (CALLS - 2)))

_compared: Counter[str] = Counter()


@pytest.mark.parametrize("seed", SEEDS)
def test_both_packages_answer_tell_send_and_complain_alike(seed: int) -> None:
    _compared.update(compare_drop_in(seed))


def test_enough_was_compared() -> None:
    print(f"\n{dict(_compared)} from seed {FIRST_SEED}")
    assert _compared.total() == len(SEEDS) * CALLS
    assert _compared[ALIKE] >= COMPARISONS
    assert _compared[RAISES] <= _compared[ALIKE] / 10
