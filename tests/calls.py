"""Random calls of a client's public methods, most of them sensible; the same seed, the same calls."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from random import Random
from typing import Any

import mmh3

from datafiles import ATTRIBUTES, SEGMENTS, DatafileMaker, Guest

OPTIONS = (
    "DISABLE_DECISION_EVENT",
    "ENABLED_FLAGS_ONLY",
    "IGNORE_USER_PROFILE_SERVICE",
    "INCLUDE_REASONS",
    "EXCLUDE_VARIABLES",
    "UNKNOWN",
)
TYPES = ("boolean", "double", "integer", "string", "json")
ODD_KEYS: tuple[Any, ...] = ("", "unknown", None, 7, ["flag_0"])
ODD_USERS: tuple[Any, ...] = (None, 7, b"user")
ODD_DICTS: tuple[Any, ...] = (None, {}, [], "", 0, [1], "text", 7, OrderedDict(plan="gold"))
# The official SDK sends tags that are empty but no dict, which is no valid event: see differences.
ODD_TAGS = tuple(tags for tags in ODD_DICTS if tags or tags is None or tags == {})
TAGS: tuple[Any, ...] = (
    {"revenue": 4200, "value": 1.5, "category": "shoes"},
    {"revenue": "12", "value": "7"},
    {"nested": {"a": [1, None]}, "value": True},
)
Call = tuple[str, int | None, tuple[Any, ...]]


class CallMaker:
    """Calls about one datafile: ``(method, number of the user context or None, arguments)``."""

    def __init__(self, random: Random, maker: DatafileMaker, datafile: dict[str, Any]) -> None:
        self.random = random
        self.guests: list[Guest] = [maker.guest(datafile) for _ in range(4)]
        self.flags = [flag["key"] for flag in datafile["featureFlags"]]
        self.variables = {
            flag["key"]: [(v["key"], v.get("subType", v["type"])) for v in flag["variables"]]
            for flag in datafile["featureFlags"]
        }
        self.rules = rules_of(datafile)
        if self._chance(0.4):
            self.guests[0] = self._guest_at_an_edge(self.guests[0])
        if self._chance(0.3):
            self.guests[1].attributes["colour"] = "no attribute of the datafile"

    def _guest_at_an_edge(self, guest: Guest) -> Guest:
        """The guest, renamed to fall on the first bucket beyond a rule's range or the last in it."""
        shares = [(r["id"], s["endOfRange"]) for r in self.rules for s in r["trafficAllocation"]]
        if not shares:
            return guest
        rule_id, end = self.random.choice(shares)
        wanted = min(end, 9_999) - self.random.choice([0, 0, 1])
        names = (f"{guest.user_id} {number}" for number in range(100_000))
        user_id = next((n for n in names if bucket_of(n + rule_id) == wanted), guest.user_id)
        attributes = {k: v for k, v in guest.attributes.items() if k != "$opt_bucketing_id"}
        return replace(guest, user_id=user_id, attributes=attributes)

    def profiles(self) -> dict[str, Any] | None:
        """What the user profile service has, or ``None`` if there is no such service."""
        if self.random.random() < 0.4:
            return None
        return {g.user_id: self._profile(g.user_id) for g in self.guests if self._chance(0.6)}

    def _profile(self, user_id: str) -> Any:
        if self._chance(0.1):
            return self.random.choice([None, {}, {"user_id": user_id}, "text"])
        buckets: dict[str, Any] = {"unknown": {"variation_id": "1"}}
        for rule in self.rules:
            if self._chance(0.4):
                ids = [*(v["id"] for v in rule["variations"]), "unknown", None, ""]
                buckets[rule["id"]] = {"variation_id": self.random.choice(ids)}
            elif self._chance(0.05):
                buckets[rule["id"]] = {}
        return {"user_id": user_id, "experiment_bucket_map": buckets}

    def call(self) -> Call:
        name = self.random.choice(tuple(_MAKERS))
        return _MAKERS[name](self, name)

    def _chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def _number(self) -> int:
        return self.random.randrange(len(self.guests))

    def _flag(self) -> Any:
        return self.random.choice(ODD_KEYS if self._chance(0.06) else self.flags)

    def _experiment(self) -> Any:
        keys = [rule["key"] for rule in self.rules] or ["unknown"]
        return self.random.choice(ODD_KEYS if self._chance(0.06) else keys)

    def _who(self) -> tuple[Any, Any]:
        guest = self.random.choice(self.guests)
        odd = self._chance(0.06)
        user_id = self.random.choice(ODD_USERS) if self._chance(0.03) else guest.user_id
        return user_id, self.random.choice(ODD_DICTS) if odd else dict(guest.attributes)

    def _options(self) -> Any:
        if self._chance(0.3):
            return self.random.choice([None, "text", ("INCLUDE_REASONS",)])
        return [option for option in OPTIONS if self._chance(0.25)]

    def decide(self, name: str) -> Call:
        return name, self._number(), (self._flag(), self._options())

    def decide_for_keys(self, name: str) -> Call:
        keys = [self._flag() for _ in range(self.random.randint(0, 4))]
        return name, self._number(), ([k for k in keys if isinstance(k, str)], self._options())

    def decide_all(self, name: str) -> Call:
        return name, self._number(), (self._options(),)

    def set_attribute(self, name: str) -> Call:
        values = (1, "gold", None, True, 0.5)
        return name, self._number(), (self.random.choice(ATTRIBUTES), self.random.choice(values))

    def get_qualified_segments(self, name: str) -> Call:
        return name, self._number(), ()

    def is_qualified_for(self, name: str) -> Call:
        return name, self._number(), (self.random.choice([*SEGMENTS, None, 7]),)

    def track_event(self, name: str) -> Call:
        key = self.random.choice(ODD_KEYS) if self._chance(0.1) else "purchase"
        odd = self._chance(0.2)
        return name, self._number(), (key, self.random.choice(ODD_TAGS if odd else TAGS))

    def track(self, name: str) -> Call:
        _, _, (key, tags) = self.track_event(name)
        return name, None, (key, *self._who(), tags)

    def experiment(self, name: str) -> Call:
        return name, None, (self._experiment(), *self._who())

    def set_forced_variation(self, name: str) -> Call:
        variation = self.random.choice(["off", "on", "blue", "on", None, "", 7, "unknown"])
        return name, None, (self._experiment(), self._who()[0], variation)

    def get_forced_variation(self, name: str) -> Call:
        return name, None, (self._experiment(), self._who()[0])

    def feature(self, name: str) -> Call:
        return name, None, (self._flag(), *self._who())

    def get_enabled_features(self, name: str) -> Call:
        return name, None, self._who()

    def variable(self, name: str) -> Call:
        flag = self._flag()
        known = self.variables.get(flag, []) if isinstance(flag, str) else []
        key, kind = self.random.choice(known) if known else ("unknown", "string")
        if self._chance(0.06):
            key = self.random.choice(ODD_KEYS)
        if self._chance(0.6):
            wanted = kind if kind in TYPES and self._chance(0.8) else self.random.choice(TYPES)
            name = f"{name}_{wanted}"
        return name, None, (flag, key, *self._who())


