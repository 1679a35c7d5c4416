"""Reading Event API bodies: all that is well-formed is kept, all else has a reason and an address."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallybook.errors import BatchError
from tallybook.model.event import ConversionEvent, DecisionEvent, Sender, VisitorAttribute
from tallybook.wire.batch_reader import MAX_LETTER_BYTES, MAX_UNFOLDING, read_batch, read_sender

AT_MS = 1_700_000_000_000
PLAN = {"entity_id": "900", "key": "plan", "type": "custom", "value": "gold"}


def conversion(uuid: str = "c-1", **parts: Any) -> dict[str, Any]:
    return {"entity_id": "7", "uuid": uuid, "timestamp": AT_MS, "key": "purchase", **parts}


def activation(uuid: str = "a-1", **parts: Any) -> dict[str, Any]:
    return conversion(uuid, **{"key": "campaign_activated", "entity_id": "L1", **parts})


def decision(**parts: Any) -> dict[str, Any]:
    return {"campaign_id": "L1", "experiment_id": "E1", "variation_id": "11", **parts}


def visitor(*events: object, visitor_id: str = "ann", **parts: Any) -> dict[str, Any]:
    decisions = {"decisions": parts.pop("decisions")} if "decisions" in parts else {}
    return {"visitor_id": visitor_id, "snapshots": [{"events": [*events], **decisions}], **parts}


def body(*visitors: object, **envelope: Any) -> bytes:
    return json.dumps({"account_id": "1", "visitors": [*visitors], **envelope}).encode()


def uuids(raw: bytes) -> list[str]:
    batch = read_batch(raw)
    return [event.uuid for event in (*batch.decisions, *batch.conversions)]


def letters(raw: bytes) -> list[tuple[str, str]]:
    return [(letter.path, letter.reason) for letter in read_batch(raw).dead_letters]


def only_letter(raw: bytes) -> tuple[str, str]:
    (letter,) = letters(raw)
    return letter


def test_a_conversion_is_read_whole() -> None:
    event = conversion(
        revenue=4200,
        value=1.5,
        quantity=2,
        tags={"category": "shoes", "size": 43, "new": True, "nested": {"a": [1]}},
        properties={"color": "red"},
        type="other",
    )
    raw = body(
        visitor(event, attributes=[PLAN], session_id="s-1"),
        project_id="2",
        revision="42",
        client_name="python-sdk",
        client_version="5.7.0",
        anonymize_ip=False,
        enrich_decisions=True,
    )
    batch = read_batch(raw)
    assert batch.sender == Sender("1", "2", "42", "python-sdk", "5.7.0", anonymize_ip=False)
    assert read_sender(raw) == batch.sender
    assert batch.conversions == (
        ConversionEvent(
            uuid="c-1",
            at_ms=AT_MS,
            visitor_id="ann",
            entity_id="7",
            key="purchase",
            attributes=(VisitorAttribute("900", "plan", "gold"),),
            revenue=4200,
            value=1.5,
            quantity=2,
            tags=event["tags"],
            properties={"color": "red"},
            event_type="other",
            session_id="s-1",
        ),
    )
    assert batch.decisions == batch.dead_letters == ()


def test_an_activation_puts_the_decisions_of_its_campaign_into_effect() -> None:
    metadata = {
        "flag_key": "f",
        "rule_key": "r",
        "rule_type": "experiment",
        "variation_key": "on",
        "enabled": True,
        "cmab_uuid": "cm",
    }
    other = decision(campaign_id="L2")
    raw = body(visitor(activation(), decisions=[other, decision(metadata=metadata)]))
    assert read_batch(raw).decisions == (
        DecisionEvent(
            uuid="a-1",
            at_ms=AT_MS,
            visitor_id="ann",
            entity_id="L1",
            campaign_id="L1",
            experiment_id="E1",
            variation_id="11",
            flag_key="f",
            rule_key="r",
            rule_type="experiment",
            variation_key="on",
            enabled=True,
            cmab_uuid="cm",
        ),
    )


@pytest.mark.parametrize("nothing", ["", None])
def test_a_decision_outside_experiments_is_kept_with_empty_ids(nothing: str | None) -> None:
    empty = decision(campaign_id=nothing, experiment_id=nothing, variation_id=None)
    (kept,) = read_batch(body(visitor(activation(entity_id=nothing), decisions=[empty]))).decisions
    ids = (kept.entity_id, kept.campaign_id, kept.experiment_id, kept.variation_id)
    assert ids == ("", "", "", None)


def test_an_activation_may_say_so_by_its_type() -> None:
    raw = body(visitor(activation(key="", type="campaign_activated"), decisions=[decision()]))
    assert len(read_batch(raw).decisions) == 1


@pytest.mark.parametrize(("given", "kept"), [(True, True), (False, False), (None, False)])
def test_a_holdback_stays_a_holdback(given: bool | None, kept: bool) -> None:
    raw = body(visitor(activation(), decisions=[decision(is_campaign_holdback=given)]))
    assert read_batch(raw).decisions[0].is_holdback is kept


def test_an_activation_without_its_decision_is_a_dead_letter() -> None:
    path, reason = only_letter(body(visitor(activation(), decisions=[decision(campaign_id="L2")])))
    assert path == "$.visitors[0].snapshots[0].events[0].entity_id"
    assert "no decision" in reason
    assert letters(body(visitor(activation()))) == [(path, reason)]


def test_decisions_beside_conversions_only_are_copies_and_ignored() -> None:
    batch = read_batch(body(visitor(conversion(), decisions=[decision()])))
    assert (len(batch.decisions), len(batch.conversions), batch.dead_letters) == (0, 1, ())


def test_the_ip_is_anonymised_unless_the_body_says_no() -> None:
    assert read_sender(body()).anonymize_ip
    assert read_sender(body(anonymize_ip=None)).anonymize_ip
    assert not read_sender(body(anonymize_ip=False)).anonymize_ip


def test_attributes_of_other_types_have_no_id() -> None:
    rows = [{"type": "attribution", "key": "captured", "value": 1}, {"type": "x", "value": True}]
    (kept,) = read_batch(body(visitor(conversion(), attributes=[*rows, PLAN]))).conversions
    assert kept.attributes == (
        VisitorAttribute(None, "captured", 1),
        VisitorAttribute(None, "x", True),
        VisitorAttribute("900", "plan", "gold"),
    )


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("\ue000123", 123), ("\ue000-1.5", -1.5), ("\ue0001e3", 1000.0), ("\ue000true", True)],
)
def test_a_marked_string_is_the_value_it_carries(sent: str, kept: object) -> None:
    tags = {"weight": sent, "text": "plain"}
    raw = body(visitor(conversion(tags=tags), attributes=[{**PLAN, "value": sent}]))
    (event,) = read_batch(raw).conversions
    assert event.tags == {"weight": kept, "text": "plain"}
    assert type(event.tags["weight"]) is type(kept)
    assert event.attributes[0].value == kept


ITEM = "$.visitors[0].snapshots[0].events[0]"
BAD_EVENTS = [
    (conversion(timestamp=-1), f"{ITEM}.timestamp", "milliseconds since 1970"),
    (conversion(timestamp=AT_MS * 1_000_000), f"{ITEM}.timestamp", "year 9999"),
    (conversion(timestamp=1.5), f"{ITEM}.timestamp", "expected an integer"),
    (conversion(timestamp="1"), f"{ITEM}.timestamp", "expected an integer, found a string"),
    (conversion(timestamp=True), f"{ITEM}.timestamp", "found true or false"),
    (conversion(revenue=10.0), f"{ITEM}.revenue", "found a number with a fraction"),
    (conversion(revenue="10"), f"{ITEM}.revenue", "found a string"),
    (conversion(revenue=True), f"{ITEM}.revenue", "found true or false"),
    (conversion(revenue=2**63), f"{ITEM}.revenue", "at most 9223372036854775807"),
    (conversion(quantity=-(2**63) - 1), f"{ITEM}.quantity", "at least -9223372036854775808"),
    (conversion(value="10"), f"{ITEM}.value", "expected a number or null, found a string"),
    (conversion(uuid=""), f"{ITEM}.uuid", "must not be empty"),
    (conversion(uuid=None), f"{ITEM}.uuid", "found null"),
    (conversion(key=""), f"{ITEM}.key", "required"),
    (conversion(key=None), f"{ITEM}.key", "required"),
    (conversion(entity_id=None), f"{ITEM}.entity_id", "found null"),
    (conversion(entity_id=7), f"{ITEM}.entity_id", "found an integer"),
    (conversion(tags=[]), f"{ITEM}.tags", "expected an object or null, found an array"),
    (conversion(tags={"size in cm": "\ue000x"}), f'{ITEM}.tags["size in cm"]', "U+E000"),
    (conversion(properties={"x": "\ue000"}), f"{ITEM}.properties.x", "U+E000"),
    (conversion(tags={"x": float("nan")}), ITEM, "NaN"),
    (conversion(tags={"x": float("-inf")}), ITEM, "infinity"),
    (conversion(value=float("inf")), ITEM, "infinity"),
    (conversion(tags={"x": "\ud800"}), ITEM, "not Unicode"),
    (conversion(tags={"\udfff": 1}), ITEM, "not Unicode"),
    ({"uuid": "x"}, f"{ITEM}.entity_id", "required, but missing"),
    ("event", ITEM, "expected an object, found a string"),
    (None, ITEM, "expected an object, found null"),
]


@pytest.mark.parametrize(("event", "path", "reason"), BAD_EVENTS)
def test_a_malformed_event_costs_itself_alone(event: object, path: str, reason: str) -> None:
    raw = body(visitor(event, conversion("beside")), visitor(conversion("after")))
    found_path, found_reason = only_letter(raw)
    assert found_path == path
    assert reason in found_reason
    assert uuids(raw) == ["beside", "after"]


def test_the_letter_holds_what_was_sent() -> None:
    raw = body(visitor(conversion(revenue=1.5), {"uuid": "ü"}))
    texts = [json.loads(letter.body) for letter in read_batch(raw).dead_letters]
    assert texts == [conversion(revenue=1.5), {"uuid": "ü"}]


def test_a_letter_shows_numbers_that_json_does_not_have_as_they_were_sent() -> None:
    (letter,) = read_batch(body(visitor(conversion(value=float("nan"))))).dead_letters
    assert '"value": NaN' in letter.body


def test_a_letter_is_cut() -> None:
    (letter,) = read_batch(body(visitor({"uuid": "x" * 1_000_000}))).dead_letters
    assert len(letter.body) == MAX_LETTER_BYTES


def test_deeply_nested_tags_are_refused_and_shallow_ones_kept() -> None:
    def nested(levels: int) -> object:
        return [nested(levels - 1)] if levels else "end"

    raw = body(
        visitor(conversion("ok", tags={"x": nested(32)}), conversion(tags={"x": nested(33)}))
    )
    assert uuids(raw) == ["ok"]
    assert only_letter(raw) == (
        "$.visitors[0].snapshots[0].events[1].tags.x",
        "nested deeper than 32 levels",
    )


def test_a_number_out_of_range_costs_itself() -> None:
    raw = body(visitor(conversion(), conversion("ok"))).replace(b'"c-1"', b'"c", "value": 1e999', 1)
    assert uuids(raw) == ["ok"]
    assert only_letter(raw)[1] == "a number out of range"


def test_text_that_is_not_utf8_costs_itself() -> None:
    raw = body(visitor(conversion(), conversion("ok"))).replace(b"c-1", b"\xff", 1)
    assert uuids(raw) == ["ok"]
    assert only_letter(raw) == (ITEM, "holds text that is not UTF-8")


def test_a_key_that_is_not_utf8_costs_itself() -> None:
    event = conversion(tags={"KEY": 1})
    raw = body(visitor(event, conversion("ok"))).replace(b"KEY", b"\xff")
    assert uuids(raw) == ["ok"]


@pytest.mark.parametrize("tag", ["\\ud800", "😀", "\ue000", "C:\\udir"])
def test_salvaging_leaves_other_text_alone(tag: str) -> None:
    bad = conversion(tags={"x": float("nan")})
    raw = body(visitor(bad, conversion("ok", properties={"path": tag + "."})))
    if tag == "\ue000":
        assert uuids(raw) == []
        return
    (kept,) = read_batch(raw).conversions
    assert kept.properties == {"path": tag + "."}


BAD_ATTRIBUTES = [
    ({**PLAN, "value": None}, ".value", "found null"),
    ({**PLAN, "value": [1]}, ".value", "found an array"),
    ({**PLAN, "value": 2**63}, ".value", "beyond 64 bits"),
    ({**PLAN, "value": "\ue000-9999999999999999999"}, ".value", "beyond 64 bits"),
    ({**PLAN, "value": "\ue000\ud800"}, "", "not Unicode"),
    ({**PLAN, "key": None}, ".key", "required"),
    ({**PLAN, "key": ""}, ".key", "required"),
    ({"type": "custom", "key": "plan", "value": 1}, ".entity_id", "required"),
    ({"value": 1}, ".type", "required, but missing"),
    (5, "", "expected an object, found an integer"),
]


@pytest.mark.parametrize(("attribute", "where", "reason"), BAD_ATTRIBUTES)
def test_a_malformed_attribute_costs_itself_alone(
    attribute: object, where: str, reason: str
) -> None:
    raw = body(visitor(conversion(), attributes=[PLAN, attribute]))
    path, found = only_letter(raw)
    assert path == f"$.visitors[0].attributes[1]{where}"
    assert reason in found
    (kept,) = read_batch(raw).conversions
    assert kept.attributes == (VisitorAttribute("900", "plan", "gold"),)


def test_a_malformed_decision_costs_itself_alone() -> None:
    wrong = decision(metadata={"enabled": "yes"})
    raw = body(visitor(activation(), decisions=[wrong, decision(experiment_id="E2")]))
    path, reason = only_letter(raw)
    assert path == "$.visitors[0].snapshots[0].decisions[0].metadata.enabled"
    assert reason == "expected true or false or null, found a string"
    assert [d.experiment_id for d in read_batch(raw).decisions] == ["E2"]


MALFORMED_PARTS = [
    (7, "$.visitors[0]", []),
    ({"visitor_id": "a"}, "$.visitors[0].snapshots", []),
    (visitor(conversion(), visitor_id="\ud800"), "$.visitors[0].visitor_id", []),
    ({"visitor_id": "a", "snapshots": {}}, "$.visitors[0].snapshots", []),
    (visitor(conversion(), attributes={}), "$.visitors[0].attributes", ["c-1"]),
    (visitor(conversion(), session_id=5), "$.visitors[0].session_id", ["c-1"]),
    (visitor(conversion(), session_id="\ud800"), "$.visitors[0].session_id", ["c-1"]),
    (visitor(conversion(), decisions="x"), "$.visitors[0].snapshots[0].decisions", ["c-1"]),
    ({"visitor_id": "a", "snapshots": [5]}, "$.visitors[0].snapshots[0]", []),
    ({"visitor_id": "a", "snapshots": [{}]}, "$.visitors[0].snapshots[0].events", []),
]


@pytest.mark.parametrize(("part", "path", "kept"), MALFORMED_PARTS)
def test_a_malformed_part_costs_what_hangs_on_it(part: object, path: str, kept: list[str]) -> None:
    raw = body(part, visitor(conversion("other"), attributes=None))
    assert only_letter(raw)[0] == path
    assert uuids(raw) == [*kept, "other"]


UNUSABLE = [
    (b"", "$", "ends too early"),
    (b"\xff", "$", "not JSON"),
    (b"[]", "$", "expected an object, found an array"),
    (b"null", "$", "found null"),
    (b"{}", "$.account_id", "required, but missing"),
    (b'{"account_id": "1"}', "$.visitors", "required, but missing"),
    (body(account_id=""), "$.account_id", "must not be empty"),
    (body(account_id=1), "$.account_id", "expected a string, found an integer"),
    (body(account_id="\ud800"), "$.account_id", "not Unicode"),
    (body(project_id=float("nan")), "$.project_id", "NaN"),
    (body(account_id=float("nan")), "$.account_id", "NaN"),
    (body(account_id=float("nan"), visitors=5), "$.visitors", "found an integer"),
    (body(anonymize_ip="yes"), "$.anonymize_ip", "expected true or false"),
    (body(visitors={}), "$.visitors", "expected an array, found an object"),
    (body()[:-1], "$", "ends too early"),
    (body() + b"x", "$", "trailing"),
    (body().replace(b"[]", b"[" * 10_000 + b"]" * 10_000), "$", "nested too deep"),
    (body().replace(b"[]", b"[NaN," + b"[" * 10_000), "$", "not JSON"),
    (body().replace(b"[]", b"[NaN"), "$", "not JSON"),
    (body().replace(b'"1"', b'"\xff"'), "$.account_id", "not Unicode"),
]


@pytest.mark.parametrize(("raw", "path", "reason"), UNUSABLE)
def test_an_unusable_body_is_refused_with_its_path(raw: bytes, path: str, reason: str) -> None:
    for read in (read_sender, read_batch):
        with pytest.raises(BatchError) as refused:
            read(raw)
        assert refused.value.path == path
        assert reason in refused.value.reason
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("at_ms", [0, 4_000_000_000_000, 253_402_300_799_999])
def test_any_time_from_1970_to_9999_is_kept(at_ms: int) -> None:
    (kept,) = read_batch(body(visitor(conversion(timestamp=at_ms)))).conversions
    assert kept.at_ms == at_ms


def test_long_strings_unknown_fields_and_undefined_events_are_no_fault() -> None:
    event = conversion(key="nobody knows", entity_id="", tags={"x": "y" * 1_000_000}, future=1)
    raw = body(visitor(event, visitor_id="v" * 1_000_000, more=[]), unknown={"a": 1})
    assert (uuids(raw), letters(raw)) == (["c-1"], [])


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text()
    | st.sampled_from(["\ud800", "\ue0001", "\ue000?", "campaign_activated", "L1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def spots(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The address of everything inside a JSON value."""
    members: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        members = list(value.items())
    elif isinstance(value, list):
        members = list(enumerate(value))
    return [path, *(spot for key, inner in members for spot in spots(inner, (*path, key)))]


