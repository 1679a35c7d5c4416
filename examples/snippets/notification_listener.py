"""Be told of decisions, conversions and requests."""

import json
from pathlib import Path

from optimizely import optimizely
from optimizely.event.event_processor import ForwardingEventProcessor
from optimizely.helpers import enums
from optimizely.notification_center import NotificationCenter

datafile = Path(__file__).with_name("datafile.json").read_text(encoding="utf-8")


class Nowhere:
    """Sends nothing."""

    def dispatch_event(self, event):
        """Take an event."""


def on_decision(kind, user_id, attributes, info):
    """Be told of a decision."""
    told = {k: v for k, v in info.items() if k != "reasons"}
    print("decision:", kind, user_id, attributes, json.dumps(told, sort_keys=True))


def on_track(event_key, user_id, attributes, tags, event):
    """Be told of a conversion."""
    print("conversion:", event_key, user_id, attributes, tags, event["http_verb"], event["url"])


def on_request(event):
    """Be told of a request."""
    print("request:", event.http_verb, event.url, len(event.params["visitors"]))


center = NotificationCenter()
client = optimizely.Optimizely(
    datafile,
    notification_center=center,
    event_processor=ForwardingEventProcessor(Nowhere(), notification_center=center),
)
types = enums.NotificationTypes
ids = [
    client.notification_center.add_notification_listener(types.DECISION, on_decision),
    client.notification_center.add_notification_listener(types.TRACK, on_track),
    client.notification_center.add_notification_listener(types.LOG_EVENT, on_request),
]
print("listeners:", ids, center.add_notification_listener(types.TRACK, on_track))

user = client.create_user_context("maria", {"plan": "gold"})
user.decide("checkout")
client.is_feature_enabled("search", "noor")
user.track_event("purchase", {"revenue": 900})
print("removed:", center.remove_notification_listener(ids[0]))
user.decide("checkout")
client.close()
