"""Results over HTTP: the document that ``tallybook results --format json`` prints."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Final, Literal

from litestar import Response, get
from litestar.params import Parameter
from litestar.types import ControllerRouterHandler

from tallybook import analyse
from tallybook.analyse.wording import moment, split
from tallybook.catalog.store import Catalog
from tallybook.engines.duckdb import DuckDB
from tallybook.lake.tables import Lake
from tallybook.model.metric import SegmentRule
from tallybook.report import FORMATS

RESULTS_PATH: Final = "/api/v1/experiments/{key:str}/results"
_MEDIA_TYPES: Final = {"json": "application/json", "csv": "text/csv", "table": "text/plain"}


def result_routes(lake: Lake, catalog: Catalog) -> Sequence[ControllerRouterHandler]:
    """Return the routes that answer with results over one lake and catalog."""

    @get(RESULTS_PATH, sync_to_thread=True, summary="An experiment's results")
    def results(  # noqa: PLR0913, PLR0917 - each is a query parameter
        key: str,
        project: str | None = None,
        environment: str | None = None,
        metric: list[str] | None = None,
        segment: list[str] | None = None,
        segment_rule: Literal["exposure", "optimizely"] = "exposure",
        from_: Annotated[str | None, Parameter(query="from")] = None,
        to: str | None = None,
        as_of: str | None = None,
        baseline: str | None = None,
        confidence: float = 0.95,
        method: str = "sequential",
        expected_split: str | None = None,
        format_: Annotated[Literal["json", "csv", "table"], Parameter(query="format")] = "json",
    ) -> Response[str]:
        request = analyse.Request(
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
        with DuckDB(lake) as engine:
            report = analyse.results(engine, catalog, request, now_ms=now_ms)
        return Response(FORMATS[format_](report), media_type=_MEDIA_TYPES[format_])

    return [results]
