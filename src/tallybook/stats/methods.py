"""The statistical methods by name: how each turns an effect at every look into an estimate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tallybook.errors import ConfigError
from tallybook.model.estimate import Estimate
from tallybook.stats import sequential, welch
from tallybook.stats.effect import Effect
from tallybook.stats.looks import over_looks
from tallybook.stats.remaining import HalfWidth


@dataclass(frozen=True, slots=True)
class Method:
    """A way to decide: ``estimate`` from all looks' effects at ``alpha``, and its boundary."""

    estimate: Callable[[Sequence[Effect], float], Estimate]
    half_width: HalfWidth


def _sequential(effects: Sequence[Effect], alpha: float) -> Estimate:
    return over_looks([sequential.confidence_sequence(effect, alpha) for effect in effects])


def _fixed(effects: Sequence[Effect], alpha: float) -> Estimate:
    return welch.welch(effects[-1], alpha)


METHODS: Final[Mapping[str, Method]] = {
    "sequential": Method(_sequential, sequential.half_width),
    "fixed": Method(_fixed, welch.half_width),
}
PLANNED: Final = ("bayesian", "group_sequential")


def method_named(name: str) -> Method:
    """Return the method called ``name``.

    Raises:
        ConfigError: There is no such method, or not yet.
    """
    expected = f"expected one of {', '.join(METHODS)}"
    if name in PLANNED:
        raise ConfigError(f"method {name!r}: this version does not compute it yet; {expected}")
    if name not in METHODS:
        raise ConfigError(f"method {name!r}: no such method; {expected}")
    return METHODS[name]
