"""What a server is told: where it listens and keeps things, whom it answers, how much it takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

# The Event API's own limit for one JSON object.
MAX_BODY_BYTES: Final = 3_500_000


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Everything ``tallybook serve`` can be told.

    Attributes:
        data_dir: Holds the log, and unless said otherwise the lake and the catalog.
        host: Address to listen on.
        port: Port to listen on; 0 picks a free one.
        lake_uri: Where the lake is; ``None`` is ``lake`` in the data directory.
        catalog_url: Where the catalog is; ``None`` is ``catalog.sqlite3`` in the data directory.
        cors_origins: Origins whose pages may send events and read datafiles; ``*`` is all of them.
        root_path: The prefix that a proxy in front removes from paths.
        trusted_proxies: Addresses, separated by commas, whose forwarded headers are believed.
        max_body_bytes: Bodies beyond this are refused, compressed or not.
        max_reading_bytes: Bytes of unfinished bodies held in memory for all clients together.
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
    lake_uri: str | None = None
    catalog_url: str | None = None
    cors_origins: tuple[str, ...] = ("*",)
    root_path: str = ""
    trusted_proxies: str = ""
    max_body_bytes: int = MAX_BODY_BYTES
    max_reading_bytes: int = 256 * 2**20
    body_timeout_s: float = 30.0
    drain_every_s: float = 1.0
    announce_every_s: float = 0.5
    heartbeat_s: float = 15.0
    max_listeners: int = 1_000
    stop_within_s: float = 20.0

    @property
    def log_dir(self) -> Path:
        """Where this server's write-ahead log is."""
        return self.data_dir / "log"

    @property
    def lake(self) -> str:
        """The lake's URI, by default a directory beside the log."""
        return self.lake_uri or str(self.data_dir / "lake")

    @property
    def catalog(self) -> str:
        """The catalog's URL, by default a file beside the log."""
        return self.catalog_url or f"sqlite:///{self.data_dir / 'catalog.sqlite3'}"
