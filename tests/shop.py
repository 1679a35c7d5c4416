"""A small project for the client's tests: three kinds of flags, two events, a few attributes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sinks import Mailbox
from tallybook import Client
from tallybook.deliver.settings import DeliverySettings

URL = "http://collector/v1/events"


def rule(number: int, key: str, *, traffic: int = 10_000, enabled: bool = True) -> dict[str, Any]:
    """A rule that gives everyone in ``traffic`` the one variation it has."""
    return {
        "id": f"{number}00",
        "key": key,
        "status": "Running",
        "layerId": f"{number}10",
        "audienceIds": [],
        "forcedVariations": {},
        "trafficAllocation": [{"entityId": f"{number}01", "endOfRange": traffic}],
        "variations": [
            {
                "id": f"{number}01",
                "key": f"{key}_on",
                "featureEnabled": enabled,
                "variables": [{"id": "801", "value": "red"}] if number == 1 else [],
            }
        ],
    }


def datafile(**changes: Any) -> dict[str, Any]:
    """The datafile as JSON data."""
    document = {
        "version": "4",
        "accountId": "account",
        "projectId": "project",
        "revision": "7",
        "anonymizeIP": True,
        "sendFlagDecisions": False,
        "groups": [],
        "audiences": [],
        "typedAudiences": [
            {
                "id": "a1",
                "name": "gold",
                "conditions": [
                    "and",
                    {"type": "custom_attribute", "name": "plan", "match": "exact", "value": "gold"},
                ],
            }
        ],
        "attributes": [
            {"id": "601", "key": "plan"},
            {"id": "602", "key": "logged_in"},
            {"id": "603", "key": "$opt_own"},
        ],
        "events": [
            {"id": "501", "key": "purchase", "experimentIds": ["100"]},
            {"id": "502", "key": "my_purchase_event_key", "experimentIds": []},
        ],
        "experiments": [rule(1, "test"), {**rule(2, "off_test", enabled=False)}],
        "rollouts": [
            {"id": "r3", "experiments": [rule(3, "delivery")]},
            {
                "id": "r4",
                "experiments": [
                    {**rule(4, "gold_only"), "audienceConditions": ["a1"]},
                    rule(5, "nobody", traffic=0),
                ],
            },
        ],
        "featureFlags": [
            flag("tested", experiments=["100"], variables=True),
            flag("switched_off", experiments=["200"]),
            flag("delivered", rollout="r3"),
            flag("for_gold", rollout="r4"),
        ],
    }
    return document | changes


def flag(
    key: str, *, experiments: Sequence[str] = (), rollout: str = "", variables: bool = False
) -> dict[str, Any]:
    """A flag; with variables it has a colour and a size."""
    return {
        "id": f"id_{key}",
        "key": key,
        "experimentIds": [*experiments],
        "rolloutId": rollout,
        "variables": [
            {"id": "801", "key": "colour", "type": "string", "defaultValue": "blue"},
            {"id": "802", "key": "size", "type": "integer", "defaultValue": "3"},
        ]
        if variables
        else [],
    }


class Shop:
    """A client of the small project and what it sends."""

    def __init__(self, changes: dict[str, Any] | None = None, **options: Any) -> None:
        self.mailbox = Mailbox()
        options.setdefault("delivery", DeliverySettings(flush_interval_s=0.01))
        self.client = Client(
            json.dumps(datafile(**(changes or {}))), event_url=URL, http=self.mailbox, **options
        )

    def sent(self) -> list[Any]:
        """Every visitor object, once everything is delivered."""
        assert self.client.flush(10)
        return self.mailbox.visitors

    def events(self) -> list[Any]:
        """Every event of every visitor."""
        return [event for visitor in self.sent() for event in visitor["snapshots"][0]["events"]]
