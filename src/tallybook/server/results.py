"""Results over HTTP: the document that ``tallybook results --format json`` prints."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Final, Literal

from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.types import ControllerRouterHandler

from tallybook import analyse
from tallybook.analyse.wording import moment, split
from tallybook.catalog.store import Catalog
from tallybook.engines.duckdb import DuckDB
from tallybook.errors import ConfigError, NotFoundError
from tallybook.lake.tables import Lake
from tallybook.model.metric import SegmentRule
from tallybook.report import FORMATS

RESULTS_PATH: Final = "/api/v1/experiments/{key:str}/results"
_SINGLE: Final = (
    "project",
    "environment",
    "segment_rule",
    "from",
    "to",
    "as_of",
    "baseline",
    "confidence",
    "method",
    "expected_split",
    "format",
)
_REPEATABLE: Final = ("metric", "segment")
_FLAG: Final = re.compile(r"--([a-z]+(?:-[a-z]+)*)")
_MEDIA_TYPES: Final = {"json": "application/json", "csv": "text/csv", "table": "text/plain"}


def result_routes(lake: Lake, catalog: Catalog) -> Sequence[ControllerRouterHandler]:
    """Return the routes that answer with results over one lake and catalog."""

    @get(RESULTS_PATH, sync_to_thread=True, summary="An experiment's results")
    def results(  # noqa: PLR0913, PLR0917 - each is a query parameter
        key: FromPath[str],
        request: Request[object, object, State],
        project: FromQuery[str | None] = None,
        environment: FromQuery[str | None] = None,
        metric: FromQuery[list[str] | None] = None,
        segment: FromQuery[list[str] | None] = None,
        segment_rule: FromQuery[Literal["exposure", "optimizely"]] = "exposure",
        from_: Annotated[str | None, QueryParameter(name="from")] = None,
        to: FromQuery[str | None] = None,
        as_of: FromQuery[str | None] = None,
        baseline: FromQuery[str | None] = None,
        confidence: FromQuery[float] = 0.95,
        method: FromQuery[str] = "sequential",
        expected_split: FromQuery[str | None] = None,
        format_: Annotated[Literal["json", "csv", "table"], QueryParameter(name="format")] = "json",
    ) -> Response[str]:
        _check_names(request)
        with _parameters_named(), DuckDB(lake) as engine:
            question = analyse.Request(
                experiment=key,
                project=project,
                environment=environment,
                metrics=tuple(metric or ()),
                segments=tuple(segment or ()),
                segment_rule=SegmentRule(segment_rule),
                from_ms=moment("from", from_),
                to_ms=moment("to", to),
                as_of_ms=moment("as_of", as_of),
                baseline=baseline,
                confidence_level=confidence,
                method=method,
                expected_split=split("expected_split", expected_split),
            )
            now_ms = time.time_ns() // 1_000_000
            report = analyse.results(engine, catalog, question, now_ms=now_ms)
        return Response(FORMATS[format_](report), media_type=_MEDIA_TYPES[format_])

    return [results]


def _check_names(request: Request[object, object, State]) -> None:
    """Refuse what would be ignored: a misspelt parameter answers another question."""
    asked = request.query_params
    for name in asked:
        if name not in (*_SINGLE, *_REPEATABLE):
            known = ", ".join((*_REPEATABLE, *_SINGLE))
            raise ConfigError(f"{name}: no such parameter; expected one of {known}")
        if name in _SINGLE and len(asked.getall(name)) > 1:
            raise ConfigError(f"{name}: given more than once; expected one value")
        if any("\0" in value for value in asked.getall(name)):
            raise ConfigError(f"{name}: expected text without a zero character")


@contextmanager
def _parameters_named() -> Iterator[None]:
    """Call parameters what they are called here: messages are written for the prompt."""
    try:
        yield
    except (ConfigError, NotFoundError) as error:
        text = _FLAG.sub(lambda flag: flag[1].replace("-", "_"), str(error))
        raise type(error)(text) from error