VICTIM = visitor(
    activation("v-1"),
    conversion("v-2", tags={"a": 1, "b": {"c": "d"}}, revenue=5, value=1.0),
    decisions=[decision(metadata={"flag_key": "f", "enabled": True})],
    attributes=[PLAN],
    session_id="s",
)
VICTIM_SPOTS = spots(VICTIM)


@settings(max_examples=300)
@given(spot=st.sampled_from(VICTIM_SPOTS), value=JSON, removed=st.booleans())
def test_whatever_happens_to_one_visitor_its_neighbours_are_kept(
    spot: tuple[str | int, ...], value: object, removed: bool
) -> None:
    batch = {"v": copy.deepcopy(VICTIM)}
    *parents, last = ("v", *spot)
    holder: Any = batch
    for key in parents:
        holder = holder[key]
    if removed and parents:
        del holder[last]
    else:
        holder[last] = value
    raw = body(visitor(conversion("before")), batch["v"], visitor(conversion("behind")))
    assert {"before", "behind"} <= set(uuids(raw))
    for letter in read_batch(raw).dead_letters:
        assert letter.path.startswith("$.visitors[1]")


EVENT_SPOTS = [spot for spot in spots(conversion(tags={"a": 1}, revenue=5, value=1.0)) if spot]


@settings(max_examples=200)
@given(spot=st.sampled_from(EVENT_SPOTS), value=JSON)
def test_whatever_happens_to_one_event_its_neighbours_are_kept(
    spot: tuple[str | int, ...], value: object
) -> None:
    event = conversion("victim", tags={"a": 1}, revenue=5, value=1.0)
    holder: Any = event
    for key in spot[:-1]:
        holder = holder[key]
    holder[spot[-1]] = value
    raw = body(visitor(conversion("before"), event, conversion("behind")))
    batch = read_batch(raw)
    assert {"before", "behind"} <= {c.uuid for c in batch.conversions}
    assert len(batch.conversions) + len(batch.dead_letters) >= 3


