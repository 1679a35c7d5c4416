"""Definition files: what is written is understood, what is wrong is named where it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallybook.errors import DefinitionError
from tallybook.model.condition import And, AudienceRef, Comparison, Malformed, Not, Or
from tallybook.model.definition import (
    DefinedAudience,
    DefinedEnvironment,
    DefinedFlag,
    DefinedGroup,
    DefinedRule,
    DefinedVariable,
    DefinedVariation,
    Definition,
    FlagOverride,
    RuleStatus,
    RuleType,
    Share,
)
from tallybook.model.metric import Aggregator, Metric, Scope, WinningDirection
from tallybook.wire.definition import read_definition, write_definition
from tallybook.wire.definition_audiences import audience_value
from tallybook.wire.definition_shapes import (
    EnvironmentShape,
    FlagShape,
    MetricShape,
    ProjectShape,
    RuleShape,
)
from tallybook.wire.definition_values import percent

EXAMPLE = """
project: shop
environments: {production: {sdk_key: prod-key}}
attributes: [plan, country]
events: [purchase, add_to_cart]
audiences:
  gold: {plan: {exact: gold}}            # or a full condition tree
metrics:
  purchase_rate: {event: purchase, aggregator: unique}
  revenue_per_visitor: {event: purchase, aggregator: sum, field: revenue}
flags:
  checkout:
    variables: {color: {type: string, default: blue}}
    variations:
      control: {}
      treatment: {color: green}
    rules:
      - key: checkout_test
        type: a/b                         # a/b | targeted_delivery | multi_armed_bandit
        audience: gold                    # or a tree: {and: [gold, {not: bots}]}
        traffic: 100%
        split: {control: 50%, treatment: 50%}
        metrics: [purchase_rate, revenue_per_visitor]
"""

EVERYTHING = """
project: shop
environments:
  production: {sdk_key: prod-key}
  staging: {access_token: true}
  dev:
bot_filtering: true
anonymize_ip: false
send_flag_decisions: false
attributes: [plan, age, app version, bot]
events: [purchase, "page.view 2"]
audiences:
  adults: {age: {ge: 18, lt: 65.5}, plan: {exact: gold}}
  bots: {bot: {exact: true}}
  new_apps:
    or:
      - app version: {semver_ge: "2.1"}
      - and: [{plan: {substring: go}}, {not: {age: {exists: true}}}]
      - {odp.audiences: {qualified: fans}}
      - {$opt_user_agent: {exists: }}
metrics:
  rate: {event: purchase, aggregator: unique, winning_direction: decreasing}
  basket: {event: purchase, aggregator: sum, field: revenue, scope: event}
flags:
  search:
    variables:
      size: {type: integer, default: 10}
      boost: {type: double, default: 1.5}
      fast: {type: boolean, default: false}
      label: {type: string, default: "on"}
      more: {type: json, default: {a: [1, null]}}
      text: {type: json, default: '{"b": 2}'}
    variations:
      on: {size: 20, boost: 2, fast: true, label: off, more: []}
      off:
      hidden: {enabled: false}
    default: on
    rules:
      - {key: vip, type: targeted_delivery, variation: on, audience: {and: [adults, {not: bots}]}}
      - key: search_test
        type: multi_armed_bandit
        traffic: 33.33%
        split: {on: 6666, hidden: 33.34%}
        metrics: [rate]
        allowlist: {hidden: [anna, "42"]}
        baseline: hidden
        group: pages
        status: paused
        start: 2026-01-31
        end: "2026-02-28T12:00:00.250+02:00"
    environments:
      staging: {enabled: false}
      dev: {rules: []}
groups:
  pages: {rules: {search_test: 40%}}
