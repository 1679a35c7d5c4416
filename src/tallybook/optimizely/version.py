"""Which version of the official SDK this package stands in for."""

from __future__ import annotations

version_info = (5, 7, 0)
__version__ = ".".join(map(str, version_info))
