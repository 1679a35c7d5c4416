"""What goes wrong around an SDK, in its own process; arranged before the SDK is imported."""

from __future__ import annotations

import socket
import time
from typing import Any, Final

HOST: Final = "collector.test"  # which no resolver knows
HOUR_S: Final = 3600


class World:
    """Names that do not resolve, a clock that steps back, a disk that is full.

    ``reach`` is called with each marker, before its event is tracked.
    """

    def __init__(
        self,
        *,
        dns_until: int | None = None,
        clock_back_at: int | None = None,
        most_file_bytes: int | None = None,
    ) -> None:
        self._dns_until = dns_until
        self._clock_back_at = clock_back_at
        self._offset_s = 0
        self._reached = 0
        self.failed_lookups = 0
        if dns_until is not None:
            self._rule_names()
        if clock_back_at is not None:
            self._rule_time()
        if most_file_bytes is not None:
            import resource

            resource.setrlimit(resource.RLIMIT_FSIZE, (most_file_bytes, most_file_bytes))

    def reach(self, count: int) -> None:
        self._reached = count
        if count == self._clock_back_at:
            self._offset_s = HOUR_S

    def report(self) -> dict[str, int]:
        return {"failed_lookups": self.failed_lookups, "clock_back_s": self._offset_s}

    def _rule_names(self) -> None:
        real = socket.getaddrinfo

        def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
            if host not in (HOST, HOST.encode()):
                return real(host, *args, **options)
            # At least two lookups fail: on a slow machine the events may be quicker than they.
            if self._reached < (self._dns_until or 0) or self.failed_lookups < 2:
                self.failed_lookups += 1
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            return real("127.0.0.1", *args, **options)

        socket.getaddrinfo = getaddrinfo

    def _rule_time(self) -> None:
        real, real_ns = time.time, time.time_ns
        time.time = lambda: real() - self._offset_s
        time.time_ns = lambda: real_ns() - self._offset_s * 10**9
