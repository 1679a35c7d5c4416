"""Where things are kept: a data directory's layout, and what the environment moves elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tallybook.errors import ConfigError

DEFAULT_DATA = "tallybook-data"


@dataclass(frozen=True, slots=True)
class Place:
    """The parts of one installation: its log, its lake and its catalog.

    ``lake_uri`` and ``catalog_url`` may lie elsewhere, shared by several machines.
    """

    data: Path
    lake_uri: str
    catalog_url: str

    @property
    def log(self) -> Path:
        """The write-ahead log's directory."""
        return self.data / "log"


def place(data: Path | None, environment: Mapping[str, str]) -> Place:
    """Return where an installation keeps things.

    Args:
        data: The data directory; ``None`` takes ``TALLYBOOK_DATA``, else ``./tallybook-data``.
        environment: The process's environment; ``TALLYBOOK_LAKE`` (a path or object-store URI) and
            ``TALLYBOOK_CATALOG`` (a database URL) move the lake and the catalog.

    Raises:
        ConfigError: A variable is set but empty, or names an unusable database URL.
    """
    for name in ("TALLYBOOK_DATA", "TALLYBOOK_LAKE", "TALLYBOOK_CATALOG"):
        if environment.get(name, "set").strip() == "":
            raise ConfigError(f"{name} is set but empty; expected a value, or unset it")
    root = data if data is not None else Path(environment.get("TALLYBOOK_DATA", DEFAULT_DATA))
    root = root.expanduser().absolute()
    if root.exists() and not root.is_dir():
        raise ConfigError(f"data directory {root} is a file; expected a directory")
    catalog = environment.get("TALLYBOOK_CATALOG", f"sqlite:///{root / 'catalog.sqlite3'}")
    if "://" not in catalog:
        raise ConfigError(
            f"TALLYBOOK_CATALOG is {catalog!r}; expected a database URL such as "
            "sqlite:////var/lib/tallybook/catalog.sqlite3"
        )
    return Place(root, environment.get("TALLYBOOK_LAKE", str(root / "lake")), catalog)