WHOLE = body(VICTIM, visitor(conversion(tags={"x": "ü\ue0001"})), project_id="2")


@settings(max_examples=500)
@given(data=st.data())
def test_mutated_bytes_are_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    raw = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    outcomes = {outcome(read_sender, bytes(raw)), outcome(sender_of_batch, bytes(raw))}
    assert len(outcomes) == 1


def sender_of_batch(raw: bytes) -> Sender:
    return read_batch(raw).sender


def outcome(read: Callable[[bytes], Sender], raw: bytes) -> Sender | str:
    """What the door says must hold inside: the same sender or the same refusal."""
    try:
        return read(raw)
    except BatchError as refused:
        return str(refused)


def test_an_empty_visitor_id_is_an_id_like_any_other() -> None:
    batch = read_batch(body(visitor(conversion(), visitor_id="")))
    assert [event.visitor_id for event in batch.conversions] == [""]
    assert batch.dead_letters == ()


def test_a_number_of_more_digits_than_python_reads_costs_itself_beside_another_fault() -> None:
    huge = body(visitor(conversion("bad", tags={"x": float("nan"), "y": 1}), conversion("ok")))
    assert uuids(huge.replace(b'"y": 1', b'"y": ' + b"9" * 5_000)) == ["ok"]


def test_long_text_may_be_shared_by_dozens_of_events() -> None:
    plan = {**PLAN, "value": "x" * 100_000}
    events = [conversion(f"c-{n}") for n in range(60)]
    assert len(uuids(body(visitor(*events, attributes=[plan])))) == 60


