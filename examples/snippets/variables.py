"""Read a flag's variables: each in its type, all at once, and where there are none."""

import json
from pathlib import Path

from optimizely import optimizely

datafile = Path(__file__).with_name("datafile.json").read_text(encoding="utf-8")
client = optimizely.Optimizely(datafile)

for user_id in ("maria", "noor", "li"):
    print(user_id, "color:", client.get_feature_variable_string("checkout", "color", user_id))
    print("columns:", client.get_feature_variable_integer("checkout", "columns", user_id))
    print("express:", client.get_feature_variable_boolean("checkout", "express", user_id))
    print("discount:", client.get_feature_variable_double("checkout", "discount", user_id))
    print("layout:", client.get_feature_variable_json("checkout", "layout", user_id))
    print("untyped:", repr(client.get_feature_variable("checkout", "columns", user_id)))
    values = client.get_all_feature_variables("checkout", user_id)
    print("all:", json.dumps(values, sort_keys=True))
print("wrong type:", client.get_feature_variable_double("checkout", "color", "maria"))
print("no such flag:", client.get_all_feature_variables("no such flag", "maria"))
client.close()
