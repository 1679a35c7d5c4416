"""The provider, used through OpenFeature's own client."""

# OpenFeature's mark that it is typed stands in a namespace package, where pyright does not see it.
# pyright: reportMissingTypeStubs=false

from __future__ import annotations

from typing import assert_type

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.flag_evaluation import FlagEvaluationDetails
from openfeature.provider import FeatureProvider
from openfeature.track import TrackingEventDetails

from tallybook import Client, ClientSettings
from tallybook.openfeature import TallybookProvider

provider = TallybookProvider(Client("{}"), ready_within_s=1)
assert_type(provider, TallybookProvider)
assert_type(provider.client, Client)
assert_type(TallybookProvider.connect("key"), TallybookProvider)
assert_type(
    TallybookProvider.connect(
        sdk_key="key",
        server_url="http://localhost:8080",
        settings=ClientSettings(),
        ready_within_s=0.5,
    ),
    TallybookProvider,
)
as_interface: FeatureProvider = provider
api.set_provider(provider)
api.set_provider_and_wait(provider, "shop")

flags = api.get_client("shop")
user = EvaluationContext("user123", {"plan": "gold", "age": 30})
assert_type(flags.get_boolean_value("checkout", False, user), bool)
assert_type(flags.get_string_details("checkout", "off", user), FlagEvaluationDetails[str])
flags.track("purchase", user, TrackingEventDetails(1.5, {"revenue": 4200}))

assert_type(provider.resolve_boolean_details("checkout", False, user).value, bool)
assert_type(provider.resolve_string_details("checkout", "off", user).value, str)
assert_type(provider.resolve_integer_details("checkout.size", 1, user).value, int)
assert_type(provider.resolve_float_details("checkout.ratio", 0.5, user).value, float)
provider.resolve_object_details("checkout", {}, user)
provider.track("purchase", user)

TallybookProvider()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
TallybookProvider("key")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
TallybookProvider.connect(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
TallybookProvider.connect("key", settings={"gzip": True})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
provider.client = Client("{}")  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
provider.track(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
