"""Random but valid datafiles, and visitors to ask them about; the same seed gives the same ones."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

ATTRIBUTES = ("plan", "age", "version", "vip", "missing")
SEGMENTS = ("has_cart", "loyal", "new")
VERSIONS = (
    "2.0.0", "2.0", "2", "2.0.1", "2.0.0-beta", "2.0.0-1", "2.0.0-beta.10", "2.0.0-beta.9", "2.0.0+1",
    "2.0.0+build-7", "2.0.0-beta+9", "10.1.2", "1.2.3.4", "", "2.0.0-", "-1", "+", "1 .2", "x.y", "².0",
    "2.²", "02.0", "2..0", "2.0.0--1", "2.0.0-beta.",
)  # fmt: skip
NUMBERS = (0, 1, -1, 18, 18.0, 18.5, 2**53, 2**53 + 1, -(2**53), 10**400, 1e300, 0.1)
ODD_VALUES = (None, True, False, "", "gold", "gol", "GOLD", "18", "true", [1], "1_000")
ODD_ATTRIBUTES = (*ODD_VALUES, float("nan"), float("inf"), {"a": 1}, b"gold", (1,), {1}, object())
MATCHES = (
    "exact", "substring", "exists", "qualified", "gt", "ge", "lt", "le",
    "semver_eq", "semver_gt", "semver_ge", "semver_lt", "semver_le",
)  # fmt: skip
USER_IDS = ("", "ünïcødé", "日本", "tester", "user 7")
VARIABLE_TEXTS = {
    "boolean": ("true", "false", "True", ""),
    "integer": ("7", " 8 ", "1_000", "1.5", "", "٣"),
    "double": ("1.5", "1e3", "inf", "nan", "x"),
    "string": ("", "blue", "grün"),
    "json": ('{"a": [1, null]}', "[1, NaN]", "{bad", '"text"', "null"),
    "colour": ("raw",),
}


@dataclass
class Guest:
    """A visitor as both implementations can be told about them."""

    user_id: str
    attributes: dict[str, Any]
    forced: dict[tuple[str, str | None], str] = field(default_factory=dict)
    segments: list[str] | None = None


class DatafileMaker:
    """Makes one datafile as JSON data; every choice comes from ``random``."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self._last_id = 1000

    def datafile(self) -> dict[str, Any]:
        audience_ids = [self._id() for _ in range(self.random.randint(1, 5))]
        plain = [a for a in audience_ids if self._chance(0.3)]
        typed = [a for a in audience_ids if a not in plain or self._chance(0.2)]
        self._audience_ids = [*audience_ids, "unknown"]
        self._variations: list[dict[str, Any]] = []
        self._variables: list[dict[str, Any]] = []
        self._listed: list[str] = []
        flags = [self._flag(index) for index in range(4)]
        rules = [
            *(e for flag in flags for e in flag["ungrouped"]),
            *(e for flag in flags for group in flag["groups"] for e in group["experiments"]),
            *(e for flag in flags for rollout in flag["rollouts"] for e in rollout["experiments"]),
        ]
        return {
            "version": self._one_of("2", "3", "4", "4", "4"),
            "projectId": "1",
            "accountId": "2",
            "revision": "3",
            "sendFlagDecisions": self._chance(0.5),
            "attributes": [{"id": self._id(), "key": key} for key in ATTRIBUTES],
            "events": [{"id": self._id(), "key": "purchase", "experimentIds": []}],
            "audiences": [
                {"id": a, "name": f"plain {a}", "conditions": json.dumps(self._conditions())}
                for a in plain
            ],
            "typedAudiences": [
                {"id": a, "name": f"typed {a}", "conditions": self._conditions()} for a in typed
            ],
            "experiments": [e for flag in flags for e in flag["ungrouped"]],
            "groups": [group for flag in flags for group in flag["groups"]],
            "rollouts": [rollout for flag in flags for rollout in flag["rollouts"]],
            "featureFlags": [flag["flag"] for flag in flags],
            **self._all_holdouts([rule["id"] for rule in rules]),
        }

    def _all_holdouts(self, rule_ids: list[str]) -> dict[str, Any]:
        """Sections of holdouts, each there or not; few datafiles have many of them."""
        if self._chance(0.4):
            return {}
        sections: dict[str, Any] = {"holdouts": [], "localHoldouts": []}
        for _ in range(self._one_of(0, 1, 1, 2)):
            holdout = self._holdout()
            if self._chance(0.1):
                holdout["includedRules"] = rule_ids[:1]  # means nothing here
            sections["holdouts"].append(holdout)
        for _ in range(self._one_of(0, 1, 3)):
            some = [rule_id for rule_id in [*rule_ids, "unknown"] if self._chance(0.25)]
            sections["localHoldouts"].append({**self._holdout(), "includedRules": some})
        if self._chance(0.1):
            sections["localHoldouts"].append({**self._holdout(), "includedRules": None})
        return sections

    def _holdout(self) -> dict[str, Any]:
        identity = self._id()
        variations = [
            {"id": self._id(), "key": key, "featureEnabled": self._chance(0.3), "variables": []}
            for key in ("held", "off")[: self.random.randint(1, 2)]
        ]
        if self._chance(0.1):
            del variations[0]["featureEnabled"]
        holdout: dict[str, Any] = {
            "id": identity,
            "key": f"holdout_{identity}",
            "status": "Running" if self._chance(0.85) else self._one_of("Draft", "Concluded"),
            "variations": variations,
            "trafficAllocation": self._allocation([v["id"] for v in variations]),
            "audienceIds": [a for a in self._audience_ids if self._chance(0.15)],
        }
        if self._chance(0.6):  # else most visitors would be held back
            holdout["trafficAllocation"] = holdout["trafficAllocation"][:1]
            for entry in holdout["trafficAllocation"]:
                entry["endOfRange"] = self._one_of(0, 1_500, 3_000)
        if self._chance(0.3):
            holdout["audienceConditions"] = self._expression()
        if self._chance(0.4):
            holdout["excludeTargetedDeliveries"] = self._chance(0.8)
        return holdout

    def _id(self) -> str:
        self._last_id += 1
        return str(self._last_id)

    def _chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def _one_of(self, *choices: Any) -> Any:
        return self.random.choice(choices)

    def _flag(self, index: int) -> dict[str, Any]:
        self._variables = [self._variable() for _ in range(self.random.randint(0, 4))]
        self._variations = [self._variation(key) for key in ("off", "on", "blue")]
        ungrouped = [self._experiment(index) for _ in range(self.random.randint(0, 2))]
        groups = [self._group(index)] if self._chance(0.4) else []
        grouped = [e for group in groups for e in group["experiments"]]
        rollouts = [self._rollout(index)] if self._chance(0.8) else []
        listed = [e["id"] for e in [*grouped, *ungrouped] if self._chance(0.9)]
        shareable = [e["id"] for e in [*grouped, *ungrouped] if e["type"] != "fr"]
        if self._listed and self._chance(0.1):
            listed.append(self._one_of(*self._listed))  # an experiment of an earlier flag
        self.random.shuffle(listed)
        self._listed += shareable
        flag = {
            "id": self._id(),
            "key": f"flag_{index}",
            "experimentIds": listed,
            "rolloutId": rollouts[0]["id"] if rollouts else "",
            "variables": self._variables,
        }
        return {"flag": flag, "ungrouped": ungrouped, "groups": groups, "rollouts": rollouts}

    def _variable(self) -> dict[str, Any]:
        type_name = self._one_of(*VARIABLE_TEXTS)
        text = self._one_of(*VARIABLE_TEXTS[type_name])
        variable = {"id": self._id(), "type": type_name, "defaultValue": text}
        variable["key"] = f"variable_{variable['id']}"
        if type_name == "json" and self._chance(0.5):
            variable.update(type="string", subType="json")
        return variable

    def _variation(self, key: str) -> dict[str, Any]:
        used = [variable for variable in self._variables if self._chance(0.6)]
        variation = {
            "id": self._id(),
            "key": key,
            "featureEnabled": self._chance(0.7),
            "variables": [
                {"id": v["id"], "value": self._one_of(*VARIABLE_TEXTS[_text_type(v)])} for v in used
            ],
        }
        for name in ("featureEnabled", "variables"):
            if self._chance(0.1):
                del variation[name]
        return variation

    def _rule(self, key: str) -> dict[str, Any]:
        # Rules of a flag share variations, as the application writes them, or have their own.
        own = [self._variation(variation["key"]) for variation in self._variations]
        variations = own if self._chance(0.3) else list(self._variations)
        self.random.shuffle(variations)
        variations = variations[: self.random.randint(1, 3)]
        rule: dict[str, Any] = {
            "id": self._id(),
            "key": " " if self._chance(0.03) else key,
            "status": "Running" if self._chance(0.85) else self._one_of("Paused", "running"),
            "layerId": self._id(),
            "variations": variations,
            "trafficAllocation": self._allocation([v["id"] for v in variations]),
            "audienceIds": [a for a in self._audience_ids if self._chance(0.15)],
            "forcedVariations": {},
        }
        if self._chance(0.4):
            rule["audienceConditions"] = self._expression()
        return rule

    def _experiment(self, index: int) -> dict[str, Any]:
        # Keys need to be unique within a flag only.
        type_name = self._one_of("ab", "mab", "td", "fr") if self._chance(0.4) else None
        # Feature rollouts change in place in the official SDK: what they share changes with them.
        repeats = type_name != "fr" and self._chance(0.2)
        key = f"experiment_{self.random.randint(1, 4) if repeats else self._last_id}"
        rule = {**self._rule(key), "type": type_name}
        if type_name == "fr":
            rule["key"] = key
        if repeats:
            rule["variations"].append(self._variation("on"))
        for user_id in USER_IDS:
            if self._chance(0.15):
                rule["forcedVariations"][user_id] = self._one_of("off", "on", "blue", "nothing")
        return rule

    def _group(self, index: int) -> dict[str, Any]:
        experiments = [self._experiment(index) for _ in range(self.random.randint(1, 3))]
        ids = [e["id"] for e in experiments]
        return {
            "id": self._id(),
            "policy": "random" if self._chance(0.7) else self._one_of("overlapping", "Random"),
            "trafficAllocation": self._allocation(ids),
            "experiments": experiments,
        }

    def _rollout(self, index: int) -> dict[str, Any]:
        rules = [self._rule(f"rule_{index}_{n}") for n in range(self.random.randint(0, 4))]
        if len(rules) > 1 and self._chance(0.05):
            rules[1]["id"] = rules[0]["id"]
        return {"id": self._id(), "experiments": rules}

    def _allocation(self, ids: list[str]) -> list[dict[str, Any]]:
        if self._chance(0.3):
            return [{"entityId": self._one_of(*ids), "endOfRange": 10_000}]
        ends = sorted(self.random.sample(range(0, 10_001, 500), k=self.random.randint(0, 4)))
        return [
            {"entityId": self._one_of(*ids, *ids, "", "unknown"), "endOfRange": end} for end in ends
        ]

    def _expression(self, depth: int = 2) -> Any:
        if depth == 2 and self._chance(0.1):
            return self._one_of(None, [], "", self._one_of(*self._audience_ids))
        head = self._one_of("and", "or", "not", "or", self._one_of(*self._audience_ids), "AND")
        rest = [
            self._expression(depth - 1)
            if depth and self._chance(0.3)
            else self._one_of(*self._audience_ids)
            for _ in range(self.random.randint(0, 3))
        ]
        if self._chance(0.02):
            rest.append([])  # the official one raises when it gets there
        return [head, *rest]

    def _conditions(self, depth: int = 2) -> Any:
        if self._chance(0.02):
            return self._one_of([], "text", None)  # the official one raises when it gets there
        if depth < 2 and (depth == 0 or self._chance(0.6)):
            return self._condition()
        operands = [self._conditions(depth - 1) for _ in range(self.random.randint(0, 3))]
        head = self._one_of(["and"], ["or"], ["not"], [])
        return [*head, *operands] or ["or"]

    def _condition(self) -> dict[str, Any]:
        match = self._one_of(*MATCHES)
        condition = {
            "name": self._one_of(*ATTRIBUTES),
            "type": "custom_attribute" if self._chance(0.9) else "third_party_dimension",
            "match": match,
            "value": self._expected(match),
        }
        if self._chance(0.05):
            condition.update(self._one_of({"match": "regex"}, {"match": 5}, {"type": "browser"}))
        if self._chance(0.05):
            del condition[self._one_of("name", "type", "match", "value")]
        return condition

    def _expected(self, match: str) -> Any:
        if match != "qualified" and self._chance(0.1):
            return self._one_of(*ODD_VALUES, *NUMBERS)
        if match.startswith("semver"):
            return self._one_of(*VERSIONS)
        if match in ("gt", "ge", "lt", "le"):
            return self._one_of(*NUMBERS)
        if match == "qualified":
            return self._one_of(*SEGMENTS, 7, None)
        return self._one_of(*ODD_VALUES, *NUMBERS)

    def guest(self, datafile: dict[str, Any]) -> Guest:
        attributes: dict[str, Any] = {}
        for name, usual in (("plan", ODD_VALUES), ("age", NUMBERS), ("version", VERSIONS)):
            if self._chance(0.85):
                odd = self._chance(0.15)
                attributes[name] = self._one_of(*(ODD_ATTRIBUTES if odd else usual))
        if self._chance(0.3):
            attributes["vip"] = self._one_of(*ODD_ATTRIBUTES)
        if self._chance(0.15):
            attributes["$opt_bucketing_id"] = self._one_of("shared", "", None, 7, True)
        user_id = f"user_{self.random.randint(1, 10_000)}"
        return Guest(
            user_id=user_id if self._chance(0.7) else self._one_of(*USER_IDS),
            attributes=attributes,
            forced=self._forced(datafile) if self._chance(0.25) else {},
            segments=self._one_of(None, [], ["loyal"], ["has_cart", "new"]),
        )

    def _forced(self, datafile: dict[str, Any]) -> dict[tuple[str, str | None], str]:
        rules = [
            *datafile["experiments"],
            *(e for group in datafile["groups"] for e in group["experiments"]),
            *(e for rollout in datafile["rollouts"] for e in rollout["experiments"]),
        ]
        keys = [None, *(rule["key"] for rule in rules)]
        return {
            (f"flag_{index}", self._one_of(*keys)): self._one_of("off", "on", "blue", "nothing")
            for index in range(4)
            for _ in range(3)
        }


def _text_type(variable: dict[str, Any]) -> str:
    return str(variable.get("subType", variable["type"]))