def bucket_of(text: str) -> int:
    """The bucket of a bucketing id followed by a rule's id."""
    return mmh3.hash(text, 1, False) * 10_000 >> 32


def rules_of(datafile: dict[str, Any]) -> list[dict[str, Any]]:
    """Every rule of a datafile but its holdouts."""
    return [
        *datafile["experiments"],
        *(rule for group in datafile["groups"] for rule in group["experiments"]),
        *(rule for rollout in datafile["rollouts"] for rule in rollout["experiments"]),
    ]


_MAKERS: dict[str, Any] = {
    "decide": CallMaker.decide,
    "decide_for_keys": CallMaker.decide_for_keys,
    "decide_all": CallMaker.decide_all,
    "set_attribute": CallMaker.set_attribute,
    "get_qualified_segments": CallMaker.get_qualified_segments,
    "is_qualified_for": CallMaker.is_qualified_for,
    "track_event": CallMaker.track_event,
    "track": CallMaker.track,
    "activate": CallMaker.experiment,
    "get_variation": CallMaker.experiment,
    "set_forced_variation": CallMaker.set_forced_variation,
    "get_forced_variation": CallMaker.get_forced_variation,
    "is_feature_enabled": CallMaker.feature,
    "get_enabled_features": CallMaker.get_enabled_features,
    "get_feature_variable": CallMaker.variable,
    "get_all_feature_variables": CallMaker.feature,
}
