"""Say what is known of a user, and have it count."""

from pathlib import Path

from optimizely import optimizely
from optimizely.decision.optimizely_decide_option import OptimizelyDecideOption

datafile = Path(__file__).with_name("datafile.json").read_text(encoding="utf-8")
client = optimizely.Optimizely(
    datafile, default_decide_options=[OptimizelyDecideOption.DISABLE_DECISION_EVENT]
)

user = client.create_user_context("noor", {"plan": "silver", "age": 41})
print("search for silver:", user.decide("search").enabled)
user.set_attribute("plan", "gold")
print("search for gold:", user.decide("search").enabled)
print("attributes:", user.get_user_attributes())

decided = user.decide("search")
user.set_attribute("plan", "none")
print("decided for:", decided.user_context.get_user_attributes())
print("not a user:", client.create_user_context(12345))
client.close()
