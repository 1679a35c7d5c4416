"""The two datafiles everything is measured on; seeded.

The same shape and seed give the same bytes everywhere, so that figures of different days and
machines are of the same work. Each flag has experiments first, then targeted deliveries, then a
rule for everyone else; the visitors of the benchmark reach all three.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from itertools import count, cycle, islice
from random import Random
from typing import Any, Final

from benchmarks.visitors import COUNTRIES, KNOWN_ATTRIBUTES, PLANS

SEED: Final = 5_700
WHOLE_TRAFFIC: Final = 10_000  # basis points

EVENT_KEY: Final = "event_0"

_ALONE: Final = 0.7  # of the rules have one audience
_PADDING: Final = "Sphinx of black quartz, judge my vow. "


@dataclass(frozen=True, slots=True)
class Shape:
    """How much of everything a datafile has; ``size`` is in bytes and reached exactly.

    Rules for everyone else come on top, one a flag, and so do five variables a flag.
    """

    flags: int
    experiments_per_flag: int
    deliveries_per_flag: int
    audiences: int
    events: int
    attributes: int
    size: int


SMALL: Final = Shape(
    flags=10,
    experiments_per_flag=1,
    deliveries_per_flag=1,
    audiences=10,
    events=50,
    attributes=30,
    size=41_800,
)
LARGE: Final = Shape(
    flags=500,
    experiments_per_flag=2,
    deliveries_per_flag=2,
    audiences=200,
    events=2_000,
    attributes=300,
    size=4_999_000,
)


@cache
def datafile(shape: Shape, seed: int = SEED) -> str:
    """The datafile of a shape, as the JSON text both SDKs are given."""
    return _Maker(shape, Random(seed)).text()


class _Maker:
    """Makes one datafile; every choice comes from ``random``, every id from one counter."""

    def __init__(self, shape: Shape, random: Random) -> None:
        self._shape = shape
        self._random = random
        self._ids = count(20_000_000_001)
        self._paddable: list[tuple[dict[str, Any], str]] = []

    def text(self) -> str:
        project = self._project()
        missing = self._shape.size - len(_compact(project))
        if missing < 0:
            raise ValueError(f"the shape needs {-missing} bytes more than its size allows")
        share, rest = divmod(missing, len(self._paddable))
        for number, (place, key) in enumerate(self._paddable):
            place[key] += "".join(islice(cycle(_PADDING), share + (number < rest)))
        return _compact(project)

    def _project(self) -> dict[str, Any]:
        shape = self._shape
        self._audiences = [self._audience(number) for number in range(shape.audiences)]
        flags, experiments, rollouts = [], [], []
        for number in range(shape.flags):
            flag = self._flag(number)
            its_experiments = [self._experiment(flag, n) for n in range(shape.experiments_per_flag)]
            rollout = self._rollout(flag)
            flag["experimentIds"] = [experiment["id"] for experiment in its_experiments]
            flag["rolloutId"] = rollout["id"]
            flags.append(flag)
            experiments += its_experiments
            rollouts.append(rollout)
        names = [*KNOWN_ATTRIBUTES, *(f"attribute_{n}" for n in range(6, shape.attributes))]
        return {
            "version": "4",
            "accountId": self._id(),
            "projectId": self._id(),
            "revision": "42",
            "sdkKey": "benchmark",
            "environmentKey": "production",
            "anonymizeIP": True,
            "botFiltering": False,
            "sendFlagDecisions": True,
            "attributes": [{"id": self._id(), "key": name} for name in names],
            "audiences": [],
            "typedAudiences": self._audiences,
            "events": [self._event(number, experiments) for number in range(shape.events)],
            "groups": [],
            "integrations": [],
            "experiments": experiments,
            "rollouts": rollouts,
            "featureFlags": flags,
        }

    def _id(self) -> str:
        return str(next(self._ids))

    def _event(self, number: int, experiments: list[dict[str, Any]]) -> dict[str, Any]:
        some = self._random.sample(experiments, k=min(2, len(experiments)))
        ids = [experiment["id"] for experiment in some]
        return {"id": self._id(), "key": f"event_{number}", "experimentIds": ids}

    def _audience(self, number: int) -> dict[str, Any]:
        kinds = (_paying, _elsewhere, _modern, _aged, _engaged, _regional)
        conditions = kinds[number % len(kinds)](self._random)
        return {"id": self._id(), "name": f"audience_{number}", "conditions": conditions}

    def _flag(self, number: int) -> dict[str, Any]:
        variables: list[dict[str, Any]] = [
            {"id": self._id(), "key": "enabled", "type": "boolean", "defaultValue": "false"},
            {"id": self._id(), "key": "limit", "type": "integer", "defaultValue": "10"},
            {"id": self._id(), "key": "ratio", "type": "double", "defaultValue": "0.5"},
            {"id": self._id(), "key": "title", "type": "string", "defaultValue": "Hello"},
            {
                "id": self._id(),
                "key": "layout",
                "type": "string",
                "subType": "json",
                "defaultValue": '{"columns":2}',
            },
        ]
        self._paddable.append((variables[3], "defaultValue"))
        return {"id": self._id(), "key": f"flag_{number}", "variables": variables}

    def _experiment(self, flag: dict[str, Any], number: int) -> dict[str, Any]:
        variations = [self._variation(flag, key) for key in ("control", "treatment")]
        audience_ids, conditions = self._audience_of_rule()
        taking_part = self._random.choice((8_000, WHOLE_TRAFFIC))
        allocation = [
            {"entityId": variations[0]["id"], "endOfRange": taking_part // 2},
            {"entityId": variations[1]["id"], "endOfRange": taking_part},
        ]
        return {
            **self._rule(f"{flag['key']}_exp_{number}", variations),
            "trafficAllocation": allocation,
            "audienceIds": audience_ids,
            "audienceConditions": conditions,
        }

    def _rollout(self, flag: dict[str, Any]) -> dict[str, Any]:
        rules = []
        for number in range(self._shape.deliveries_per_flag):
            audience_ids, conditions = self._audience_of_rule()
            rule = self._delivery(flag, f"{flag['key']}_delivery_{number}", "on")
            rules.append(rule | {"audienceIds": audience_ids, "audienceConditions": conditions})
        rules.append(self._delivery(flag, f"{flag['key']}_everyone_else", "off"))
        return {"id": self._id(), "experiments": rules}

    def _delivery(self, flag: dict[str, Any], key: str, variation_key: str) -> dict[str, Any]:
        variation = self._variation(flag, variation_key)
        return {
            **self._rule(key, [variation]),
            "trafficAllocation": [{"entityId": variation["id"], "endOfRange": WHOLE_TRAFFIC}],
            "audienceIds": [],
        }

    def _rule(self, key: str, variations: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id(),
            "key": key,
            "status": "Running",
            "layerId": self._id(),
            "variations": variations,
            "forcedVariations": {},
        }

    def _variation(self, flag: dict[str, Any], key: str) -> dict[str, Any]:
        if key == "off":
            return {"id": self._id(), "key": key, "featureEnabled": False, "variables": []}
        texts = (
            "true",
            str(self._random.randint(1, 99)),
            "0.25",
            key,
            '{"columns":3,"dense":true}',
        )
        values = [
            {"id": variable["id"], "value": text}
            for variable, text in zip(flag["variables"], texts, strict=True)
        ]
        self._paddable.append((values[3], "value"))
        return {"id": self._id(), "key": key, "featureEnabled": True, "variables": values}

    def _audience_of_rule(self) -> tuple[list[str], list[Any]]:
        first, second = (a["id"] for a in self._random.sample(self._audiences, k=2))
        if self._random.random() < _ALONE:
            return [first], ["or", first]
        both = self._random.choice((["or", first, second], ["and", first, ["not", second]]))
        return [first, second], both


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def _leaf(name: str, match: str, value: object = None) -> dict[str, Any]:
    leaf = {"name": name, "type": "custom_attribute", "match": match}
    return leaf if value is None else leaf | {"value": value}


def _paying(random: Random) -> list[Any]:
    plans = [_leaf("plan", "exact", plan) for plan in random.sample(PLANS, k=3)]
    return ["and", ["or", ["or", *plans]]]


def _elsewhere(random: Random) -> list[Any]:
    country = _leaf("country", "exact", random.choice(COUNTRIES))
    return ["and", ["not", ["or", ["or", country]]]]


def _modern(random: Random) -> list[Any]:
    version = _leaf("app_version", "semver_ge", random.choice(("2.0.0", "2.4")))
    return ["and", ["or", ["or", version]]]


def _aged(random: Random) -> list[Any]:
    youngest = random.randint(18, 24)
    return ["and", _leaf("age", "ge", youngest), _leaf("age", "lt", youngest + 45)]


def _engaged(random: Random) -> list[Any]:
    spent = _leaf("spent", "gt", random.randint(50, 200))
    return ["or", spent, _leaf("logged_in", "exact", True)]


def _regional(random: Random) -> list[Any]:
    region = _leaf("country", "substring", random.choice(("E", "N", "P", "R")))
    return ["or", ["or", region, _leaf("attribute_7", "exists")]]
