"""The calls that name a user by id, and what each answers."""

from __future__ import annotations

from typing import Any, assert_type

from tallybook import Client

KNOWN = {"plan": "gold", "age": 30}


def ask_experiments(client: Client) -> None:
    assert_type(client.activate("test", "user", KNOWN), str | None)
    assert_type(client.activate(experiment_key="t", user_id="u", attributes=None), str | None)
    assert_type(client.get_variation("test", "user", KNOWN), str | None)
    assert_type(client.get_variation(experiment_key="t", user_id="u", attributes=None), str | None)
    assert_type(client.set_forced_variation("test", "user", "treatment"), bool)
    assert_type(
        client.set_forced_variation(experiment_key="t", user_id="u", variation_key=None), bool
    )
    assert_type(client.get_forced_variation("test", "user"), str | None)
    assert_type(client.get_forced_variation(experiment_key="t", user_id="u"), str | None)

    client.activate("test", 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.activate("test")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.activate("test", "user", "gold")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.get_variation(None, "user")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.set_forced_variation("test", "user")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.set_forced_variation("test", "user", 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.get_forced_variation("test", None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.get_variation("test", "user").upper()  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]


def ask_flags(client: Client) -> None:
    assert_type(client.is_feature_enabled("flag", "user", KNOWN), bool)
    assert_type(client.is_feature_enabled(feature_key="f", user_id="u", attributes=None), bool)
    assert_type(client.get_enabled_features("user", KNOWN), list[str])
    assert_type(client.get_enabled_features(user_id="u", attributes=None), list[str])

    client.is_feature_enabled("flag")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.is_feature_enabled("flag", 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.get_enabled_features(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.get_enabled_features("user", [KNOWN])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def ask_variables(client: Client) -> None:
    assert_type(client.get_feature_variable("flag", "size", "user", KNOWN), Any)
    assert_type(client.get_feature_variable_boolean("flag", "bold", "user", KNOWN), bool | None)
    assert_type(client.get_feature_variable_double("flag", "ratio", "user", KNOWN), float | None)
    assert_type(client.get_feature_variable_integer("flag", "size", "user", KNOWN), int | None)
    assert_type(client.get_feature_variable_string("flag", "color", "user", KNOWN), str | None)
    assert_type(client.get_feature_variable_json("flag", "more", "user", KNOWN), Any)
    assert_type(client.get_all_feature_variables("flag", "user", KNOWN), dict[str, Any] | None)
    assert_type(
        client.get_feature_variable_integer(
            feature_key="flag", variable_key="size", user_id="user", attributes=None
        ),
        int | None,
    )
    assert_type(
        client.get_all_feature_variables(feature_key="flag", user_id="user", attributes=None),
        dict[str, Any] | None,
    )

    client.get_feature_variable("flag", "user")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.get_feature_variable_boolean("flag", 5, "user")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.get_feature_variable_double(5, "ratio", "user")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.get_feature_variable_string("flag", "color", 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.get_feature_variable_json("flag", "more", "user", "gold")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.get_all_feature_variables("flag")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    double: int | None = client.get_feature_variable_double("flag", "ratio", "user")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(double)


def track(client: Client) -> None:
    client.track("purchase", "user")
    client.track("purchase", "user", KNOWN, {"revenue": 4200})
    client.track(event_key="purchase", user_id="user", attributes=None, event_tags=None)

    client.track("purchase")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    client.track("purchase", 5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.track("purchase", "user", "gold")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    client.track("purchase", "user", None, 4200)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
