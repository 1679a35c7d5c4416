"""Small bugs, planted in what the drop-in adds to the native parts: the comparison finds each."""

from __future__ import annotations

from typing import Any

import pytest

from comparison import compare_drop_in
from tallybook.optimizely import (
    _assembly,
    entities,
    exceptions,
    notification_center,
    optimizely,
    optimizely_config,
)
from tallybook.optimizely.decision.optimizely_decision import OptimizelyDecision
from tallybook.optimizely.optimizely_user_context import OptimizelyUserContext

SEEDS = 100


def without_rule(*, steps: Any, rule_key: Any, **decided: Any) -> OptimizelyDecision:
    return OptimizelyDecision(**decided)


BUGS: dict[str, tuple[Any, str, Any]] = {
    "errors of one name": (exceptions, "_BY_SUBJECT", {}),
    "errors that nobody is told": (_assembly, "told_to", lambda _: None),
    "listeners that get other names": (notification_center, "_under_official_names", lambda a: a),
    "holdouts like any other rule": (notification_center, "_is_held", lambda _: False),
    "traffic that nobody is told": (entities, "_range", lambda _: {}),
    "decisions without a rule": (_assembly, "_decision", without_rule),
    "default options that are forgotten": (optimizely, "options_of", lambda *_: []),
    "descriptions without variables": (optimizely_config, "_variables", lambda _: {}),
    "forced decisions that are not": (
        OptimizelyUserContext,
        "set_forced_decision",
        lambda *_: True,
    ),
    "profiles that are never asked": (_assembly, "Memories", lambda _, d: MEMORIES(None, d)),
}
MEMORIES = _assembly.Memories


@pytest.mark.parametrize("bug", BUGS)
def test_the_comparison_finds_a_planted_bug(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place, name, wrong = BUGS[bug]
    monkeypatch.setattr(place, name, wrong)
    assert any(fails(seed) for seed in range(SEEDS))


def fails(seed: int) -> bool:
    try:
        compare_drop_in(seed)
    except AssertionError:
        return True
    return False
