"""Command that serves: HTTP intake, datafiles and results on one port."""

from __future__ import annotations

import os
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from tallybook.cli.options import DataOption
from tallybook.keep.place import place
from tallybook.server.results import result_routes
from tallybook.server.run import ServerSettings
from tallybook.server.run import serve as serve_http


def serve(
    *,
    data: DataOption = None,
    host: Annotated[str, Parameter(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(validator=Number(gte=0, lte=65535))] = 8080,
    cors_origin: Annotated[
        list[str] | None, Parameter(name="--cors-origin", help="Origin browsers may send from.")
    ] = None,
    root_path: Annotated[str, Parameter(help="Path prefix a proxy strips.")] = "",
    workers: Annotated[int, Parameter(validator=Number(gte=1, lte=64))] = 1,
) -> int:
    """Receive events, keep them, and serve datafiles and results until told to stop.

    Example: tallybook serve --data /var/lib/tallybook --host 0.0.0.0 --port 8080

    Parameters
    ----------
    data:
        Data directory; made when it is not there.
    host:
        Address to listen on.
    port:
        Port to listen on; 0 takes a free one and prints it.
    cors_origin:
        Origin that browsers may send events from (repeatable); default: any.
    root_path:
        Path prefix that a proxy in front strips.
    workers:
        Processes that take requests; more than one is for machines with more than two cores.
    """
    kept = place(data, os.environ)
    return serve_http(
        ServerSettings(
            data_dir=kept.data,
            host=host,
            port=port,
            lake_uri=kept.lake_uri,
            catalog_url=kept.catalog_url,
            cors_origins=tuple(cors_origin or ("*",)),
            root_path=root_path,
            workers=workers,
        ),
        make_routes=result_routes,
    )
