"""Random datafiles, visitors and calls: the official SDK and this one answer, tell and send alike.

``TALLYBOOK_COMPARISONS=100000`` compares more, ``TALLYBOOK_SEED=7`` begins elsewhere; a test's
number is its seed.
"""

from __future__ import annotations

import copy
import json
import os
from random import Random
from typing import Any

import pytest

from calls import CallMaker, rules_of
from datafiles import DatafileMaker, Guest
from official import RAISED, OfficialSide, OurSide, as_text, copied, described, plain

CALLS = 22  # a datafile; in one or two the official SDK raises
COMPARISONS = int(os.environ.get("TALLYBOOK_COMPARISONS", "5000"))
FIRST_SEED = int(os.environ.get("TALLYBOOK_SEED", "0"))
SEEDS = range(FIRST_SEED, FIRST_SEED + -(-COMPARISONS // (CALLS - 2)))

_compared = {"alike": 0, "official raised": 0}


def made(seed: int) -> tuple[dict[str, Any], CallMaker]:
    maker = DatafileMaker(Random(seed))
    datafile = maker.datafile()
    random = Random(f"calls {seed}")
    datafile["sendFlagDecisions"] = random.random() < 0.5
    if random.random() < 0.3:
        datafile["botFiltering"] = random.random() < 0.5
    if random.random() < 0.3:
        datafile["anonymizeIP"] = random.random() < 0.5
    if random.random() < 0.3:
        datafile["region"] = random.choice(["US", "EU", "eu", ""])
    if random.random() < 0.3:
        datafile |= {"sdkKey": "key", "environmentKey": "production"}
    return datafile, CallMaker(random, maker, datafile)


@pytest.mark.parametrize("seed", SEEDS)
def test_both_clients_answer_tell_send_and_complain_alike(seed: int) -> None:
    datafile, maker = made(seed)
    text, profiles = json.dumps(datafile), maker.profiles()
    options = maker.random.choice([[], [], ["INCLUDE_REASONS"], ["DISABLE_DECISION_EVENT"]])
    theirs = OfficialSide(text, profiles, list(options))
    ours = OurSide(text, profiles, list(options))
    try:
        compare_configs(ours, theirs)
        for number in range(CALLS):
            compare_calls(ours, theirs, maker, f"seed {seed}, call {number}")
    finally:
        ours.close()
        theirs.close()


def test_enough_was_compared() -> None:
    print(f"\n{_compared} from seed {FIRST_SEED}")
    assert sum(_compared.values()) == len(SEEDS) * CALLS
    assert _compared["alike"] >= COMPARISONS
    assert _compared["official raised"] <= _compared["alike"] / 10


def compare_configs(ours: OurSide, theirs: OfficialSide) -> None:
    mine = described(ours.client.get_optimizely_config())
    official = described(theirs.client.get_optimizely_config())
    # Where an expression is a bare id, the official SDK shows its letters: see differences.
    assert without_bare(mine) == without_bare(official)
    assert ours.client.get_optimizely_config() is ours.client.get_optimizely_config()


def without_bare(config: Any) -> Any:
    bare = {rule["id"] for rule in rules_of(json.loads(config["datafile"])) if is_bare(rule)}
    return blanked(config, bare)


def is_bare(rule: dict[str, Any]) -> bool:
    return isinstance(rule.get("audienceConditions"), str)


def blanked(value: Any, bare: set[str]) -> Any:
    if isinstance(value, list):
        return [blanked(item, bare) for item in value]
    if not isinstance(value, dict):
        return value
    known = {key: blanked(item, bare) for key, item in value.items()}
    return known | {"audiences": ""} if known.get("id") in bare else known


def compare_calls(ours: OurSide, theirs: OfficialSide, maker: CallMaker, where: str) -> None:
    method, number, arguments = maker.call()
    guests = maker.guests
    try:
        official = ask(theirs, guests, method, number, arguments)
    except RAISED:
        official = None
    mine = ask(ours, guests, method, number, arguments)
    told, officially_told = ours.take(), theirs.take()
    if official is None:
        _compared["official raised"] += 1
        ours.profiles = copy.deepcopy(theirs.profiles)  # begin again from the same
        return
    _compared["alike"] += 1
    shown = f"{where}: {method}{arguments} by {guests[number] if number is not None else 'id'}"
    assert as_text(mine) == as_text(official), shown
    for name, events in officially_told.items():
        assert as_text(told[name]) == as_text(events), f"{name} of {shown}"


def ask(
    side: OurSide | OfficialSide,
    guests: list[Guest],
    method: str,
    number: int | None,
    arguments: tuple[Any, ...],
) -> list[Any]:
    target = side.client if number is None else side.user(number, guests[number])
    answer = getattr(target, method)(*map(copied, arguments))
    # Unknown keys come first in the official SDK's dictionary: see differences.
    return [dict(sorted(plain(answer).items()))] if "decide_for" in method else [plain(answer)]