"""


def edited(old: str, new: str, text: str = EXAMPLE) -> str:
    assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
    return text.replace(old, new)


def fault(text: str | bytes) -> str:
    with pytest.raises(DefinitionError) as error:
        read_definition(text)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_example_of_the_design_is_read():
    definition = read_definition(EXAMPLE)
    assert definition == Definition(
        project="shop",
        environments=(DefinedEnvironment("production", "prod-key"),),
        attributes=("plan", "country"),
        events=("purchase", "add_to_cart"),
        audiences=(
            DefinedAudience("gold", Comparison("plan", "gold", "custom_attribute", "exact")),
        ),
        metrics=(
            Metric("purchase_rate", "purchase", Aggregator.UNIQUE),
            Metric("revenue_per_visitor", "purchase", Aggregator.SUM, "revenue"),
        ),
        flags=(
            DefinedFlag(
                key="checkout",
                variables=(DefinedVariable("color", "string", "blue"),),
                variations=(
                    DefinedVariation("control"),
                    DefinedVariation("treatment", values={"color": "green"}),
                ),
                rules=(
                    DefinedRule(
                        key="checkout_test",
                        type=RuleType.AB,
                        split=(Share("control", 5000), Share("treatment", 5000)),
                        audience=AudienceRef("gold"),
                        metrics=("purchase_rate", "revenue_per_visitor"),
                    ),
                ),
            ),
        ),
    )


def test_everything_a_file_may_hold_is_read():
    definition = read_definition(EVERYTHING.encode())
    (flag,) = definition.flags
    delivery, bandit = flag.rules
    assert [e.key for e in definition.environments] == ["production", "staging", "dev"]
    assert [e.access_token for e in definition.environments] == [False, True, False]
    assert definition.bot_filtering
    assert not definition.anonymize_ip
    assert not definition.send_flag_decisions
    assert definition.events == ("purchase", "page.view 2")
    assert definition.metrics[0].winning_direction is WinningDirection.DECREASING
    assert definition.metrics[1].scope is Scope.EVENT
    assert [v.default for v in flag.variables] == [
        "10", "1.5", "false", "on", '{"a": [1, null]}', '{"b": 2}',
    ]  # fmt: skip
    assert flag.variations == (
        DefinedVariation(
            "on",
            values={"size": "20", "boost": "2", "fast": "true", "label": "off", "more": "[]"},
        ),
        DefinedVariation("off", enabled=False),
        DefinedVariation("hidden", enabled=False),
    )
    assert flag.default == "on"
    assert delivery == DefinedRule(
        "vip",
        RuleType.DELIVERY,
        (Share("on", 10_000),),
        And((AudienceRef("adults"), Not(AudienceRef("bots")))),
    )
    assert bandit == DefinedRule(
        key="search_test",
        type=RuleType.BANDIT,
        split=(Share("on", 6666), Share("hidden", 3334)),
        traffic=3333,
        metrics=("rate",),
        allowlist=(("anna", "hidden"), ("42", "hidden")),
        baseline="hidden",
        group="pages",
        status=RuleStatus.PAUSED,
        start_ms=1_769_817_600_000,
        end_ms=1_772_272_800_250,
    )
    assert flag.overrides == (FlagOverride("staging", enabled=False), FlagOverride("dev", None, ()))
    assert definition.groups == (DefinedGroup("pages", (Share("search_test", 4000),)),)


def test_audience_conditions_are_trees():
    adults, bots, new_apps = (a.condition for a in read_definition(EVERYTHING).audiences)

    def leaf(name: str, match: str, value: object) -> Comparison:
        return Comparison(name, value, "custom_attribute", match)

    assert adults == And(
        (And((leaf("age", "ge", 18), leaf("age", "lt", 65.5))), leaf("plan", "exact", "gold"))
    )
    assert bots == leaf("bot", "exact", True)
    assert new_apps == Or(
        (
            leaf("app version", "semver_ge", "2.1"),
            And((leaf("plan", "substring", "go"), Not(leaf("age", "exists", None)))),
            Comparison("odp.audiences", "fans", "third_party_dimension", "qualified"),
            leaf("$opt_user_agent", "exists", None),
        )
    )


def test_a_ruleset_is_the_flags_own_unless_an_environment_says_otherwise():
    (flag,) = read_definition(EVERYTHING).flags
    assert flag.ruleset("production").enabled
    assert flag.ruleset("production").rules == flag.rules
    assert not flag.ruleset("staging").enabled
    assert flag.ruleset("staging").rules == flag.rules
    assert flag.ruleset("dev").enabled
    assert flag.ruleset("dev").rules == ()


def test_without_environments_there_is_one_called_production():
    assert read_definition("project: shop").environments == (DefinedEnvironment("production"),)


@pytest.mark.parametrize(
    ("arms", "weights"),
    [(2, [5000, 5000]), (3, [3334, 3333, 3333]), (7, [1429] * 4 + [1428] * 3)],
)
def test_an_equal_split_gives_the_remainder_to_the_first_variations(arms, weights):
    variations = "".join(f"      v{i}: {{}}\n" for i in range(arms))
    text = edited("      control: {}\n      treatment: {color: green}\n", variations)
    text = edited("{control: 50%, treatment: 50%}", "equal", text)
    (rule,) = read_definition(text).flags[0].rules
    assert [share.basis_points for share in rule.split] == weights
    assert sum(weights) == 10_000


@pytest.mark.parametrize(
    ("written", "points"),
    [("100%", 10_000), ("0%", 0), ("33.3%", 3330), ('"0.01 %"', 1), ("50", 50), ("10000", 10_000)],
)
def test_a_share_is_a_percentage_or_basis_points(written, points):
    text = edited("traffic: 100%", f"traffic: {written}")
    assert read_definition(text).flags[0].rules[0].traffic == points


@pytest.mark.parametrize(
    "written",
    ["101%", "50.001%", "-1%", "10001", "-1", "50.0", "fifty", "true", "[]", "1e3%", '""', "50 %%"],
)
def test_what_is_no_share_is_refused(written):
    assert re.fullmatch(
        r"flags.checkout.rules\[0\].traffic: found .*; expected a percentage from 0% to 100% with "
        r"at most two decimals, or basis points, a whole number from 0 to 10000",
        fault(edited("traffic: 100%", f"traffic: {written}")),
    )


FAULTS = [
    # the document
    ("", "project: is missing"),
    ("[1]", "definition: found [1]; expected a mapping of project, environments"),
    ("project: [", "definition: line 2, column 1: is not YAML"),
    ("project: \x00", "definition: is not YAML"),
    (b"project: \xff", "definition: byte 9 is not UTF-8"),
    ("[" * 100_000, "definition: is nested deeper than 60 levels"),
    ("project: !secret x", "project: the tag `!secret` is unknown"),
    ("project: a\nproject: b", "project: is given twice, on lines 1 and 2"),
    ("? [project]\n: x", "definition: line 1: a key must be text"),
    ("project: x\nflags: &f {a: *f}", "flags.a: an alias contains itself"),
    ("project: 7", "project: found 7; expected text"),
    ("project: my shop", 'project: "my shop" is no key; a key consists of letters, digits'),
    (f"project: {'x' * 65}", "project: the key has 65 characters; at most 64"),
    ("project: x\nevent: [a]", "event: is an unknown field; did you mean `events`?"),
    ("project: x\nbot_filtering: maybe", 'bot_filtering: found "maybe"; expected true or false'),
    ("project: x\nevents: {a: {}}", 'events: found {"a": {}}; expected a list'),
    ("project: x\nevents: [3]", "events[0]: found 3; expected text"),
    ("project: x\nevents: [a/b]", 'events[0]: "a/b" is no key; a key consists of letters, digits, `_`'),
    ("project: x\nevents: [a, a]", "events[1]: `a` is listed twice"),
    ("project: x\nattributes: [a, a]", "attributes[1]: `a` is listed twice"),
    ("project: x\nholdouts: {h: {traffic: 5%}}", "holdouts: holdouts arrive with a later version"),
    # environments
    ("project: x\nenvironments: {}", "environments: is empty"),
    ("project: x\nenvironments: [a]", 'environments: found ["a"]; expected a mapping'),
    ("project: x\nenvironments: {a b: {}}", 'environments.a b: "a b" is no key'),
    ("project: x\nenvironments: {a: 3}", "environments.a: found 3; expected a mapping of sdk_key"),
    ("project: x\nenvironments: {a: {sdk: k}}", "environments.a.sdk: is an unknown field; did you"),
    ("project: x\nenvironments: {a: {sdk_key: 3}}", "environments.a.sdk_key: found 3; expected text"),
    ("project: x\nenvironments: {a: {sdk_key: a/b}}", 'environments.a.sdk_key: found "a/b"; expected'),
    (
        "project: x\nenvironments: {a: {sdk_key: k}, b: {sdk_key: k}}",
        "environments.b.sdk_key: is the SDK key of `a` too",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), FAULTS)
def test_a_fault_of_the_document_is_named_where_it_stands(text, expected):
    assert fault(text).startswith(expected)


AUDIENCE_FAULTS = [
    ("3", "audiences.gold: found 3; expected a mapping such as {plan: {exact: gold}}"),
    ("{}", "audiences.gold: is empty"),
    ("{plan: {}}", "audiences.gold.plan: is empty"),
    ("{plan: gold}", 'audiences.gold.plan: found "gold"; expected a mapping of a match'),
    ("{plam: {exact: gold}}", "audiences.gold.plam: no attribute `plam` is defined; did you mean `plan`?"),
    ("{plan: {exakt: gold}}", "audiences.gold.plan.exakt: is no match; did you mean `exact`?"),
    ("{plan: {exact: [1]}}", "audiences.gold.plan.exact: found [1]; expected text, true, false or a number"),
    ("{plan: {exact: 9007199254740993}}", "audiences.gold.plan.exact: found 9007199254740993; expected"),
    ("{plan: {exists: false}}", "audiences.gold.plan.exists: found false; expected true; for the opposite"),
    ("{plan: {gt: gold}}", 'audiences.gold.plan.gt: found "gold"; expected a number'),
    ("{plan: {gt: true}}", "audiences.gold.plan.gt: found true; expected a number"),
    ("{plan: {gt: 1.0e999}}", 'audiences.gold.plan.gt: found "1.0e999"; expected a number'),
    ("{plan: {substring: 3}}", "audiences.gold.plan.substring: found 3; expected text"),
    ("{plan: {semver_eq: latest}}", 'audiences.gold.plan.semver_eq: found "latest"; expected a version'),
    ("{plan: {qualified: x}}", "audiences.gold.plan.qualified: `qualified` asks only about `odp.audiences`"),
    ("{and: []}", "audiences.gold.and: found []; expected a list of conditions"),
    ("{and: {plan: {exact: x}}}", "audiences.gold.and: found {"),
    ("{or: [{plan: {exact: x}}, {not: 3}]}", "audiences.gold.or[1].not: found 3; expected a mapping"),
    ("{or: [], plan: {exact: x}}", "audiences.gold: `or` stands beside other keys"),
]  # fmt: skip


@pytest.mark.parametrize(("written", "expected"), AUDIENCE_FAULTS)
def test_a_fault_of_an_audience_is_named_where_it_stands(written, expected):
    assert fault(edited("{plan: {exact: gold}}", written)).startswith(expected)


METRIC_FAULTS = [
    ("3", "metrics.purchase_rate: found 3; expected a mapping of event, aggregator"),
    ("{event: purchase}", "metrics.purchase_rate.aggregator: is missing"),
    ("{aggregator: unique}", "metrics.purchase_rate.event: is missing"),
    (
        "{event: purchse, aggregator: unique}",
        "metrics.purchase_rate.event: no event `purchse` is defined; did you mean `purchase`?",
    ),
    (
        "{event: purchase, aggregator: mean}",
        'metrics.purchase_rate.aggregator: found "mean"; it is one of: unique, count, sum',
    ),
    ("{event: purchase, aggregator: sum}", "metrics.purchase_rate: a sum needs a `field`"),
    (
        "{event: purchase, aggregator: count, field: revenue}",
        "metrics.purchase_rate.field: `count` takes no field",
    ),
    (
        "{event: purchase, aggregator: unique, scope: event}",
        "metrics.purchase_rate.scope: `unique` is per visitor",
    ),
    (
        "{event: purchase, aggregator: sum, field: value, scope: session}",
        'metrics.purchase_rate.scope: found "session"; it is one of: visitor, event',
    ),
    (
        "{event: purchase, aggregator: unique, winning_direction: up}",
        'metrics.purchase_rate.winning_direction: found "up"; it is one of: increasing, decreasing',
    ),
    (
        "{event: purchase, aggregator: unique, cap: 3}",
        "metrics.purchase_rate.cap: is not built yet",
    ),
    *(
        (
            f"{{event: purchase, aggregator: {aggregator}}}",
            f"metrics.purchase_rate.aggregator: `{aggregator}` is not built yet; this version",
        )
        for aggregator in ("ratio", "quantile", "retention", "funnel", "distinct")
    ),
]


@pytest.mark.parametrize(("written", "expected"), METRIC_FAULTS)
def test_a_fault_of_a_metric_is_named_where_it_stands(written, expected):
    assert fault(edited("{event: purchase, aggregator: unique}", written)).startswith(expected)


FLAG = "flags.checkout"
RULE = "flags.checkout.rules[0]"
EDITS = [
    ("  checkout:\n", "  check out:\n", 'flags.check out: "check out" is no key'),
    ("{type: string, default: blue}", "{type: string}", f"{FLAG}.variables.color.default: is missing"),
    ("{type: string, default: blue}", "{type: text, default: x}", f'{FLAG}.variables.color.type: found "text"'),
    ("{type: string, default: blue}", "{type: string, default: 3}", f"{FLAG}.variables.color.default: found 3; expected text"),
    ("{type: string, default: blue}", "{type: integer, default: 3.5}", f"{FLAG}.variables.color.default: found 3.5; expected a whole number"),
    ("{type: string, default: blue}", "{type: integer, default: true}", f"{FLAG}.variables.color.default: found true; expected a whole"),
    ("{type: string, default: blue}", "{type: double, default: x}", f'{FLAG}.variables.color.default: found "x"; expected a finite number'),
    ("{type: string, default: blue}", "{type: boolean, default: yes}", f'{FLAG}.variables.color.default: found "yes"; expected true or false'),
    ("{type: string, default: blue}", "{type: json, default: '{'}", f'{FLAG}.variables.color.default: found "{{"; expected a mapping'),
    ("{type: string, default: blue}", "{type: json, default: 'NaN'}", f'{FLAG}.variables.color.default: found "NaN"; expected a mapping'),
    ("{type: string, default: blue}", "{type: json, default: }", f"{FLAG}.variables.color.default: found nothing; expected a mapping"),
    ("variables: {color:", "variables: {enabled:", f"{FLAG}.variables.enabled: is the switch of a variation"),
    ("treatment: {color: green}", "treatment: {colour: green}", f"{FLAG}.variations.treatment.colour: no variable `colour` is defined; did you"),
    ("treatment: {color: green}", "treatment: {color: 3}", f"{FLAG}.variations.treatment.color: found 3; expected text"),
    ("treatment: {color: green}", "treatment: green", f'{FLAG}.variations.treatment: found "green"; expected a mapping of variables'),
    ("treatment: {color: green}", "treatment: {enabled: 1}", f"{FLAG}.variations.treatment.enabled: found 1; expected true or false"),
    ("treatment: {color: green}", "off: {enabled: true}", f"{FLAG}.variations.off.enabled: the variation `off` is always disabled"),
    ("    rules:\n", "    default: none\n    rules:\n", f"{FLAG}.default: no variation `none` is defined; there are: control, treatment"),
    ("    rules:\n", "    environments: {prod: {}}\n    rules:\n", f"{FLAG}.environments.prod: no environment `prod` is defined; there are: production"),
    ("    rules:\n", "    environments: {production: {rule: []}}\n    rules:\n", f"{FLAG}.environments.production.rule: is an unknown field"),
    ("    rules:\n", "    environments: {production: {rules: [{key: a}]}}\n    rules:\n", f"{FLAG}.environments.production.rules[0].type: is missing"),
    ("type: a/b ", "type: ab ", f'{RULE}.type: found "ab"; it is one of: a/b, targeted_delivery, multi_armed_bandit'),
    ("key: checkout_test", "key: 'checkout test'", f'{RULE}.key: "checkout test" is no key'),
    ("audience: gold ", "audience: golden ", f"{RULE}.audience: no audience `golden` is defined; did you mean `gold`?"),
    ("audience: gold ", "audience: {plan: {exact: x}} ", f"{RULE}.audience: found {{"),
    ("audience: gold ", "audience: [gold] ", f'{RULE}.audience: found ["gold"]; expected a mapping with and, or or not'),
    ("audience: gold ", "audience: {and: [gold, {not: bots}]} ", f"{RULE}.audience.and[1].not: no audience `bots` is defined"),
    ("audience: gold ", "audience: {and: [gold, ]} \n        variation: control", f"{RULE}.variation: belongs to targeted_delivery"),
    ("audience: gold ", "audience: {not: } ", f"{RULE}.audience.not: found nothing; expected the key of an audience"),
    ("split: {control: 50%, treatment: 50%}", "split: {control: 50%, treatment: 49.99%}", f"{RULE}.split: adds up to 99.99%, 9999 basis points; it must be 100%, 10000"),
    ("split: {control: 50%, treatment: 50%}", "split: {control: 50%, treatmnt: 50%}", f"{RULE}.split.treatmnt: no variation `treatmnt` is defined; did you"),
    ("split: {control: 50%, treatment: 50%}", "split: {control: half}", f'{RULE}.split.control: found "half"; expected a percentage'),
    ("split: {control: 50%, treatment: 50%}", "split: {control: 100%}", f"{RULE}.split: has 1 variation; a comparison needs at least 2"),
    ("split: {control: 50%, treatment: 50%}", "split: even", f'{RULE}.split: found "even"; expected a mapping such as'),
    ("        split: {control: 50%, treatment: 50%}\n", "", f"{RULE}.split: found nothing; expected a mapping such as"),
    ("metrics: [purchase_rate, revenue_per_visitor]", "metrics: [purchase]", f"{RULE}.metrics[0]: no metric `purchase` is defined; did you mean `purchase_rate`?"),
    ("metrics: [purchase_rate, revenue_per_visitor]", "metrics: [purchase_rate, purchase_rate]", f"{RULE}.metrics[1]: `purchase_rate` is listed twice"),
    ("metrics: [purchase_rate, revenue_per_visitor]", "metrics: purchase_rate", f'{RULE}.metrics: found "purchase_rate"; expected a list'),
    ("metrics: [purchase_rate, revenue_per_visitor]", "allowlist: {ctrl: [a]}", f"{RULE}.allowlist.ctrl: no variation of this rule `ctrl` is defined"),
    ("metrics: [purchase_rate, revenue_per_visitor]", "allowlist: {control: a}", f'{RULE}.allowlist.control: found "a"; expected a list of user ids'),
    ("metrics: [purchase_rate, revenue_per_visitor]", "allowlist: {control: [42]}", f"{RULE}.allowlist.control[0]: found 42; expected a user id as text, in quotes"),
    ("metrics: [purchase_rate, revenue_per_visitor]", "allowlist: {control: [a], treatment: [a]}", f'{RULE}.allowlist.treatment: "a" is listed twice'),
    ("metrics: [purchase_rate, revenue_per_visitor]", "baseline: ctrl", f"{RULE}.baseline: no variation of this rule `ctrl` is defined"),
    ("metrics: [purchase_rate, revenue_per_visitor]", "status: live", f'{RULE}.status: found "live"; it is one of: draft, running, paused, concluded'),
    ("metrics: [purchase_rate, revenue_per_visitor]", "start: tomorrow", f'{RULE}.start: found "tomorrow"; expected a date such as 2026-01-31'),
    ("metrics: [purchase_rate, revenue_per_visitor]", "start: 2026-01-31T10:00:00", f'{RULE}.start: found "2026-01-31T10:00:00"; expected a date'),
    ("metrics: [purchase_rate, revenue_per_visitor]", "start: 0001-01-01T00:00:00+14:00", f'{RULE}.start: found "0001-01-01T00:00:00+14:00"; expected a date'),
    ("metrics: [purchase_rate, revenue_per_visitor]", "start: 1969-12-31", f'{RULE}.start: found "1969-12-31"; expected a date'),
    ("metrics: [purchase_rate, revenue_per_visitor]", "end: 9999-12-31T23:59:59-14:00", f'{RULE}.end: found "9999-12-31T23:59:59-14:00"; expected a date'),
    ("metrics: [purchase_rate, revenue_per_visitor]", "start: 1700000000", f"{RULE}.start: found 1700000000; expected a date"),
    ("metrics: [purchase_rate, revenue_per_visitor]", "start: 2026-02-01\n        end: 2026-02-01", f"{RULE}.end: is not after the rule's start"),
    ("metrics: [purchase_rate, revenue_per_visitor]", "group: g", f"{RULE}.group: no group `g` is defined; none is defined"),
    ("metrics: [purchase_rate, revenue_per_visitor]", "group: g\ngroups: {g: {rules: {}}}", f"{RULE}.group: `groups.g.rules` has no share for `checkout_test`"),
    ("metrics: [purchase_rate, revenue_per_visitor]", "weight: 3", f"{RULE}.weight: is an unknown field"),
    ("        type: a/b ", "        type: targeted_delivery ", f"{RULE}.split: belongs to experiments"),
    ("flags:\n", "groups: {g: {rules: {nothing: 50%}}}\nflags:\n", "groups.g.rules.nothing: is no experiment; there are: checkout_test"),
    ("flags:\n", "groups: {g: {rules: {checkout_test: 60%, b: 50%}}}\nflags:\n", "groups.g.rules: adds up to 110%; at most 100%"),
    ("flags:\n", "groups: {g: {rules: {checkout_test: 1}}, h: {rules: {checkout_test: 1}}}\nflags:\n", "groups.h.rules.checkout_test: is in `g` too"),
    ("flags:\n", "groups: {g: {}}\nflags:\n", "groups.g.rules: is missing"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), EDITS)
def test_a_fault_of_a_flag_is_named_where_it_stands(old, new, expected):
    assert fault(edited(old, new)).startswith(expected)


def test_a_delivery_must_say_what_it_delivers():
    rules = "    rules: [{key: everyone, type: targeted_delivery}]\n"
    text = EXAMPLE[: EXAMPLE.index("    rules:\n")] + rules
    assert fault(text).startswith(f"{RULE}.variation: is missing")


def test_two_rules_of_a_flag_may_not_share_a_key():
    rules = (
        "[{key: a, type: targeted_delivery, variation: control}, {key: a, type: a/b, split: equal}]"
    )
    text = EXAMPLE[: EXAMPLE.index("    rules:\n")] + f"    rules: {rules}\n"
    assert fault(text).startswith("flags.checkout.rules[1].key: `a` is the key of an earlier rule")


def two_flags(first: str, second: str) -> str:
    return f"""
