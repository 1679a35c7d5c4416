"""Whatever somebody may pass for something else, by a name of its own, made anew for each call."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from enum import Enum, StrEnum
from typing import Any, Final
from unittest.mock import NonCallableMagicMock

MEGABYTE: Final = 1_000_000
DEEP: Final = 10_000  # far beyond what a recursion bears


def _refuse(*_: object) -> Any:
    raise ValueError("this object answers nothing")


class Hostile:
    """Whatever is asked of it, it raises."""

    __repr__ = __str__ = __eq__ = __hash__ = __bool__ = __len__ = __iter__ = _refuse
    __int__ = __float__ = __index__ = __call__ = __lt__ = __le__ = __contains__ = _refuse


class Unbound:
    """What stands for an object that is not there yet: every attribute raises, of its class too."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("working outside of a context")


class Text(str):
    """Text of somebody's own class."""

    __slots__ = ()


class HostileText(str):
    """Text whose every method raises."""

    __slots__ = ()
    __repr__ = __str__ = __eq__ = __hash__ = __bool__ = __len__ = __iter__ = _refuse
    encode = startswith = isascii = __getitem__ = __contains__ = __add__ = __format__ = _refuse


class HostileDict(dict[Any, Any]):
    """A dictionary that cannot be read."""

    __repr__ = __str__ = __eq__ = __bool__ = __len__ = __iter__ = _refuse
    get = items = keys = values = __getitem__ = __contains__ = _refuse


class HostileNumber(int):
    """A number that cannot be counted with."""

    __repr__ = __str__ = __eq__ = __hash__ = __bool__ = __int__ = __float__ = __index__ = _refuse
    __abs__ = __lt__ = __le__ = __gt__ = __ge__ = __neg__ = __sub__ = bit_length = _refuse


class Colour(StrEnum):
    """An enumeration of text."""

    RED = "red"


class Size(Enum):
    """An enumeration of anything."""

    LARGE = 3


def _in_itself(container: Any, add: Callable[[Any, Any], object]) -> Any:
    add(container, container)
    return container


def _deep() -> list[Any]:
    value: list[Any] = []
    for _ in range(DEEP):
        value = [value]
    return value


def _generator() -> Iterator[str]:
    yield "user"


WRONG: Final[Mapping[str, Callable[[], Any]]] = {
    "none": lambda: None,
    "true": lambda: True,
    "zero": lambda: 0,
    "fraction": lambda: 1.5,
    "nan": lambda: float("nan"),
    "2^60": lambda: 2**60,
    "beyond every double": lambda: 10**400,
    "bytes": lambda: b"bytes",
    "empty text": str,
    "empty list": list,
    "empty dict": dict,
    "set": set,
    "list": lambda: ["user"],
    "tuple": lambda: ("user",),
    "dict": lambda: {"user": 1},
    "object": object,
    "hostile": Hostile,
    "unbound": Unbound,
    "pretender": lambda: NonCallableMagicMock(spec=str),
    "text of a class": lambda: Text("user of a class"),
    "hostile text": lambda: HostileText("user"),
    "hostile number": lambda: HostileNumber(7),
    "text member": lambda: Colour.RED,
    "member": lambda: Size.LARGE,
    "class": lambda: dict,
    "generator": _generator,
    "dict of a class": lambda: OrderedDict(user=1),
    "hostile dict": lambda: HostileDict(user=1),
    "function": lambda: lambda: None,
    "deep": _deep,
    "list in itself": lambda: _in_itself([], list.append),
    "dict in itself": lambda: _in_itself({}, lambda d, item: d.__setitem__("self", item)),
    "surrogate": lambda: "\ud800",
    "long": lambda: "x" * MEGABYTE,
}
TEXTS: Final = frozenset(
    {"empty text", "text of a class", "hostile text", "text member", "surrogate", "long"}
)


def by_name(table: Mapping[str, Callable[[], Any]]) -> Iterator[tuple[str, Any]]:
    """Each value made anew, after its name."""
    return ((name, make()) for name, make in table.items())
