"""What is asked of an experiment's results, and the metrics named in the asking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tallybook.errors import ConfigError
from tallybook.model.metric import Aggregator, Metric, SegmentRule
from tallybook.stats.methods import Method, method_named

AD_HOC_FORM = "EVENT:unique, EVENT:count or EVENT:sum:FIELD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question about one experiment, as a person asks it.

    ``experiment`` is a key, or an id where only an import knows it. ``metrics`` are keys or ad hoc
    ``EVENT:AGGREGATOR[:FIELD]``; none means those of the definition. ``segments`` name attributes;
    their combinations are the slices. Times are milliseconds since the epoch. ``expected_split``
    maps variation keys or ids to weights, on any scale.
    """

    experiment: str
    project: str | None = None
    environment: str | None = None
    metrics: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    segment_rule: SegmentRule = SegmentRule.EXPOSURE
    from_ms: int | None = None
    to_ms: int | None = None
    as_of_ms: int | None = None
    baseline: str | None = None
    confidence_level: float = 0.95
    method: str = "sequential"
    expected_split: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.confidence_level < 1.0:
            raise ConfigError(
                f"--confidence {self.confidence_level}: expected a level between 0 and 1, like 0.95"
            )
        if self.from_ms is not None and self.to_ms is not None and self.from_ms >= self.to_ms:
            raise ConfigError(
                f"--from {self.from_ms}, --to {self.to_ms}: expected --from to be before --to"
            )

    @property
    def alpha(self) -> float:
        """Two-sided error rate: what the confidence level leaves, rounded where 1 - level is not.

        >>> Request(experiment="checkout_test", confidence_level=0.9).alpha
        0.1
        """
        return round(1.0 - self.confidence_level, 12)

    @property
    def way(self) -> Method:
        """The statistical method asked for."""
        return method_named(self.method)


def ad_hoc_metric(text: str) -> Metric:
    """Return the metric that ``EVENT:AGGREGATOR[:FIELD]`` describes; its key is the text itself.

    Raises:
        ConfigError: The text is not of that form; the message names the flag.

    Example:
        >>> ad_hoc_metric("page loaded:sum:load_time").field
        'load_time'
    """
    event_key, _, rest = text.partition(":")
    name, has_field, field = rest.partition(":")
    if not event_key or name not in set(Aggregator):
        raise ConfigError(f"--metric {text!r}: expected a metric's key, or {AD_HOC_FORM}")
    aggregator = Aggregator(name)
    if aggregator is Aggregator.SUM and not field:
        raise ConfigError(f"--metric {text!r}: sum needs a field; expected EVENT:sum:FIELD")
    if aggregator is not Aggregator.SUM and has_field:
        raise ConfigError(f"--metric {text!r}: {name} takes no field; expected EVENT:{name}")
    return Metric(key=text, event_key=event_key, aggregator=aggregator, field=field or None)