project: shop
flags:
  one: {{variations: {{a: , b: }}, rules: [{{key: same, {first}}}]}}
  two: {{variations: {{a: , b: }}, rules: [{{key: same, {second}}}]}}
"""


def test_an_experiments_key_is_unique_in_the_project():
    experiment = "type: a/b, split: equal"
    delivery = "type: targeted_delivery, variation: a"
    assert fault(two_flags(experiment, experiment)).startswith(
        "flags.two: has a rule `same`, and so"
    )
    assert fault(two_flags(delivery, experiment)).startswith("flags.two: has a rule `same`")
    assert fault(two_flags(experiment, delivery)).startswith("flags.two: has a rule `same`")
    assert len(read_definition(two_flags(delivery, delivery)).flags) == 2


def test_a_rule_may_be_another_one_in_another_environment():
    override = (
        "    environments: {production: {rules: [{key: checkout_test, type: a/b, split: equal}]}}\n"
    )
    (flag,) = read_definition(edited("    rules:\n", f"{override}    rules:\n")).flags
    assert [rule.metrics for rule in flag.all_rules()] == [
        ("purchase_rate", "revenue_per_visitor"),
        (),
    ]


def test_an_alias_stands_for_what_it_names():
    text = edited("{control: 50%, treatment: 50%}", "&half {control: 50%, treatment: 50%}")
    text += "      - {key: again, type: a/b, split: *half}\n"
    first, second = read_definition(text).flags[0].rules
    assert first.split == second.split


def test_aliases_cannot_blow_a_document_up():
    lines = ["project: x", "flags:", "  a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"  a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 8)]
    assert "more than 500000 values" in fault("\n".join(lines))


def test_aliases_of_aliases_cannot_nest_without_bound():
    lines = ["project: x", "attributes: &a0 [x]", "flags:"]
    lines += [f"  f{i}: &a{i} [*a{i - 1}]" for i in range(1, 400)]
    assert fault("\n".join(lines)) == "definition: is nested deeper than 60 levels"


def test_json_that_nests_without_bound_is_no_json():
    deep = "[" * 100_000
    text = edited("{type: string, default: blue}", f"{{type: json, default: '{deep}'}}")
    assert "expected a mapping, a list, or text that is JSON" in fault(text)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("on", "on"),
        ("no", "no"),
        ("1:30", "1:30"),
        ("2026-01-31", "2026-01-31"),
        ("0123", "0123"),
        ("700000000000000000000001", "700000000000000000000001"),
        ("!!str 5", "5"),
        ("'5'", "5"),
        ("true story", "true story"),
    ],
)
def test_what_looks_like_text_is_text(value, read):
    (flag,) = read_definition(edited("default: blue", f"default: {value}")).flags
    assert flag.variables[0].default == read


def test_a_condition_only_datafiles_have_is_shown_as_it_is():
    assert audience_value(And((Malformed(3), Not(None)))) == {"and": [3, {"not": None}]}


@given(st.integers(0, 10_000))
def test_a_percentage_is_read_as_it_was_written(points):
    text = edited("traffic: 100%", f"traffic: {percent(points)}")
    assert read_definition(text).flags[0].rules[0].traffic == points


def test_what_is_written_says_only_what_is_not_the_default():
    assert write_definition(read_definition("project: shop")) == (
        "project: shop\nenvironments:\n  production: {}\n"
    )


PAGE = (Path(__file__).parents[2] / "docs/reference/definition.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_the_reference_page_has_a_row_for_every_field():
    shapes = [ProjectShape, EnvironmentShape, MetricShape, FlagShape, RuleShape]
    fields = {name for shape in shapes for name in shape.__struct_fields__}
    assert {name for name in fields if f"`{name}`" not in PAGE} == set()
    assert EXAMPLES[0].strip().splitlines() == [
        line.split("#")[0].rstrip() for line in EXAMPLE.strip().splitlines()
    ]


@pytest.mark.parametrize("text", [EXAMPLE, EVERYTHING, *EXAMPLES])
def test_what_was_read_and_written_is_read_again(text):
    definition = read_definition(text)
    written = write_definition(definition)
    assert read_definition(written) == definition
    assert write_definition(read_definition(written)) == written


keys = st.from_regex(r"[a-zA-Z0-9_\-]{1,64}", fullmatch=True)
loose_keys = st.from_regex(r"[a-zA-Z0-9_\- .]{1,64}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\n\t"))
numbers = st.integers(-(2**53), 2**53) | st.floats(-1e15, 1e15)


def leaves(attributes: list[str]) -> st.SearchStrategy[object]:
    def leaf(match: str, values: st.SearchStrategy[object]) -> st.SearchStrategy[Comparison]:
        name = st.sampled_from(attributes)
        return st.builds(Comparison, name, values, st.just("custom_attribute"), st.just(match))

    return (
        leaf("exact", texts | st.booleans() | numbers)
        | leaf("exists", st.none())
        | leaf("ge", numbers)
        | leaf("substring", texts)
    )


def trees(leaf: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.recursive(
        leaf,
        lambda inner: (
            st.builds(Not, inner)
            | st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple))
            | st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple))
        ),
        max_leaves=5,
    )


@st.composite
def definitions(draw: st.DrawFn) -> Definition:
    attributes = [
        a
        for a in draw(st.lists(loose_keys, unique=True, max_size=3))
        if a not in {"and", "or", "not"}
    ]
    events = draw(st.lists(loose_keys, unique=True, min_size=1, max_size=3))
    audience_keys = draw(st.lists(keys, unique=True, max_size=3)) if attributes else []
    metric_keys = draw(st.lists(keys, unique=True, max_size=3))
    variations = draw(
        st.lists(keys.filter(lambda k: k != "off"), unique=True, min_size=2, max_size=4)
    )
    cut = draw(st.integers(0, 10_000))
    rule_keys = draw(st.lists(keys, unique=True, max_size=3))
    rules = tuple(
        DefinedRule(
            key=key,
            type=RuleType.AB,
            split=(Share(variations[0], cut), Share(variations[1], 10_000 - cut)),
            audience=draw(st.none() | trees(st.sampled_from(audience_keys).map(AudienceRef))) if audience_keys else None,
            traffic=draw(st.integers(0, 10_000)),
            metrics=tuple(draw(st.permutations(metric_keys))),
            allowlist=tuple((user, variations[0]) for user in draw(st.lists(texts, unique=True, max_size=2))),
            status=draw(st.sampled_from(RuleStatus)),
            start_ms=draw(st.none() | st.integers(0, 253_402_300_799_999)),
        )
        for key in rule_keys
    )  # fmt: skip
    return Definition(
        project=draw(keys),
        environments=(DefinedEnvironment(draw(keys), None, draw(st.booleans())),),
        bot_filtering=draw(st.booleans()),
        attributes=tuple(attributes),
        events=tuple(events),
        audiences=tuple(DefinedAudience(k, draw(trees(leaves(attributes)))) for k in audience_keys),
        metrics=tuple(Metric(k, draw(st.sampled_from(events)), Aggregator.COUNT) for k in metric_keys),
        flags=(
            DefinedFlag(
                key=draw(keys),
                variables=(DefinedVariable("note", "string", draw(texts)),),
                variations=tuple(DefinedVariation(k, draw(st.booleans()), {"note": draw(texts)}) for k in variations),
                enabled=draw(st.booleans()),
                rules=rules,
            ),
        ),
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(definitions())
def test_any_definition_that_is_written_is_read_again(definition):
    assert repr(read_definition(write_definition(definition))) == repr(definition)
