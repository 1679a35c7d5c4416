"""Record what users do: with tags, with revenue, and what is refused."""

import json
from pathlib import Path

from optimizely import optimizely
from optimizely.event.event_processor import ForwardingEventProcessor

datafile = Path(__file__).with_name("datafile.json").read_text(encoding="utf-8")


class Printer:
    """Prints conversions instead of sending them."""

    def dispatch_event(self, event):
        """Print who did what, without when and under which id."""
        visitor = event.params["visitors"][0]
        for happened in visitor["snapshots"][0]["events"]:
            known = {k: v for k, v in happened.items() if k not in ("uuid", "timestamp")}
            print(visitor["visitor_id"], json.dumps(known, sort_keys=True))
        print("known of them:", json.dumps(visitor["attributes"], sort_keys=True))


client = optimizely.Optimizely(datafile, event_processor=ForwardingEventProcessor(Printer()))
user = client.create_user_context("li", {"plan": "gold", "age": 33})
user.track_event("purchase", {"revenue": 4200, "value": 1.5, "category": "shoes"})
user.track_event("signup")
client.track("purchase", "maria", {"plan": "silver"}, {"revenue": "not cents"})
print("unknown event:", user.track_event("no such event"))
print("tags that are none:", user.track_event("purchase", ["shoes"]))
client.close()
