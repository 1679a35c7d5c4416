"""One random datafile and some random calls on both SDKs, held against each other."""

from __future__ import annotations

import copy
import json
from collections import Counter
from random import Random
from typing import Any

from calls import CallMaker, rules_of
from datafiles import DatafileMaker, Guest
from official import (
    RAISED,
    DropInSide,
    FullyOfficialSide,
    OfficialSide,
    OurSide,
    Side,
    as_text,
    copied,
    described,
    plain,
)

CALLS = 22  # a datafile; in one or two the official SDK raises
ALIKE, RAISES = "alike", "official raises"


def compare(seed: int) -> Counter[str]:
    """Compare all calls of a seed; how many were alike, and in how many the official one raised."""
    return _compare(seed, OurSide, OfficialSide)


def compare_drop_in(seed: int) -> Counter[str]:
    """The same for the drop-in, with everything the official names show."""
    return _compare(seed, DropInSide, FullyOfficialSide)


def _compare(
    seed: int, our_side: type[OurSide | DropInSide], their_side: type[OfficialSide]
) -> Counter[str]:
    datafile, maker = made(seed)
    text, profiles = json.dumps(datafile), maker.profiles()
    options = maker.random.choice([[], [], ["INCLUDE_REASONS"], ["DISABLE_DECISION_EVENT"]])
    theirs = their_side(text, profiles, list(options))
    ours = our_side(text, profiles, list(options))
    try:
        compare_configs(ours, theirs)
        return Counter(
            compare_calls(ours, theirs, maker, f"seed {seed}, call {number}")
            for number in range(CALLS)
        )
    finally:
        ours.close()
        theirs.close()


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


def compare_configs(ours: Side, theirs: Side) -> None:
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


def compare_calls(ours: Any, theirs: Any, maker: CallMaker, where: str) -> str:
    method, number, arguments = maker.call()
    guests = maker.guests
    try:
        official = ask(theirs, guests, method, number, arguments)
    except RAISED:
        official = None
    mine = ask(ours, guests, method, number, arguments)
    told, officially_told = ours.take(), theirs.take()
    if official is None:
        ours.profiles = copy.deepcopy(theirs.profiles)  # begin again from the same
        return RAISES
    shown = f"{where}: {method}{arguments} by {guests[number] if number is not None else 'id'}"
    assert as_text(mine) == as_text(official), shown
    for name, events in officially_told.items():
        assert as_text(told[name]) == as_text(events), f"{name} of {shown}"
    return ALIKE


def ask(
    side: Any,
    guests: list[Guest],
    method: str,
    number: int | None,
    arguments: tuple[Any, ...],
) -> list[Any]:
    target = side.client if number is None else side.user(number, guests[number])
    answer = getattr(target, method)(*map(copied, arguments))
    # Unknown keys come first in the official SDK's dictionary: see differences.
    return [dict(sorted(plain(answer).items()))] if "decide_for" in method else [plain(answer)]
