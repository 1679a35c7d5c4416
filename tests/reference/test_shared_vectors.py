"""The shared statistics vectors, where they are at hand, number by number."""

from __future__ import annotations

import json
import math
import os
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tallybook.model.moments import Moments
from tallybook.stats.effect import Effect, Sample, absolute, relative, sample
from tallybook.stats.multiplicity import benjamini_hochberg
from tallybook.stats.sample_ratio import Split, log_bayes_factor, sample_ratio_p
from tallybook.stats.sequential import confidence_sequence, log_likelihood_ratio
from tallybook.stats.welch import welch

SHARED = Path(os.environ.get("TALLYBOOK_SHARED", Path(__file__).parents[2].parent / "shared"))
VECTORS = SHARED / "data" / "statistics-vectors.json"

pytestmark = pytest.mark.skipif(
    not VECTORS.is_file(), reason="no shared statistics vectors (set TALLYBOOK_SHARED)"
)


@pytest.fixture(scope="module")
def vectors() -> Any:
    return json.loads(VECTORS.read_text())


def the_sample(given: dict[str, float]) -> Sample:
    n, mean = int(given["n"]), given["sum"] / given["n"]
    binary = "sumsq" not in given
    m2 = given["sum"] * (1 - mean) if binary else given["sumsq"] - given["sum"] * mean
    return sample(Moments(n=n, mean=mean, m2=m2), binary=binary)


@pytest.mark.parametrize(
    ("test", "kind", "tuning"),
    [
        ("welch t, relative", relative, None),
        ("welch t, absolute", absolute, None),
        ("welch t, proportion relative", relative, None),
        ("asymptotic CS relative N*=1000", relative, 1000),
        ("asymptotic CS proportion relative N*=5000", relative, 5000),
    ],
)
def test_growthbooks_published_estimates(
    vectors: Any, test: str, kind: Any, tuning: int | None
) -> None:
    published = vectors["growthbook"]["published"]
    case = next(row for row in published if row["test"] == test)
    given = published[case["same_inputs_as"]] if "same_inputs_as" in case else case
    effect = kind(the_sample(given["a"]), the_sample(given["b"]))
    found = confidence_sequence(effect, 0.05, tuning) if tuning else welch(effect)
    assert found.effect == pytest.approx(case["expected"], abs=1e-5)
    assert found.standard_error == pytest.approx(case["se"], abs=1e-5)
    assert (found.low, found.high) == pytest.approx(tuple(case["ci"]), abs=1e-5)
    assert found.p_value == pytest.approx(case["p"], abs=1e-5)


@pytest.mark.parametrize("name", ["unit", "aggregated"])
def test_optimizelys_published_sample_ratio_steps(vectors: Any, name: str) -> None:
    case = vectors["ssrm"]["published"][name]
    cumulative = accumulate(np.array(case["rows"]))
    found = [
        log_bayes_factor(Split(tuple(map(int, row)), tuple(case["p0"])), case["dirichlet_alpha"])
        for row in cumulative
    ]
    assert found == pytest.approx(np.array(case["logM1"]) - np.array(case["logM0"]), rel=1e-11)


def test_optimizelys_published_sample_ratio_p_value(vectors: Any) -> None:
    case = vectors["ssrm"]["published"]["seed0"]
    cumulative = accumulate(np.array(case["data"]))
    looks = [[Split(tuple(map(int, row)), tuple(case["p0"]))] for row in cumulative]
    assert sample_ratio_p(looks) == pytest.approx(case["p_value"], rel=1e-9)


def test_derived_bayes_factors(vectors: Any) -> None:
    for counts, expected in vectors["ssrm"]["derived_kappa_1e4_logbf_p0_half"].items():
        found = log_bayes_factor(Split(tuple(json.loads(counts)), (0.5, 0.5)))
        assert found == pytest.approx(expected, rel=1e-9)


def test_derived_mixture_ratios(vectors: Any) -> None:
    for case in vectors["msprt"]["derived"]:
        n = 2 * case["n_per_arm"]
        variance = 2 * case["sigma2"] / case["n_per_arm"]
        effect = Effect(case["diff"], variance, n, math.inf)
        found = math.exp(log_likelihood_ratio(effect, case["tau2"] / (variance * n)))
        assert found == pytest.approx(case["Lambda"], rel=1e-12)


def test_the_false_discovery_example(vectors: Any) -> None:
    case = vectors["bh"]
    adjusted = benjamini_hochberg(case["p"])
    assert adjusted == pytest.approx(case["adjusted"], rel=1e-12)
    assert sum(p <= case["q"] for p in adjusted) == case["rejections"]
