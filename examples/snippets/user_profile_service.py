"""Keep users in their variations, even when the traffic is split anew."""

import json
from pathlib import Path

from optimizely import optimizely
from optimizely.decision.optimizely_decide_option import OptimizelyDecideOption
from optimizely.user_profile import UserProfileService

text = Path(__file__).with_name("datafile.json").read_text(encoding="utf-8")


class Profiles(UserProfileService):
    """Keeps profiles in memory; yours would keep them in a database."""

    def __init__(self):
        self.kept = {}

    def lookup(self, user_id):
        """Give a profile."""
        print("lookup:", user_id)
        return self.kept.get(user_id)

    def save(self, user_profile):
        """Keep a profile."""
        print("save:", json.dumps(user_profile, sort_keys=True))
        self.kept[user_profile["user_id"]] = user_profile


profiles = Profiles()
quiet = [OptimizelyDecideOption.DISABLE_DECISION_EVENT]
client = optimizely.Optimizely(text, user_profile_service=profiles, default_decide_options=quiet)
before = {
    user_id: client.create_user_context(user_id).decide("checkout").variation_key
    for user_id in ("maria", "noor", "li")
}
print("before:", before)
client.close()

datafile = json.loads(text)
control = datafile["experiments"][0]["variations"][0]
datafile["experiments"][0]["trafficAllocation"] = [{"entityId": control["id"], "endOfRange": 10000}]
client = optimizely.Optimizely(
    json.dumps(datafile), user_profile_service=profiles, default_decide_options=quiet
)
for user_id in ("maria", "new"):
    user = client.create_user_context(user_id)
    print(user_id, "keeps or gets:", user.decide("checkout").variation_key)
ignoring = [OptimizelyDecideOption.IGNORE_USER_PROFILE_SERVICE]
user = client.create_user_context("maria")
print("without the profile:", user.decide("checkout", ignoring).variation_key)
client.close()
