"""Every public call with every wrong type in every position: never an exception, the documented answer."""

from __future__ import annotations

import logging
from itertools import product
from typing import Any

import pytest

from shop import Shop


class Hostile:
    """Whatever is asked of it, it raises."""

    def __repr__(self) -> str:
        raise ValueError("no text")

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        raise ValueError("no comparison")

    def __hash__(self) -> int:
        raise ValueError("no hash")

    def __bool__(self) -> bool:
        raise ValueError("no truth")


def endless() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


WRONG: dict[str, Any] = {
    "none": None,
    "int": 7,
    "nan": float("nan"),
    "bytes": b"user",
    "list": ["user"],
    "dict": {"user": 1},
    "endless": endless(),
    "surrogate": "\ud800",
    "long": "x" * 1_000_000,
    "hostile": Hostile(),
    "type": dict,
}
BY_USER_ID: dict[str, tuple[tuple[Any, ...], Any]] = {
    "activate": (("test", "user", {}), None),
    "get_variation": (("test", "user", {}), None),
    "set_forced_variation": (("test", "user", "test_on"), False),
    "get_forced_variation": (("test", "user"), None),
    "is_feature_enabled": (("tested", "user", {}), False),
    "get_enabled_features": (("user", {}), []),
    "get_feature_variable": (("tested", "colour", "user", {}), None),
    "get_feature_variable_json": (("tested", "colour", "user", {}), None),
    "get_all_feature_variables": (("tested", "user", {}), None),
    "create_user_context": (("user", {}), None),
    "track": (("purchase", "user", {}, {}), None),
}
BY_CONTEXT: dict[str, tuple[Any, ...]] = {
    "decide": ("tested", []),
    "decide_for_keys": (["tested"], []),
    "decide_all": ([],),
    "track_event": ("purchase", {}),
    "set_attribute": ("plan", "gold"),
    "set_forced_decision": (None, None),
    "get_forced_decision": (None,),
    "remove_forced_decision": (None,),
    "set_qualified_segments": (["loyal"],),
    "is_qualified_for": ("loyal",),
}


def cases(calls: Any) -> list[Any]:
    return [
        pytest.param(name, position, wrong, id=f"{name} {position} {wrong}")
        for name, arguments in calls.items()
        for position, wrong in product(range(len(arguments)), WRONG)
    ]


@pytest.fixture(scope="module")
def crowd() -> Any:
    opened = Shop()
    yield opened
    opened.client.close(5)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "tallybook")


@pytest.mark.parametrize(
    ("name", "position", "wrong"), cases({name: call[0] for name, call in BY_USER_ID.items()})
)
def test_no_call_by_user_id_raises(crowd: Shop, name: str, position: int, wrong: str) -> None:
    right, failed = BY_USER_ID[name]
    arguments = [*right[:position], WRONG[wrong], *right[position + 1 :]]
    answer = getattr(crowd.client, name)(*arguments)
    if wrong in ("int", "bytes", "list", "hostile", "type"):
        assert answer == failed


@pytest.mark.parametrize(("name", "position", "wrong"), cases(BY_CONTEXT))
def test_no_call_of_a_user_context_raises(
    crowd: Shop, name: str, position: int, wrong: str
) -> None:
    right = BY_CONTEXT[name]
    arguments = [*right[:position], WRONG[wrong], *right[position + 1 :]]
    user = crowd.client.create_user_context("user", {"plan": "gold"})
    getattr(user, name)(*arguments)
    assert user.decide("tested").flag_key == "tested"
    assert crowd.client.flush(10)


@pytest.mark.parametrize("wrong", WRONG)
def test_no_attribute_or_tag_value_costs_more_than_itself(wrong: str) -> None:
    shop = Shop()
    value = WRONG[wrong]
    plan = "gold" if wrong == "long" else value  # together with a tag of a megabyte: too large
    user = shop.client.create_user_context("user", {"plan": plan, "logged_in": True})
    user.decide_all()
    user.track_event("purchase", {"odd": value, "revenue": value, "good": 1})
    shop.client.is_feature_enabled("tested", "user", {"plan": value})
    events = shop.events()
    assert sum(event["key"] == "purchase" for event in events) == 1
    assert [event["tags"]["good"] for event in events if event["key"] == "purchase"] == [1]
    shop.client.close(5)
