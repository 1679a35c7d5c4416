"""What a server is told: where it listens and keeps things, whom it answers, how much it takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tallybook.log.directory import worker_log

# The Event API's own limit for one JSON object.
MAX_BODY_BYTES: Final = 3_500_000


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Everything ``tallybook serve`` can be told.

    Attributes:
        data_dir: Holds the log, and unless said otherwise the lake and the catalog.
        host: Address to listen on.
        port: Port to listen on; 0 picks a free one.
        workers: How many processes take events; each has a log of its own.
        worker: Which of them this one is, from 1.
        lake_uri: Where the lake is; ``None`` is ``lake`` in the data directory.
        catalog_url: Where the catalog is; ``None`` is ``catalog.sqlite3`` in the data directory.
        cors_origins: Origins whose pages may send events and read datafiles; ``*`` is all of them.
        root_path: The prefix that a proxy in front removes from paths.
        trusted_proxies: Addresses, separated by commas, whose forwarded headers are believed.
        max_connections: More are answered 503 and closed, a worker.
        max_head_bytes: Of a request line and headers together.
        head_timeout_s: A client has this long to begin, and once begun to send the headers.
        max_body_bytes: Bodies beyond this are refused, compressed or not.
        max_reading_bytes: Bytes of bodies held in memory until they are answered, for all clients
            of a worker together.
        body_timeout_s: A client has this long to send its body.
        drain_every_s: How long an acknowledged event may wait before it goes into the lake.
        announce_every_s: How often the catalog is asked for new revisions while somebody listens.
        heartbeat_s: How long a listener hears nothing at most.
        max_listeners: Who may listen for new revisions at the same time.
        stop_within_s: How long requests under way may take when the server is told to stop.
    """

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    worker: int = 1
    lake_uri: str | None = None
    catalog_url: str | None = None
    cors_origins: tuple[str, ...] = ("*",)
    root_path: str = ""
    trusted_proxies: str = ""
    max_connections: int = 10_000
    max_head_bytes: int = 64 * 2**10
    head_timeout_s: float = 30.0
    max_body_bytes: int = MAX_BODY_BYTES
    max_reading_bytes: int = 128 * 2**20
    body_timeout_s: float = 30.0
    drain_every_s: float = 1.0
    announce_every_s: float = 0.5
    heartbeat_s: float = 15.0
    max_listeners: int = 1_000
    stop_within_s: float = 20.0

    @property
    def log_dir(self) -> Path:
        """Where the server's write-ahead logs are."""
        return self.data_dir / "log"

    @property
    def own_log(self) -> Path:
        """Where this worker's write-ahead log is."""
        return worker_log(self.log_dir, self.worker)

    @property
    def lake(self) -> str:
        """The lake's URI, by default a directory beside the log."""
        return self.lake_uri or str(self.data_dir / "lake")

    @property
    def catalog(self) -> str:
        """The catalog's URL, by default a file beside the log."""
        return self.catalog_url or f"sqlite:///{self.data_dir / 'catalog.sqlite3'}"
