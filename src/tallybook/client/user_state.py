"""A user during their calls: the visitor, and what was already written of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from tallybook.client.revision import Revision
from tallybook.deliver.journal import Origin
from tallybook.deliver.process import tell_of_forks
from tallybook.model.decision import Visitor
from tallybook.model.text import plain


class _ChangeLock:
    """Held for the moment in which a context is changed.

    One for all contexts, since they are many and their changes are few and short; renewed in a
    forked child, whose parent's may be held for ever.
    """

    def __init__(self) -> None:
        self.begin_in_child()
        tell_of_forks(self)

    def begin_in_child(self) -> None:
        self.lock = threading.RLock()


CHANGES: Final = _ChangeLock()


class Written(Struct, frozen=True):
    """What events of a revision say of a visitor.

    ``origin`` has the visitor's part of an event, ``left_out`` are the attributes it goes without,
    since the project has none of them.
    """

    revision: Revision
    origin: Origin
    left_out: tuple[str, ...]


class UserState:
    """A visitor, who stays as they are, and what spares further events the work of the first.

    Attributes:
        visitor: Who this is.
        written: What events say of them. Of two threads that write it both write the same.
        track_again: The short way for their conversions, false where it cannot be taken.
    """

    __slots__ = ("track_again", "visitor", "written")

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.written: Written | None = None
        self.track_again: Callable[[str, object], bool] | None = None


def state_of(user_id: object, attributes: object) -> UserState:
    """A user of whom nothing was written yet, with attributes of their own."""
    known = dict(attributes) if type(attributes) is dict else _copied(attributes)
    return UserState(Visitor(plain(user_id), known))


def _copied(attributes: Any) -> dict[Any, Any]:
    try:
        return dict(attributes) if issubclass(type(attributes), dict) else {}
    except Exception:  # noqa: BLE001 - of a class of somebody's own
        return {}
