"""Decide several flags at once: all of them, those that are on, those named."""

from pathlib import Path

from optimizely import optimizely
from optimizely.decision.optimizely_decide_option import OptimizelyDecideOption

datafile = Path(__file__).with_name("datafile.json").read_text(encoding="utf-8")
client = optimizely.Optimizely(
    datafile, default_decide_options=[OptimizelyDecideOption.DISABLE_DECISION_EVENT]
)


def shown(decisions):
    """Name each flag's variation."""
    return {key: decision.variation_key for key, decision in sorted(decisions.items())}


for plan in ("gold", "silver"):
    user = client.create_user_context("maria", {"plan": plan})
    print(plan, "all:", shown(user.decide_all()))
    print(plan, "on:", shown(user.decide_all([OptimizelyDecideOption.ENABLED_FLAGS_ONLY])))
    print(plan, "named:", shown(user.decide_for_keys(["search", "no such flag"])))
client.close()
