"""Force what a user sees: for a flag, for one rule of it, and no more."""

from pathlib import Path

from optimizely import optimizely
from optimizely.decision.optimizely_decide_option import OptimizelyDecideOption
from optimizely.optimizely_user_context import OptimizelyUserContext

datafile = Path(__file__).with_name("datafile.json").read_text(encoding="utf-8")
client = optimizely.Optimizely(
    datafile, default_decide_options=[OptimizelyDecideOption.DISABLE_DECISION_EVENT]
)
flag = OptimizelyUserContext.OptimizelyDecisionContext("checkout")
rule = OptimizelyUserContext.OptimizelyDecisionContext("checkout", "checkout_test")
user = client.create_user_context("noor")


def show(when):
    """Print what the user sees now."""
    decision = user.decide("checkout")
    print(f"{when}: {decision.variation_key} by {decision.rule_key}")


show("by itself")
for variation in ("control", "treatment"):
    forced = OptimizelyUserContext.OptimizelyForcedDecision(variation)
    print("stored:", user.set_forced_decision(flag, forced))
    show("forced for the flag")
print("kept:", user.get_forced_decision(flag).variation_key, user.get_forced_decision(rule))
print("removed:", user.remove_forced_decision(flag), user.remove_forced_decision(flag))
user.set_forced_decision(rule, OptimizelyUserContext.OptimizelyForcedDecision("control"))
show("forced for the rule")
user.set_forced_decision(rule, OptimizelyUserContext.OptimizelyForcedDecision("no such arm"))
show("forced to nothing there is")
print("all removed:", user.remove_all_forced_decisions())
show("by itself again")
client.close()
