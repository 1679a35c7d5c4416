"""What may be asked, and what is refused with the flag's name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.analyse.request import Request, ad_hoc_metric
from tallybook.errors import ConfigError
from tallybook.model.metric import Aggregator, Metric, Scope


@given(st.text(min_size=1).filter(lambda key: ":" not in key), st.text(min_size=1))
def test_an_ad_hoc_metric_takes_any_event_key_without_a_colon_and_any_field(
    event_key: str, field: str
) -> None:
    found = ad_hoc_metric(f"{event_key}:sum:{field}")
    assert found == Metric(
        key=f"{event_key}:sum:{field}",
        event_key=event_key,
        aggregator=Aggregator.SUM,
        field=field,
        scope=Scope.VISITOR,
    )


@pytest.mark.parametrize("text", ["purchase:unique", "a b.c:count"])
def test_unique_and_count_need_no_field(text: str) -> None:
    found = ad_hoc_metric(text)
    assert f"{found.event_key}:{found.aggregator}" == text
    assert found.field is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("purchase", "--metric 'purchase': expected a metric's key, or EVENT:unique"),
        ("purchase:median", "--metric 'purchase:median': expected"),
        (":unique", "--metric ':unique': expected"),
        ("purchase:sum", "sum needs a field; expected EVENT:sum:FIELD"),
        ("purchase:sum:", "sum needs a field"),
        ("purchase:count:revenue", "count takes no field; expected EVENT:count"),
        ("purchase:unique:", "unique takes no field"),
    ],
)
def test_an_ad_hoc_metric_of_another_form_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        ad_hoc_metric(text)
    assert says in str(refused.value)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, -1.0, float("nan")])
def test_a_confidence_that_is_no_level_is_refused(level: float) -> None:
    with pytest.raises(ConfigError, match=r"--confidence .*: expected a level between 0 and 1"):
        Request(experiment="x", confidence_level=level)


def test_a_window_must_have_an_inside() -> None:
    with pytest.raises(ConfigError, match=r"expected --from to be before --to"):
        Request(experiment="x", from_ms=5, to_ms=5)


def test_alpha_is_what_the_level_leaves_without_dust() -> None:
    assert Request(experiment="x", confidence_level=0.95).alpha == 0.05
    assert Request(experiment="x", confidence_level=0.999).alpha == 0.001
