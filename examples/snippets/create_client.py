"""Make a client from a datafile, and see whether it can decide."""

from pathlib import Path

from optimizely import optimizely

datafile = Path(__file__).with_name("datafile.json").read_text(encoding="utf-8")

client = optimizely.Optimizely(datafile)
print("usable:", client.is_valid)
print("revision:", client.config_manager.get_config().revision)
print("user:", client.create_user_context("maria").as_json())
client.close()

broken = optimizely.Optimizely('{"version": "4"}')
print("without a datafile:", broken.config_manager.get_config())
print("variation:", broken.create_user_context("maria").decide("checkout").variation_key)
broken.close()
