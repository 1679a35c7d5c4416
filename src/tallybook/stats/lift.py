"""Verb: the moments of baseline and treatment at every look → what is known of their difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from tallybook.errors import NotEnoughDataError
from tallybook.model.estimate import Estimate
from tallybook.model.moments import Moments
from tallybook.stats.effect import Effect, absolute, relative, sample
from tallybook.stats.methods import Method


@dataclass(frozen=True, slots=True)
class Pair:
    """Baseline and treatment at one look."""

    control: Moments
    treatment: Moments


@dataclass(frozen=True, slots=True)
class Difference:
    """Treatment against baseline after all looks; ``current``: the last look's relative effect."""

    absolute: Estimate
    relative: Estimate
    current: Effect


def difference(
    looks: Sequence[Pair], method: Method, *, alpha: float, binary: bool = False
) -> Difference:
    """Return what ``method`` says of treatment minus baseline at the last look.

    Earlier looks that were too small to say anything are passed over: they had excluded nothing.

    Args:
        looks: Cumulative moments, in order of time; the last is the present.
        method: One of ``METHODS``.
        alpha: Two-sided error rate in (0, 1).
        binary: Each visitor's value is 0 or 1.

    Raises:
        NotEnoughDataError: The last look cannot be estimated; the message says why.
    """
    if not looks:
        raise NotEnoughDataError("no visitors yet")
    current = _effects(looks[-1], binary=binary)
    effects = [*_defined(looks[:-1], binary=binary), current]
    return Difference(
        absolute=method.estimate([of_look[0] for of_look in effects], alpha),
        relative=method.estimate([of_look[1] for of_look in effects], alpha),
        current=current[1],
    )


def _defined(looks: Sequence[Pair], *, binary: bool) -> Iterator[tuple[Effect, Effect]]:
    for pair in looks:
        with suppress(NotEnoughDataError):
            yield _effects(pair, binary=binary)


def _effects(pair: Pair, *, binary: bool) -> tuple[Effect, Effect]:
    control = sample(pair.control, binary=binary)
    treatment = sample(pair.treatment, binary=binary)
    return absolute(control, treatment), relative(control, treatment)
