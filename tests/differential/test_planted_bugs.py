"""Small bugs, planted one at a time: the comparison with the official SDK finds each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from comparison import compare
from tallybook.client import deciding, features, impressions, memories, recording
from tallybook.decide import bucketing, experiments, holdouts, matchers, rules, variables
from tallybook.wire import audience_text, batch_writer, datafile_rules

SEEDS = 400  # a datafile and its calls each; most bugs show within ten


def nothing(*_: Any, **__: Any) -> None:
    return None


def always(*_: Any, **__: Any) -> bool:
    return True


def inclusive(bucketing_id: str, parent_id: str, allocation: Any, trace: Any) -> str | None:
    number = bucketing.bucket_number(bucketing_id, parent_id)
    shares = (share for share in allocation if number <= share.end_of_range)
    return next((share.entity_id for share in shares), None)


def default(variable: Any, variation: Any, flag: Any, trace: Any) -> Any:
    return variable.default


def everywhere(operands: list[Any], index: int, operator: str, names: Mapping[str, str]) -> str:
    operand = operands[index]
    is_nested = isinstance(operand, list)
    text = f"({audience_text.audience_text(operand, names)})" if is_nested else f'"{operand}"'
    return text if index == len(operands) - 1 else f"{text} {operator} "


BUGS: dict[str, tuple[Any, str, Any]] = {
    "another hash seed": (bucketing, "_SEED", 2),
    "ranges that include their end": (bucketing, "_entity_at", inclusive),
    "groups that exclude nobody": (bucketing, "_is_let_in", always),
    "holdouts without an audience": (holdouts, "is_in_audience", always),
    "no local holdouts": (rules, "held_from_rule", nothing),
    "no global holdouts": (rules, "holdout_of_flag", nothing),
    "the wrong rules spared": (rules, "TARGETED_DELIVERY", "mab"),
    "no forced variations": (experiments, "_forced", nothing),
    "no allowlist": (experiments, "_allowlisted", nothing),
    "no stored variations": (experiments, "_stored", nothing),
    "profiles that are never saved": (memories.Memories, "keep", nothing),
    "variations without values": (variables, "_used", default),
    "impressions of every flag": (features, "_is_shown", always),
    "no impression of experiments": (deciding, "_ALWAYS_SHOWN", frozenset()),
    "an impression of a stranger": (impressions, "_named", lambda shown: shown),
    "no source info": (features, "_source_info", lambda *_, **__: {}),
    "unknown attributes untold": (recording.Recorder, "_tell", nothing),
    "no campaign": (batch_writer, "_campaign_id", lambda _: ""),
    "an operator between all operands": (audience_text, "_placed", everywhere),
    "feature rollouts without everyone else": (datafile_rules, "_added_to", lambda *_: ()),
}


@pytest.mark.parametrize("bug", BUGS)
def test_the_comparison_finds_a_planted_bug(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place, name, wrong = BUGS[bug]
    monkeypatch.setattr(place, name, wrong)
    assert first_failing(compare) is not None


def test_the_comparison_finds_a_wrong_matcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(matchers.MATCHERS, "exists", always)  # type: ignore[arg-type]
    assert first_failing(compare) is not None


def first_failing(run: Callable[[int], object]) -> int | None:
    for seed in range(SEEDS):
        try:
            run(seed)
        except AssertionError:
            return seed
    return None
