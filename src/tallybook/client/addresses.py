"""Where datafiles come from and where events go: our own server, Optimizely, or as told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import force_setattr

from tallybook.errors import ConfigError
from tallybook.model.text import excerpt, is_text, plain

_OPTIMIZELY_EVENTS: Final[Mapping[str, str]] = {
    "US": "https://logx.optimizely.com/v1/events",
    "EU": "https://eu.logx.optimizely.com/v1/events",
}
_OPTIMIZELY_DATAFILE: Final = "https://cdn.optimizely.com/datafiles/{sdk_key}.json"
_OPTIMIZELY_SECURE_DATAFILE: Final = "https://config.optimizely.com/datafiles/auth/{sdk_key}.json"


class Addresses(Struct, frozen=True):
    """The URLs a client was given; each one that is absent follows from the others."""

    server_url: str | None = None
    event_url: str | None = None
    datafile_url: str | None = None

    def __post_init__(self) -> None:
        for name in ("server_url", "event_url", "datafile_url"):
            url = getattr(self, name)
            if url is not None:
                force_setattr(self, name, check_url(name, url))
        if self.server_url and set("?#") & set(self.server_url):
            raise ConfigError(
                f"server_url: expected a URL without ? and #, found {self.server_url!r}"
            )

    def for_events(self, region: str) -> str:
        """Where a project of that region sends its events."""
        if self.event_url:
            return self.event_url
        if self.server_url:
            return f"{self.server_url.rstrip('/')}/v1/events"
        return _OPTIMIZELY_EVENTS.get(region.upper(), _OPTIMIZELY_EVENTS["US"])

    def for_event_token(self) -> str:
        """Where events go that show a token.

        Raises:
            ConfigError: Nobody said where, and no region's own address takes one.
        """
        if not (self.event_url or self.server_url):
            raise ConfigError("event_token: expected a server_url or an event_url beside it")
        return self.for_events(region="")

    def for_datafile(self, sdk_key: str | None, *, is_secure: bool) -> str | None:
        """Where the datafile is polled, or ``None`` when nobody said."""
        if sdk_key is None:
            return self.datafile_url
        if not is_text(sdk_key) or not plain(sdk_key).isprintable():
            raise ConfigError(f"sdk_key: expected printable text, found {excerpt(sdk_key)}")
        from urllib.parse import quote  # noqa: PLC0415 - 2 ms that only who names a place pays

        key = quote(plain(sdk_key), safe="")
        if not key:
            return self.datafile_url
        template = _OPTIMIZELY_SECURE_DATAFILE if is_secure else _OPTIMIZELY_DATAFILE
        if self.server_url:
            template = f"{self.server_url.rstrip('/')}/datafiles/{{sdk_key}}.json"
        return (self.datafile_url or template).replace("{sdk_key}", key)


def check_url(name: str, url: object) -> str:
    """The setting's value as text.

    Raises:
        ConfigError: It is no URL of the web.
    """
    if not is_text(url) or not _is_http(plain(url)):
        raise ConfigError(f"{name}: expected a http:// or https:// URL, found {excerpt(url)}")
    return plain(url)


def _is_http(url: str) -> bool:
    if not url.isprintable() or " " in url:
        return False
    from urllib.parse import urlsplit  # noqa: PLC0415 - see above

    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the host, or a port that is no number up to 65535
        return False
