from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.decide.versions import compare_versions

VERSIONS = st.tuples(*[st.integers(0, 30)] * 3).map(lambda parts: ".".join(map(str, parts)))


@pytest.mark.parametrize(
    ("target", "user", "order"),
    [
        ("2.0.0", "2.0.0-beta", -1),
        ("2.0.0-beta", "2.0.0", 1),
        ("2.0.0-alpha", "2.0.0-beta", 1),
        ("2.0.0-beta", "2.0.0-alpha", -1),
        ("2.0.0-beta", "2.0.0-beta", 0),
        ("2.0.0", "2.0.0+1", 0),
        ("2.0.0+1", "2.0.0", 1),
        ("2.0.0", "2.0", -1),
        ("2.0.0-beta", "2.0", 1),
        ("1.2.3-rc.2", "1.2.3-rc.10", -1),
        ("1.2.3-beta+9", "1.2.3-beta", -1),
        ("2.0", "2.0.1", 0),
        ("10.0", "9.9.9", -1),
        ("9.9.9", "10.0", 1),
        ("2.0.0-x", "2.0.0+y", 1),
        ("2.0.0+y", "2.0.0-x", -1),
        ("2.0.0+b", "2.0.0-c", -1),
        ("02.0", "2.0", 0),
    ],
)
def test_versions_compare_by_the_parts_of_the_target(target: str, user: str, order: int) -> None:
    assert compare_versions(user, target) == order


@pytest.mark.parametrize(
    "invalid", ["", "1.2.3.4", "1 .2", "x", "1.x", "1..2", "-beta", "+", "1.2.", "-1", "2.0.0 -a"]
)
def test_what_is_no_version_compares_with_nothing(invalid: str) -> None:
    assert compare_versions(invalid, "1.0") is None
    assert compare_versions("1.0", invalid) is None


@pytest.mark.parametrize(
    ("target", "user"), [("2.0.0-beta", "2.0.0-1"), ("2.²", "2.2"), ("2." + "9" * 5000, "2.1")]
)
def test_numbers_against_words_are_unknown_and_raise_nothing(target: str, user: str) -> None:
    assert compare_versions(user, target) is None


@given(VERSIONS, VERSIONS)
def test_full_versions_compare_as_their_numbers_do(one: str, other: str) -> None:
    left, right = (tuple(map(int, version.split("."))) for version in (one, other))

    assert compare_versions(one, other) == (left > right) - (left < right)


@given(VERSIONS)
def test_a_version_is_at_its_prefixes(version: str) -> None:
    assert compare_versions(version, version.split(".", maxsplit=1)[0]) == 0
    assert compare_versions(version, version.rpartition(".")[0]) == 0
