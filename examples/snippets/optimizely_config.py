"""List what a datafile holds."""

from pathlib import Path

from optimizely import optimizely

datafile = Path(__file__).with_name("datafile.json").read_text(encoding="utf-8")
client = optimizely.Optimizely(datafile)
config = client.get_optimizely_config()

print("revision:", config.revision, "key:", config.sdk_key, "in:", config.environment_key)
for flag in config.features_map.values():
    print("flag:", flag.key)
    for variable in flag.variables_map.values():
        print("  variable:", variable.key, variable.type, variable.value)
    for rule in [*flag.experiment_rules, *flag.delivery_rules]:
        print("  rule:", rule.key, "for", rule.audiences or "everyone")
        for variation in rule.variations_map.values():
            values = {v.key: v.value for v in variation.variables_map.values()}
            print("    variation:", variation.key, variation.feature_enabled, values)
print("events:", [(event.key, event.experiment_ids) for event in config.events])
print("attributes:", [attribute.key for attribute in config.attributes])
print("audiences:", [(audience.name, audience.conditions) for audience in config.audiences])
print("as it came:", config.get_datafile() == datafile)
client.close()
