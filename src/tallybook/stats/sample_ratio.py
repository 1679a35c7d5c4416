"""Verb: visitors per variation → whether traffic was split as intended, at any number of looks.

The evidence against the intended split is a Bayes factor that depends on the counts alone, so it
may be watched continuously. Allocation epochs have a factor each; their product is evidence of the
same kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import betaln, gammaln

CONCENTRATION = (
    10_000.0  # pseudo-visitors behind the alternative; the default of Optimizely's ssrm_test
)
MISMATCH_LEVEL = (
    0.01  # ours: at most one sound experiment in a hundred is ever flagged, over all looks
)


@dataclass(frozen=True, slots=True)
class Split:
    """One allocation epoch so far: visitors (``counts``) and intended shares, arm by arm."""

    counts: tuple[int, ...]
    expected: tuple[float, ...]


def log_bayes_factor(split: Split, prior: Sequence[float] | None = None) -> float:
    """Return the logarithm of the evidence that the split is another than expected.

    Arms that were to get no traffic are left out: their visitors were forced there, not drawn.

    Args:
        split: Cumulative visitors and the intended shares (any positive scale).
        prior: Dirichlet pseudo-counts of the alternative; by default the expected shares times
            :data:`CONCENTRATION`.

    Source:
        Lindon, Malek (2022), "Anytime-Valid Inference for Multinomial Count Data", NeurIPS.

    Example:
        >>> f"{log_bayes_factor(Split((821588, 815482), (0.5, 0.5))):.6f}"
        '8.765972'
    """
    drawn = np.asarray(split.expected) > 0.0
    if np.count_nonzero(drawn) < 2:  # noqa: PLR2004  one arm alone cannot be split wrongly
        return 0.0
    counts = np.asarray(split.counts, dtype=np.float64)[drawn]
    expected = np.asarray(split.expected, dtype=np.float64)[drawn]
    expected = expected / expected.sum()
    pseudo = expected * CONCENTRATION if prior is None else np.asarray(prior, np.float64)[drawn]
    return _log_beta(pseudo + counts) - _log_beta(pseudo) - float(counts @ np.log(expected))


def sample_ratio_p(looks: Sequence[Sequence[Split]]) -> float:
    """Return the always-valid p-value of "split as intended" after every look.

    Args:
        looks: At each look in order of time, the cumulative split of every epoch.

    Source:
        Lindon, Malek (2022), NeurIPS. Multiplying the factors of epochs is ours: each is a
        martingale under its own allocation, and so is their product.
    """
    evidence = (sum(log_bayes_factor(split) for split in splits) for splits in looks)
    return float(np.exp(-max(0.0, *evidence, 0.0)))


def _log_beta(parameters: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    if parameters.size == 2:  # noqa: PLR2004  betaln does not cancel where two large gammaln would
        return float(betaln(parameters[0], parameters[1]))
    return float(gammaln(parameters).sum() - gammaln(parameters.sum()))
