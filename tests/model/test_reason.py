from __future__ import annotations

import logging
import string

import pytest

from tallybook.model.reason import DEBUG, ERROR, INFO, WARNING, Reason, ReasonKind, Trace

NAMES = (
    "attribute audience bucket bucketing_id cause cmab_uuid conditions expected experiment expression flag got"
    " group holdout match name parent remark result rollout rule type user value variable variation what"
)
ANYTHING = {name: f"some {name}" for name in NAMES.split()}


@pytest.mark.parametrize("kind", ReasonKind)
def test_every_kind_has_a_level_and_a_sentence(kind: ReasonKind) -> None:
    reason = Reason(kind, ANYTHING)

    assert reason.level in (DEBUG, INFO, WARNING, ERROR)
    assert isinstance(reason.is_reason, bool)
    assert reason.text[0] in string.ascii_uppercase
    assert reason.text.endswith(".")


def test_no_two_kinds_read_the_same() -> None:
    assert len({Reason(kind, ANYTHING).text for kind in ReasonKind}) == len(ReasonKind)


def test_levels_are_those_of_the_standard_library() -> None:
    assert (DEBUG, INFO, WARNING, ERROR) == (
        logging.DEBUG,
        logging.INFO,
        logging.WARNING,
        logging.ERROR,
    )


def test_values_fill_the_sentence_text_as_it_is_and_the_rest_as_json() -> None:
    reason = Reason(
        ReasonKind.AUDIENCE_CHECKING,
        {"what": "experiment", "name": "{größe}", "expression": ["or", "7", None, True]},
    )

    assert reason.text == 'Checking the audience of experiment "{größe}": ["or", "7", null, true].'


def test_a_trace_keeps_every_step_in_order() -> None:
    trace = Trace()
    trace.note(ReasonKind.BUCKET_ASSIGNED, bucketing_id="u", bucket=7, parent="1")
    trace.note(ReasonKind.IN_NO_VARIATION, user="u", experiment="checkout")

    assert trace.reasons == [
        Reason(ReasonKind.BUCKET_ASSIGNED, {"bucketing_id": "u", "bucket": 7, "parent": "1"}),
        Reason(ReasonKind.IN_NO_VARIATION, {"user": "u", "experiment": "checkout"}),
    ]
    assert [reason.is_reason for reason in trace.reasons] == [False, True]


def test_a_kind_may_be_noted_with_a_value_of_the_same_name() -> None:
    trace = Trace()
    trace.note(ReasonKind.NOT_RUNNING, experiment="checkout", kind="anything")

    assert trace.reasons[0].values["kind"] == "anything"


def test_a_trace_gives_the_steps_that_are_loud_enough() -> None:
    trace = Trace()
    for kind in (ReasonKind.BUCKET_ASSIGNED, ReasonKind.NOT_RUNNING, ReasonKind.MATCH_UNKNOWN):
        trace.note(kind, **ANYTHING)

    assert [
        [reason.level for reason in trace.at_least(level)] for level in (DEBUG, INFO, ERROR)
    ] == [
        [DEBUG, INFO, WARNING],
        [INFO, WARNING],
        [],
    ]


@pytest.mark.parametrize("level", [DEBUG, INFO, WARNING, ERROR, ERROR + 10])
def test_a_trace_keeps_steps_from_its_level_on(level: int) -> None:
    trace, full = Trace(level), Trace()
    for kind in ReasonKind:
        trace.note(kind, **ANYTHING)
        full.note(kind, **ANYTHING)

    assert trace.reasons == full.at_least(level)
    assert [kind for kind in ReasonKind if trace.keeps(kind)] == [r.kind for r in trace.reasons]
    assert trace.is_empty is (level > ERROR)
    assert trace.is_full is (level == DEBUG)


def test_a_trace_repeats_the_steps_of_another_that_are_loud_enough() -> None:
    steps = [Reason(ReasonKind.BUCKET_ASSIGNED, ANYTHING), Reason(ReasonKind.MATCH_UNKNOWN)]
    full, quiet = Trace(), Trace(WARNING)
    for trace in (full, quiet):
        trace.repeat(steps)

    assert full.reasons == steps
    assert quiet.reasons == steps[1:]


def test_a_trace_that_begins_again_forgets_and_then_keeps_everything() -> None:
    trace = Trace(ERROR)
    trace.note(ReasonKind.AUDIENCE_UNKNOWN, audience="1")
    trace.begin_again()
    trace.note(ReasonKind.BUCKET_ASSIGNED, **ANYTHING)

    assert [reason.kind for reason in trace.reasons] == [ReasonKind.BUCKET_ASSIGNED]
    assert trace.is_full


def test_a_trace_is_empty_until_a_step_is_kept() -> None:
    trace = Trace(WARNING)
    trace.note(ReasonKind.BUCKET_ASSIGNED, **ANYTHING)
    assert trace.is_empty
    trace.note(ReasonKind.MATCH_UNKNOWN, **ANYTHING)
    assert not trace.is_empty
