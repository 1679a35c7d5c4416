"""Face: the import paths of the official SDK, over the same parts as the native client.

What is imported as ``optimizely.…`` is here as ``tallybook.optimizely.…``, with the same names,
arguments and defaults. Where both have to run unchanged, :func:`install` makes the first mean the
second.
"""

from __future__ import annotations

__all__ = ["install"]


def install() -> None:
    """Make ``import optimizely``, and every module below it, mean this package. Once is enough.

    Raises:
        ConfigError: The official package, or something else of that name, is imported already.
    """
    from tallybook.optimizely import _aliases  # noqa: PLC0415 - 10 ms that only its users pay

    _aliases.install()
