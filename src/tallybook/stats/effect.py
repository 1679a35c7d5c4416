"""Verb: the moments of two variations → the effect between them and the variance of that effect.

Everything that tells treatment from control goes through here first: a mean, a proportion or a
ratio becomes a :class:`Sample`, two samples become an :class:`Effect`, and an effect is all a
method (``welch``, ``sequential``) needs to know.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from tallybook.errors import NotEnoughDataError
from tallybook.model.moments import Moments

# A spread below these shares of its scale is what rounding leaves behind, not variation: a double
# carries about 16 digits, a difference of sums 14, a sum of a million squares some 11. The first
# two are shares of a sample's own scale, the third of the larger mean of the two compared.
NEGLIGIBLE_SPREAD = 1e-20
NEGLIGIBLE_RESIDUAL = 1e-14
NEGLIGIBLE_BESIDE = 1e-11


@dataclass(frozen=True, slots=True)
class Sample:
    """One variation of one metric: ``n`` visitors, their ``mean``, the ``variance`` of one visitor.

    The variance of the mean is ``variance / n``. Of a ratio metric the mean is numerator over
    denominator, and the variance that of one visitor's share in it.
    """

    n: int
    mean: float
    variance: float


@dataclass(frozen=True, slots=True)
class Effect:
    """Treatment minus control, with the variance of that difference.

    ``n`` counts the visitors of both arms, ``df`` the degrees of freedom of the variance.
    """

    value: float
    variance: float
    n: int
    df: float

    @property
    def standard_error(self) -> float:
        """Standard deviation of the estimated effect, in the effect's unit."""
        return math.sqrt(self.variance)

    def at(self, n: int) -> Effect:
        """This effect as it would stand after ``n`` visitors if nothing but that number changed."""
        growth = n / self.n
        return Effect(self.value, self.variance / growth, n, self.df * growth)


def sample(moments: Moments, *, binary: bool = False) -> Sample:
    """Return the mean of one variation and the variance of one visitor.

    Args:
        moments: Moments of one value a visitor, or of a numerator and denominator.
        binary: Each visitor's value is 0 or 1: the variance is ``m(1 - m)``, else by ``n - 1``.

    Raises:
        NotEnoughDataError: Fewer than two visitors, or a ratio without a denominator.

    Source:
        Ratio of means by the delta method: Deng, Knoblich, Lu (2018), "Applying the Delta Method in
        Metric Analytics", KDD '18. Moments with denominator 1 reduce it to the plain mean.

    Example:
        >>> sample(Moments(n=4, mean=0.25, m2=0.75), binary=True)
        Sample(n=4, mean=0.25, variance=0.1875)
    """
    if moments.n < 2:  # noqa: PLR2004  one visitor has no spread
        raise NotEnoughDataError("a variation has fewer than two visitors")
    if moments.denominator_mean == 0.0:
        raise NotEnoughDataError("a variation has nothing in the metric's denominator")
    mean = moments.mean / moments.denominator_mean
    if binary:
        share = round(mean * moments.n) / moments.n  # a count over a count, whatever was rounded
        return Sample(moments.n, share, share * (1.0 - share))
    own = moments.m2 + mean * mean * moments.denominator_m2
    residual = own - 2.0 * mean * moments.cross
    if residual <= NEGLIGIBLE_RESIDUAL * own:
        residual = 0.0
    variance = residual / (moments.n - 1) / (moments.denominator_mean * moments.denominator_mean)
    if variance <= NEGLIGIBLE_SPREAD * mean * mean:
        variance = 0.0
    return Sample(moments.n, mean, variance)


def absolute(control: Sample, treatment: Sample) -> Effect:
    """Return ``treatment - control`` in the metric's own unit.

    Raises:
        NotEnoughDataError: Neither variation varies, or the values are too large for arithmetic.

    Source:
        Degrees of freedom: Satterthwaite (1946), Biometrics Bulletin 2(6), 110-114.
    """
    control, treatment = _without_dust(control, treatment)
    variance = control.variance / control.n + treatment.variance / treatment.n
    value = treatment.mean - control.mean
    return _effect(value, variance, control, treatment)


def relative(control: Sample, treatment: Sample) -> Effect:
    """Return ``(treatment - control) / |control|``, with its variance by the delta method.

    The magnitude of the baseline divides, so that a rise from -10 to -5 is +0.5. The variance is
    never taken to be smaller than that of the absolute effect in units of the baseline: where the
    treatment's mean is small, the delta method multiplies the baseline's uncertainty by next to
    nothing, and a few early visitors would seem to prove a loss. A gain is not affected.

    Raises:
        NotEnoughDataError: The baseline's mean is zero, neither variation varies, the treatment is
            constantly zero (the delta method then knows no spread), or the values are too large.

    Source:
        Deng, Knoblich, Lu (2018), "Applying the Delta Method in Metric Analytics", KDD '18. The
        lower bound of the variance is ours.

    Example:
        >>> e = relative(Sample(28, 14 / 28, 0.25), Sample(30, 16 / 30, 56 / 225))
        >>> f"{e.value:.5f} {e.standard_error:.5f}"
        '0.06667 0.27170'
    """
    if control.mean == 0.0:
        raise NotEnoughDataError("the baseline's mean is zero, so a relative lift has no meaning")
    control, treatment = _without_dust(control, treatment)
    if treatment.mean == 0.0 and treatment.variance == 0.0:
        raise NotEnoughDataError("every value of the variation is zero: its lift has no interval")
    scale = abs(control.mean)
    ratio = treatment.mean / scale
    weight = max(1.0, ratio * ratio)
    spread = treatment.variance / treatment.n + weight * (control.variance / control.n)
    value = (treatment.mean - control.mean) / scale
    return _effect(value, spread / scale / scale, control, treatment)


def _without_dust(control: Sample, treatment: Sample) -> tuple[Sample, Sample]:
    scale = max(abs(control.mean), abs(treatment.mean))
    dust = NEGLIGIBLE_BESIDE * scale * scale
    if not math.isfinite(dust + control.variance + treatment.variance):
        raise NotEnoughDataError("the values are too large to compute with")
    if control.variance <= dust and treatment.variance <= dust:
        raise NotEnoughDataError("the values do not vary in either variation")
    if control.variance <= dust:
        return replace(control, variance=0.0), treatment
    if treatment.variance <= dust:
        return control, replace(treatment, variance=0.0)
    return control, treatment


def _effect(value: float, variance: float, control: Sample, treatment: Sample) -> Effect:
    if not (math.isfinite(value) and math.isfinite(variance) and variance > 0.0):
        raise NotEnoughDataError("the values are too large or too small to compute with")
    df = _degrees_of_freedom(control, treatment)
    return Effect(value, variance, control.n + treatment.n, df)


def _degrees_of_freedom(control: Sample, treatment: Sample) -> float:
    of_control = control.variance / control.n
    of_treatment = treatment.variance / treatment.n
    share = of_control / (of_control + of_treatment)
    return 1.0 / (share**2 / (control.n - 1) + (1.0 - share) ** 2 / (treatment.n - 1))