@pytest.mark.parametrize(
    "shared",
    [
        {"attributes": [{**PLAN, "value": "x" * 100_000}]},
        {"visitor_id": "x" * 100_000},
        {"session_id": "x" * 100_000},
        {"decisions": [decision(metadata={"flag_key": "x" * 100_000})]},
        {"decisions": [decision(variation_id=str(n)) for n in range(1_000)]},
    ],
)
def test_a_body_cannot_unfold_without_bound(shared: dict[str, Any]) -> None:
    kind = activation if "decisions" in shared else conversion
    raw = body(visitor(*(kind(f"u-{n}") for n in range(1_000)), **shared))
    batch = read_batch(raw)
    kept = (*batch.decisions, *batch.conversions)
    assert kept
    texts = sum(
        len(e.visitor_id)
        + len(e.session_id or "")
        + sum(len(str(a.value)) for a in e.attributes)
        + len(getattr(e, "flag_key", None) or "")
        for e in kept
    )
    assert texts + len(kept) <= MAX_UNFOLDING * len(raw)
    assert len({e.uuid for e in kept}) + len(batch.dead_letters) == 1_000
    last = batch.dead_letters[-1]
    assert last.path == "$.visitors[0].snapshots[0].events[999]"
    assert last.reason == "what this body's events share unfolds to over 64 times its size"
    assert json.loads(last.body)["uuid"] == "u-999"  # whole, for whoever wants to send it again


def test_what_the_sender_says_of_itself_counts_too() -> None:
    raw = body(visitor(*(conversion(f"u-{n}") for n in range(500))), client_name="x" * 100_000)
    assert 0 < len(uuids(raw)) < 500
