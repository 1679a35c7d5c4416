"""Trees as nested lists, also the corners only an imported datafile has."""

from __future__ import annotations

from tallybook.model.condition import And, AudienceRef, Comparison, Malformed, Not, Or
from tallybook.publish.conditions import nested_lists, with_ids

LEAF = Comparison("plan", "gold", "custom_attribute", "exact")
JSON_LEAF = {"name": "plan", "type": "custom_attribute", "match": "exact", "value": "gold"}


def test_every_operator_is_written_out():
    tree = Or((And((LEAF, Not(LEAF))), Not(None), Malformed(3)))
    assert nested_lists(tree) == ["or", ["and", JSON_LEAF, ["not", JSON_LEAF]], ["not"], 3]


def test_a_lone_leaf_stands_in_a_list():
    assert nested_lists(LEAF) == ["or", JSON_LEAF]
    assert nested_lists(AudienceRef("7")) == ["or", "7"]


def test_only_audiences_are_given_ids():
    tree = And((AudienceRef("gold"), Or((LEAF, Not(AudienceRef("bots")))), Not(None)))
    assert with_ids(tree, {"gold": "1", "bots": "2"}.__getitem__) == And(
        (AudienceRef("1"), Or((LEAF, Not(AudienceRef("2")))), Not(None))
    )
