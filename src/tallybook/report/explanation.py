"""Verb: explanation → text for people: what a visitor was shown and did, and why it counted."""

from __future__ import annotations

from collections.abc import Iterator

from tallybook.model.explanation import Explanation, Judged, Participation
from tallybook.report.layout import aligned, plain
from tallybook.report.times import rfc3339

INDENT = "  "


def to_text(explanation: Explanation) -> str:
    """Return the explanation as aligned plain text, experiment by experiment, in order of time."""
    lines = [f"visitor {plain(explanation.visitor_id)}"]
    for participation in explanation.participations:
        lines += ["", *_participation(participation)]
    if not explanation.participations:
        lines.append(f"in no experiment; {explanation.conversions} conversions kept")
    if explanation.without_rule:
        lines += ["", f"{explanation.without_rule} decisions without a rule: in no experiment"]
    return "\n".join(lines)


def _participation(found: Participation) -> Iterator[str]:
    identity = "" if found.experiment_key == found.experiment_id else f" ({found.experiment_id})"
    yield plain(f"experiment {found.experiment_key}{identity}: {found.variation or 'not exposed'}")
    yield f"{INDENT}window {_end(found.from_ms)} to {_end(found.to_ms)}"
    yield from _section("was shown", found.decisions)
    yield from _section("did", found.conversions)


def _end(at_ms: int | None) -> str:
    return "(open)" if at_ms is None else rfc3339(at_ms)


def _section(title: str, judged: tuple[Judged, ...]) -> Iterator[str]:
    if not judged:
        yield f"{INDENT}{title} nothing"
        return
    yield f"{INDENT}{title}"
    yield from aligned([_row(one) for one in judged], text_columns=4)


def _row(one: Judged) -> tuple[str, str, str, str]:
    counts = "counts" if one.because.counts else "no"
    because = f"{one.because}: {', '.join(one.metrics)}" if one.metrics else str(one.because)
    return (f"{INDENT * 2}{rfc3339(one.at_ms)}", plain(one.what), counts, plain(because))
