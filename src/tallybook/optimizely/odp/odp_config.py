"""What a datafile says of the customer data platform, as its managers are handed it."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from tallybook.model.customer_data import CustomerDataSource


class OdpConfigState(Enum):
    """Whether a project integrates the platform."""

    UNDETERMINED = 1
    INTEGRATED = 2
    NOT_INTEGRATED = 3


class _Known(NamedTuple):
    state: OdpConfigState
    source: CustomerDataSource


class OdpConfig:
    """Where the platform is, and which segments the project's audiences ask for. Thread-safe.

    Args:
        api_key: Lets requests in.
        api_host: Where they go, with its scheme.
        segments_to_check: What the audiences ask for.
    """

    def __init__(
        self,
        api_key: str | None = None,
        api_host: str | None = None,
        segments_to_check: list[str] | None = None,
    ) -> None:
        source = CustomerDataSource(api_host, api_key, tuple(segments_to_check or ()))
        is_whole = bool(api_key and api_host)
        state = OdpConfigState.INTEGRATED if is_whole else OdpConfigState.UNDETERMINED
        self._known = _Known(state, source)

    @property
    def source(self) -> CustomerDataSource:
        """All of it at once, as the native client has it."""
        return self._known.source

    def update(
        self, api_key: str | None, api_host: str | None, segments_to_check: list[str]
    ) -> bool:
        """Replace all of it; true if something is new."""
        source = CustomerDataSource(api_host, api_key, tuple(segments_to_check))
        is_whole = bool(api_key and api_host)
        state = OdpConfigState.INTEGRATED if is_whole else OdpConfigState.NOT_INTEGRATED
        is_new = source != self._known.source
        self._known = _Known(state, source)
        return is_new

    def get_api_host(self) -> str | None:
        """Where the platform is."""
        return self.source.host

    def get_api_key(self) -> str | None:
        """What lets requests in."""
        return self.source.api_key

    def get_segments_to_check(self) -> list[str]:
        """What the audiences ask for, a copy."""
        return list(self.source.segments)

    def odp_state(self) -> OdpConfigState:
        """Whether the project integrates the platform."""
        return self._known.state
