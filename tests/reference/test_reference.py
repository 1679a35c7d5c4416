"""Every statistic against published or independently derived values, each with its source."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tallybook import stats
from tallybook.model.estimate import Estimate
from tallybook.model.moments import Moments
from tallybook.stats.effect import Effect, Sample, absolute, relative, sample
from tallybook.stats.looks import over_looks
from tallybook.stats.methods import METHODS
from tallybook.stats.multiplicity import benjamini_hochberg
from tallybook.stats.remaining import visitors_remaining
from tallybook.stats.sample_ratio import Split, log_bayes_factor, sample_ratio_p
from tallybook.stats.sequential import (
    confidence_sequence,
    log_likelihood_ratio,
    mixture_variance,
)
from tallybook.stats.welch import welch

HERE = Path(__file__).parent
NO_STATISTIC = {
    "__init__",
    "methods",  # the registry
    "lift",  # strings effect and method together
}


def the_sample(given: Mapping[str, float]) -> Sample:
    n, mean = int(given["n"]), given["sum"] / given["n"]
    binary = "sumsq" not in given
    m2 = given["sum"] * (1 - mean) if binary else given["sumsq"] - given["sum"] * mean
    return sample(Moments(n=n, mean=mean, m2=m2), binary=binary)


def the_effect(case: Mapping[str, Any]) -> Effect:
    kind = {"absolute": absolute, "relative": relative}[case.get("kind", "relative")]
    return kind(the_sample(case["control"]), the_sample(case["treatment"]))


def printed(number: float, decimals: int) -> Any:
    """Equal as printed: within one unit of the last decimal, since sources round or cut."""
    return pytest.approx(number, abs=1.0 * 10**-decimals, rel=0)


def check_effect(kind: str, case: Mapping[str, Any]) -> None:
    if kind == "ratio":
        m, d = np.array(case["pairs"], dtype=float).T
        moments = Moments(
            n=len(m),
            mean=m.mean(),
            m2=m.var() * len(m),
            denominator_mean=d.mean(),
            denominator_m2=d.var() * len(d),
            cross=float((m - m.mean()) @ (d - d.mean())),
        )
        of_ratio = sample(moments)
        assert of_ratio.mean == case["mean"]
        assert of_ratio.variance == printed(case["variance"], case["decimals"])
        return
    effect = the_effect(case)
    assert effect.value == printed(case["effect"], case["decimals"])
    assert effect.standard_error == printed(case["standard_error"], case["decimals"])


def check_welch(_: str, case: Mapping[str, Any]) -> None:
    effect = the_effect(case)
    estimate = welch(effect)
    assert estimate.p_value == printed(case["p_value"], case["p_decimals"])
    if "df" in case:
        assert effect.df == printed(case["df"], case["df_decimals"])
    if "low" in case:
        assert estimate.low == printed(case["low"], case["interval_decimals"])
        assert estimate.high == printed(case["high"], case["interval_decimals"])


def check_sequential(kind: str, case: Mapping[str, Any]) -> None:
    if kind == "mixture_variance":
        assert mixture_variance(case["alpha"], case["tuning"]) == pytest.approx(case["rho2"], 1e-14)
        return
    if kind == "mixture_ratio":
        n = 2 * case["n_per_arm"]
        variance = 2 * case["sigma2"] / case["n_per_arm"]
        effect = Effect(case["difference"], variance, n, math.inf)
        log_ratio = log_likelihood_ratio(effect, case["tau2"] / (variance * n))
        assert math.exp(log_ratio) == pytest.approx(case["ratio"], rel=1e-12)
        return
    estimate = confidence_sequence(the_effect(case), case.get("alpha", 0.05), case["tuning"])
    found = (estimate.effect, estimate.standard_error, estimate.low, estimate.high)
    wanted = (case["effect"], case["standard_error"], case["low"], case["high"])
    assert found == tuple(printed(number, case["decimals"]) for number in wanted)
    if "p_value" in case:
        assert estimate.p_value == printed(case["p_value"], case["decimals"])


def check_looks(_: str, case: Mapping[str, Any]) -> None:
    looks = [Estimate((low + high) / 2, 1.0, low, high, p) for low, high, p in case["looks"]]
    together = over_looks(looks)
    assert (together.low, together.high) == (case["low"], case["high"])
    assert together.p_value == case["p_value"]
    assert together.effect == looks[-1].effect


def check_sample_ratio(kind: str, case: Mapping[str, Any]) -> None:
    if kind == "counts":
        split = Split(tuple(case["counts"]), (0.5, 0.5))
        assert log_bayes_factor(split) == pytest.approx(case["log_bayes_factor"], rel=1e-9)
        return
    cumulative = accumulate(np.array(case["rows"]))
    splits = [Split(tuple(map(int, row)), tuple(case["expected"])) for row in cumulative]
    if kind == "looks":
        p_value = sample_ratio_p([[split] for split in splits])
        assert p_value == pytest.approx(case["p_value"], rel=1e-9)
        return
    wanted = np.array(case["log_m1"]) - np.array(case["log_m0"])
    found = [log_bayes_factor(split, case["prior"]) for split in splits]
    assert found == pytest.approx(wanted, rel=1e-11)


def check_multiplicity(_: str, case: Mapping[str, Any]) -> None:
    adjusted = benjamini_hochberg(case["p_values"])
    assert adjusted == pytest.approx(case["adjusted"], rel=1e-12)
    assert sum(p <= case["level"] for p in adjusted) == case["rejections"]


def check_remaining(_: str, case: Mapping[str, Any]) -> None:
    half_width = METHODS[case["method"]].half_width
    level = case.get("level", 0.05)
    found = visitors_remaining(the_effect(case), half_width, alpha=0.05, level=level)
    assert found == case["remaining"]


CHECKS: Mapping[str, Callable[[str, Mapping[str, Any]], None]] = {
    "effect": check_effect,
    "looks": check_looks,
    "multiplicity": check_multiplicity,
    "remaining": check_remaining,
    "sample_ratio": check_sample_ratio,
    "sequential": check_sequential,
    "welch": check_welch,
}


def cases() -> list[Any]:
    found = []
    for path in sorted(HERE.glob("*.toml")):
        for kind, rows in tomllib.loads(path.read_text()).items():
            found += [
                pytest.param(path.stem, kind, row, id=f"{path.stem}-{kind}-{place}")
                for place, row in enumerate(rows)
            ]
    return found


@pytest.mark.parametrize(("statistic", "kind", "case"), cases())
def test_a_statistic_gives_its_published_value(
    statistic: str, kind: str, case: Mapping[str, Any]
) -> None:
    assert case["source"]
    CHECKS[statistic](kind, case)


def test_no_statistic_lacks_a_reference() -> None:
    modules = {path.stem for path in Path(stats.__path__[0]).glob("*.py")} - NO_STATISTIC
    assert modules == {path.stem for path in HERE.glob("*.toml")}
    assert modules == set(CHECKS)
