"""Noun: an experiment that is made when somebody first looks into it.

A large datafile has thousands of rules, of which most processes ask for a few. Checking all of them
takes a fraction of the time and the memory that making all of them does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Self, SupportsIndex, TypeVar

from msgspec.structs import force_setattr, replace

from tallybook.model.project import Cmab, Deferrable, Experiment, Group

T = TypeVar("T")

_KNOWN: Final = frozenset({"id", "key", "group", "cmab"})
_ALL: Final = frozenset({*Experiment.__struct_fields__, *Deferrable.__slots__} - {"_making"})
# What takes the value of a field away: the class is frozen, its slots are not.
_FORGET: Final = [
    vars(Experiment)[name].__delete__ for name in Experiment.__struct_fields__ if name not in _KNOWN
]


class DeferredExperiment(Experiment, frozen=True):
    """Stands for an experiment of which little is known yet; the first look at the rest makes it.

    It then changes its class: every place that refers to it has an experiment like any other, which
    is no slower to look into. There is no lock that a fork could copy while it is held: of two
    threads that look first both make one, and both use the one that was there first.
    """

    @classmethod
    def of(
        cls,
        rule_id: str,
        key: str,
        group: Group | None,
        make: Callable[[T], Experiment],
        source: T,
        cmab: Cmab | None = None,
    ) -> Self:
        """Stand for what ``make`` makes of ``source``.

        Args:
            rule_id: The experiment's id.
            key: The experiment's key.
            group: The experiment's group.
            make: Makes the experiment. It must not fail: nobody expects that of a look.
            source: What it is made from.
            cmab: What makes it a contextual bandit.
        """
        stand_in = cls(rule_id, key, "", "", (), (), group=group, cmab=cmab)
        for forget in _FORGET:
            forget(stand_in)
        force_setattr(stand_in, "_making", (make, source, {}))
        return stand_in

    def __post_init__(self) -> None:
        """Leave what follows from an experiment until there is one."""

    def __getattr__(self, name: str) -> Any:
        # Python asks here only for what has no value yet.
        return object.__getattribute__(self._made(), name)

    def _made(self) -> Self:
        making = self._making  # another thread may be done with it at any moment
        if making is not None:
            make, source, kept = making
            made = kept.setdefault("first", make(source))
            for name in _ALL:
                force_setattr(self, name, getattr(made, name))
            force_setattr(self, "__class__", Experiment)
            force_setattr(self, "_making", None)  # last: whoever sees it finds the rest done
        return self

    def __eq__(self, other: object) -> bool:
        return self._made() == other

    def __hash__(self) -> int:
        return hash(self._made())

    def __repr__(self) -> str:
        return repr(self._made())

    def __copy__(self) -> Self:
        return replace(self._made())

    def __replace__(self, **changes: Any) -> Self:
        return replace(self._made(), **changes)

    def __reduce_ex__(self, protocol: SupportsIndex) -> str | tuple[Any, ...]:
        return self._made().__reduce_ex__(protocol)
