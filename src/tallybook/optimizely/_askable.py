"""What is passed to a constructor, which may raise as soon as it is asked anything."""

from __future__ import annotations

from typing import Any, Final


class _Unusable:
    """Stands where something is that raises whatever it is asked."""


UNUSABLE: Final = _Unusable()


def askable(value: Any) -> Any:
    """``value``, or, if it will not even say whether it is empty, what can be used for nothing."""
    try:
        bool(value)
        isinstance(value, _Unusable)  # a proxy of nothing has not even a class
    except Exception:  # noqa: BLE001 - its own code
        return UNUSABLE
    return value
