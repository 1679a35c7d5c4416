"""Decide a flag, read what came of it, and see what was sent."""

import json
from pathlib import Path

from optimizely import optimizely
from optimizely.decision.optimizely_decide_option import OptimizelyDecideOption
from optimizely.event.event_processor import ForwardingEventProcessor

datafile = Path(__file__).with_name("datafile.json").read_text(encoding="utf-8")


class Printer:
    """Prints what an impression says instead of sending it."""

    def dispatch_event(self, event):
        """Print the decision inside."""
        snapshot = event.params["visitors"][0]["snapshots"][0]
        print("sent:", json.dumps(snapshot["decisions"], sort_keys=True))


client = optimizely.Optimizely(datafile, event_processor=ForwardingEventProcessor(Printer()))
for user_id in ("maria", "noor", "li"):
    user = client.create_user_context(user_id, {"plan": "gold"})
    decision = user.decide("checkout")
    print(user_id, "sees", decision.variation_key, "by", decision.rule_key)
    print("variables:", json.dumps(decision.variables, sort_keys=True))

options = [OptimizelyDecideOption.INCLUDE_REASONS, OptimizelyDecideOption.EXCLUDE_VARIABLES]
explained = client.create_user_context("maria").decide("checkout", options)
print("explained:", len(explained.reasons) > 0, explained.variables)
unknown = client.create_user_context("maria").decide("no such flag")
print("unknown:", unknown.variation_key, unknown.enabled, len(unknown.reasons))
client.close()
