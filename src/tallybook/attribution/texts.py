"""The query texts: pieces of SQL from files, put together for one question.

A piece is written once and is the same for every engine. ``{name}`` in it is another piece of SQL,
``$name`` a value that is given beside the text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from tallybook.attribution.metrics import METRICS
from tallybook.attribution.segments import segment_parameters, segment_sql
from tallybook.model.event import LATEST_MS
from tallybook.model.metric import Metric, Question, SegmentRule
from tallybook.model.time import date_of

_PARAMETER: Final = re.compile(r"\$([a-z][a-z0-9_]*)")
_COPIES: Final = ("copy_of_decision", "copy_of_conversion")
_OWN_SEGMENT: Final = {
    SegmentRule.EXPOSURE: "exposed_segment",
    SegmentRule.OPTIMIZELY: "carried_segment",
}


@dataclass(frozen=True, slots=True)
class Text:
    """A query and the values of its parameters."""

    sql: str
    parameters: Mapping[str, object]

    @property
    def literal(self) -> str:
        """The query with its parameters written out."""
        return _PARAMETER.sub(lambda found: _literal(self.parameters[found[1]]), self.sql)


@cache
def piece(name: str) -> str:
    """Return a packaged file of SQL, what copies are filled in from one place."""
    text = _file(name)
    for copies in _COPIES:
        text = text.replace("{" + copies + "}", _file(copies))
    return text


def _file(name: str) -> str:
    path = files("tallybook.attribution") / "sql" / f"{name}.sql"
    return path.read_text(encoding="utf-8").rstrip("\n")


def plain(name: str, **parameters: object) -> Text:
    """Return a query that is a file as it stands."""
    return Text(piece(name), parameters)


def reach(question: Question) -> Text:
    """Return the query for visitors by segment, variation, revision and day."""
    return _compose(question, [*_members(question), "reach"])


def oddities(question: Question) -> Text:
    """Return the query for switched visitors and removed copies by segment."""
    return _compose(question, [*_members(question), "oddities"])


def attributed(question: Question, answer: str) -> Text:
    """Return a query over the attributed conversions of every event."""
    return _compose(question, ["exposed", "attributed", answer])


def moments(question: Question, metric: Metric) -> Text:
    """Return the query for a metric's sums by segment, variation and day.

    Raises:
        ConfigError: The metric is incomplete.
    """
    recipe = METRICS[metric.aggregator](metric)
    is_alone = question.segment_rule is SegmentRule.EXPOSURE
    members = "members_exposure" if is_alone else "members_optimizely"
    slots = {
        # Copies share the entity id, so those of other ids need not be looked at. Under the other
        # rule every event may put its visitor into a segment.
        "entities": piece("entities") if is_alone else "",
        "own_segment": _OWN_SEGMENT[question.segment_rule],
        "amount": recipe.amount,
        "scale": recipe.scale,
        "units": recipe.units,
        "numerator": recipe.numerator,
        "denominator": recipe.denominator or "0",
    }
    values = {"event_key": metric.event_key, **recipe.parameters}
    return _compose(question, ["exposed", "attributed", members, "moments"], slots, values)


def _members(question: Question) -> list[str]:
    if question.segment_rule is SegmentRule.EXPOSURE:
        return ["exposed", "members_exposure"]
    return ["exposed", "attributed", "members_optimizely"]


def _compose(
    question: Question,
    names: list[str],
    slots: Mapping[str, str] | None = None,
    values: Mapping[str, object] | None = None,
) -> Text:
    slots = {"entities": "", "segment": segment_sql(question.segment_by), **(slots or {})}
    sql = "WITH\n" + _joined([piece(name) for name in names])
    for name, text in slots.items():
        sql = sql.replace("{" + name + "}", text)
    known = {
        **_question_parameters(question),
        **segment_parameters(question.segment_by),
        **(values or {}),
    }
    return Text(sql, {name: known[name] for name in _PARAMETER.findall(sql)})


def _joined(pieces: list[str]) -> str:
    """Pieces with a comma between one common table expression and the next."""
    *tables, answer = pieces
    if _begins_with_answer(answer):
        return ",\n".join(tables) + "\n" + answer
    return ",\n".join(pieces)


def _begins_with_answer(text: str) -> bool:
    lines = (line for line in text.splitlines() if not line.startswith("--"))
    return next(lines).startswith("SELECT")


def _question_parameters(question: Question) -> Mapping[str, object]:
    window = question.window
    return {
        "experiment_id": question.experiment_id,
        "account_id": question.account_id,
        "from_ms": window.from_ms,
        "to_ms": window.to_ms,
        "first_day": _day(window.from_ms),
        "last_day": _day(window.to_ms - 1),
    }


def _day(at_ms: int) -> str:
    return date_of(min(max(at_ms, 0), LATEST_MS))


def _literal(value: object) -> str:
    if value is None:
        return "CAST(NULL AS VARCHAR)"
    if isinstance(value, int):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"
