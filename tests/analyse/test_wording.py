from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.analyse.wording import moment, split
from tallybook.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("1970-01-02", 86_400_000),
        ("2026-01-31T09:00:00Z", 1_769_850_000_000),
        ("2026-01-31T10:00:00+01:00", 1_769_850_000_000),
        ("2026-01-31T09:00:00.123", 1_769_850_000_123),
        ("1969-12-31T23:59:59.999", -1),
    ],
)
def test_dates_and_moments_are_milliseconds_in_utc(text: str | None, expected: int | None) -> None:
    assert moment("--from", text) == expected


@given(st.datetimes(timezones=st.just(UTC)))
def test_no_millisecond_is_lost(when: datetime) -> None:
    exact = (when - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000
    assert abs(moment("--from", when.isoformat()) - exact) < 1.1


def test_what_is_no_date_is_refused_by_the_flags_name() -> None:
    with pytest.raises(ConfigError, match="--to is 'soon'"):
        moment("--to", "soon")


def test_a_split_becomes_proportions() -> None:
    assert split("--expected-split", "a=1, b=3") == {"a": 0.25, "b": 0.75}
    assert split("--expected-split", None) is None


@pytest.mark.parametrize("text", ["a", "a=", "=1", "a=0", "a=-1", "a=nan", "a=inf", "", "a=1,,b=1"])
def test_what_is_no_split_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--expected-split"):
        split("--expected-split", text)
