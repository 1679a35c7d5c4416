"""Whatever is imported from the official package is here too: names, arguments, defaults, values."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from both_sdks import OFFICIAL, OURS, Sdk

CLASSES = {
    "optimizely": ["Optimizely"],
    "optimizely_factory": ["OptimizelyFactory"],
    "optimizely_user_context": ["OptimizelyUserContext"],
    "decision.optimizely_decide_option": ["OptimizelyDecideOption"],
    "decision.optimizely_decision": ["OptimizelyDecision"],
    "decision.optimizely_decision_message": ["OptimizelyDecisionMessage"],
    "config_manager": [
        "BaseConfigManager",
        "StaticConfigManager",
        "PollingConfigManager",
        "AuthDatafilePollingConfigManager",
    ],
    "error_handler": ["BaseErrorHandler", "NoOpErrorHandler", "RaiseExceptionErrorHandler"],
    "helpers.sdk_settings": ["OptimizelySdkSettings"],
    "optimizely_config": [
        *("OptimizelyConfig", "OptimizelyExperiment", "OptimizelyFeature", "OptimizelyVariation"),
        *("OptimizelyVariable", "OptimizelyAttribute", "OptimizelyEvent", "OptimizelyAudience"),
    ],
}
EXCEPTIONS = (
    *("CmabError", "CmabFetchError", "CmabInvalidResponseError", "InvalidAttributeException"),
    *("InvalidAudienceException", "InvalidEventException", "InvalidEventTagException"),
    *("InvalidExperimentException", "InvalidGroupException", "InvalidInputException"),
    *("InvalidVariationException", "UnsupportedDatafileVersionException", "OdpInvalidData"),
    *("OdpNotEnabled", "OdpNotIntegrated"),
)
# Of what is no plain data the official package has more: parts of its own work.
PARTS = {"optimizely_config": ["OptimizelyConfigService"], "project_config": ["ProjectConfig"]}
ENUMS = (
    *("ConfigManager", "ControlAttributes", "DatafileVersions", "DecisionNotificationTypes"),
    *("DecisionSources", "EventDispatchConfig", "ExperimentTypes", "HTTPHeaders", "HTTPVerbs"),
    *("LogLevels", "NotificationTypes", "OdpEventApiConfig", "OdpEventManagerConfig"),
    *("OdpManagerConfig", "OdpSegmentApiConfig", "OdpSegmentsCacheConfig", "VersionType"),
)
ADDED = {"event_url"}  # keyword arguments of our own
INTERNAL = {"set_last_modified"}  # takes an answer of the library that the official one asks with
NAMED = [(module, name) for module, names in CLASSES.items() for name in names]
theirs, ours = Sdk(OFFICIAL), Sdk(OURS)


def taken(function: Any) -> list[tuple[str, Any, Any]]:
    """What a function takes: names, kinds and defaults, in order."""
    parameters = inspect.signature(function).parameters.values()
    return [(p.name, p.kind, p.default) for p in parameters if p.name not in ADDED]


def public(kind: type) -> dict[str, Any]:
    names = (name for name in vars(kind) if not name.startswith("_") and name not in INTERNAL)
    return {name: vars(kind)[name] for name in names}


@pytest.mark.parametrize(("module", "name"), NAMED)
def test_a_class_is_made_and_called_as_the_official_one(module: str, name: str) -> None:
    official = getattr(theirs.module(module), name)
    mine = getattr(ours.module(module), name)

    assert taken(mine) == taken(official)
    for method, defined in public(official).items():
        found = inspect.getattr_static(mine, method)
        if isinstance(defined, staticmethod | classmethod):
            assert type(found) is type(defined), method
        if callable(getattr(official, method)):
            assert taken(getattr(mine, method)) == taken(getattr(official, method)), method
        elif isinstance(defined, property):
            assert isinstance(found, property), method
        else:
            is_text = module.endswith("message")
            assert is_text or getattr(mine, method) == getattr(official, method), method


@pytest.mark.parametrize("module", PARTS)
def test_what_there_is_of_a_part_is_called_as_the_official_one(module: str) -> None:
    for name in PARTS[module]:
        official = getattr(theirs.module(module), name)
        mine = getattr(ours.module(module), name)
        assert taken(mine) == taken(official)
        shared = [key for key in public(mine) if inspect.isfunction(getattr(official, key, None))]
        assert shared
        assert [taken(getattr(mine, key)) for key in shared] == [
            taken(getattr(official, key)) for key in shared
        ]


@pytest.mark.parametrize("name", ENUMS)
def test_names_and_numbers_have_the_official_values(name: str) -> None:
    official = getattr(theirs.module("helpers.enums"), name)
    assert public(getattr(ours.module("helpers.enums"), name)) == public(official)


def test_exceptions_descend_as_the_official_ones() -> None:
    for name in EXCEPTIONS:
        official, mine = (getattr(sdk.module("exceptions"), name) for sdk in (theirs, ours))
        assert [c.__name__ for c in mine.__mro__] == [c.__name__ for c in official.__mro__]


def test_the_version_is_the_official_one() -> None:
    for name in ("version_info", "__version__"):
        official, mine = (getattr(sdk.module("version"), name) for sdk in (theirs, ours))
        assert mine == official


def test_settings_keep_their_values_under_the_official_names() -> None:
    arguments = (True, 1, 2, "cache", "segments", "events", 3, 4, 5, "endpoint")
    official, mine = (
        vars(sdk.module("helpers.sdk_settings").OptimizelySdkSettings(*arguments))
        for sdk in (theirs, ours)
    )
    assert {name: value for name, value in mine.items() if name not in ADDED} == official


def test_messages_take_as_many_values_as_the_official_ones() -> None:
    official, mine = (
        public(sdk.module("decision.optimizely_decision_message").OptimizelyDecisionMessage)
        for sdk in (theirs, ours)
    )
    assert {key: text.count("{}") for key, text in mine.items()} == {
        key: text.count("{}") for key, text in official.items()
    }


def test_user_attributes_are_a_type_of_their_own() -> None:
    for sdk in (theirs, ours):
        made = sdk.module("optimizely_user_context").UserAttributes({"plan": "gold"})
        assert made == {"plan": "gold"}
