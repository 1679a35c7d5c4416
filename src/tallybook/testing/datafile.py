"""Datafiles for tests, built from what a test says about flags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Self

from msgspec.structs import replace

from tallybook.errors import ConfigError
from tallybook.model.definition import OFF
from tallybook.model.project import TOTAL_TRAFFIC, Attribute, EventType, Project
from tallybook.model.text import excerpt, is_text, plain
from tallybook.testing.flags import Arm, FlagPlan, equal_split, stable_id, with_flag
from tallybook.wire.datafile import read_datafile, write_datafile

_BLANK: Final = Project(account_id="1", project_id="1", revision="test", send_flag_decisions=True)
_ON: Final = "on"


class DatafileBuilder:
    """Builds a datafile, from nothing or on top of one. Methods return the builder.

    Args:
        datafile: What to start from, such as a copy of production's; its flags can be changed.
        events: Keys of events that may be tracked.
        attributes: Keys of attributes that are sent with events.

    Raises:
        DatafileError: The datafile cannot be read.
        ConfigError: Events or attributes are no collection of keys.

    Example:
        >>> from tallybook import Client
        >>> from tallybook.testing import Letterbox
        >>> builder = DatafileBuilder().flag("checkout", variations={"treatment": {"color": "red"}})
        >>> with Client(builder.build(), http=Letterbox()) as client:
        ...     decision = client.create_user_context("user123").decide("checkout")
        ...     decision.variation_key, decision.variables
        ('treatment', {'color': 'red'})
    """

    def __init__(
        self,
        datafile: str | bytes | None = None,
        *,
        events: Iterable[str] = (),
        attributes: Iterable[str] = (),
    ) -> None:
        self._base = _BLANK if datafile is None else read_datafile(datafile)
        self._plans: dict[str, FlagPlan] = {}
        self._builds = 0
        for key in _keys("events", events):
            self.event(key)
        for key in _keys("attributes", attributes):
            self.attribute(key)

    def event(self, key: str) -> Self:
        """Let an event be tracked."""
        if key not in self._base.event_by_key:
            event = EventType(stable_id("event", key), key)
            self._base = replace(self._base, events=(*self._base.events, event))
        return self

    def attribute(self, key: str) -> Self:
        """Have an attribute sent with events."""
        if key not in self._base.attribute_by_key:
            attribute = Attribute(stable_id("attribute", key), key)
            self._base = replace(self._base, attributes=(*self._base.attributes, attribute))
        return self

    def flag(
        self,
        key: str,
        *,
        variations: Mapping[str, Mapping[str, object]] | None = None,
        defaults: Mapping[str, object] | None = None,
        split: Mapping[str, int] | None = None,
        audience: Mapping[str, object] | None = None,
    ) -> Self:
        """Say what a flag does, forgetting what was said of it before.

        Args:
            key: The flag; its rule is ``KEY_test``.
            variations: Variables' values by variation; the one called ``off`` is switched off.
                Without any there is one, ``on``.
            defaults: The values of variables that a variation does not mention.
            split: Basis points by variation, up to 10,000; equal parts unless given.
            audience: Attributes and values that a user must have to get one.

        Raises:
            ConfigError: The split names no variation of the flag or is more than everybody.
        """
        arms = {
            name: Arm(name != OFF, dict(values))
            for name, values in (variations or {_ON: {}}).items()
        }
        shares = equal_split(list(arms)) if split is None else dict(split)
        unknown = sorted(set(shares) - set(arms))
        if unknown or sum(shares.values()) > TOTAL_TRAFFIC or min(shares.values(), default=0) < 0:
            raise ConfigError(
                f"split of flag `{key}`: expected basis points, up to {TOTAL_TRAFFIC} together, "
                f"for {', '.join(arms)}, found {shares}"
            )
        plan = FlagPlan(key, arms, shares)
        plan.defaults.update(defaults or {})
        plan.audience.update(audience or {})
        for name in plan.audience:
            self.attribute(name)
        return self._keep(plan)

    def answer(
        self,
        key: str,
        variation: str | None = None,
        *,
        enabled: bool = True,
        variables: Mapping[str, object] | None = None,
        users: Iterable[str] = (),
    ) -> Self:
        """Have a flag give one variation, to everybody or to ``users`` alone.

        Args:
            key: The flag; one that is not there is made.
            variation: ``on``, or ``off`` when it is not ``enabled``, unless given; one that the
                flag does not have is made.
            enabled: Whether the variation switches the flag on. Variables of one that does not
                have the flag's own values.
            variables: Values that the variation gives; others stay as they are.
            users: Ids of those who get it, whoever else gets what.

        Raises:
            ConfigError: A value does not have its variable's type, or a type no variable can have.
        """
        name = variation or (_ON if enabled else OFF)
        old = self._plans.get(key) or FlagPlan(key)
        arms = {**old.arms, name: Arm(enabled, dict(variables or {}))}
        listed = dict.fromkeys(users, name)
        plan = replace(old, arms=arms, listed={**old.listed, **listed})
        if not listed:
            plan = replace(plan, split={name: TOTAL_TRAFFIC}, audience={})
        return self._keep(plan)

    def build(self) -> bytes:
        """The datafile, each time as a new revision.

        Once a flag was set there are no holdouts any more: they would keep some users from it.
        """
        self._builds += 1
        project = replace(self._base, revision=f"{self._base.revision}-{self._builds}")
        if self._plans:
            project = replace(project, holdouts=())
        for plan in self._plans.values():
            project = with_flag(project, plan)
        return write_datafile(project)

    @property
    def event_keys(self) -> tuple[str, ...]:
        """The events that may be tracked."""
        return tuple(self._base.event_by_key)

    def _keep(self, plan: FlagPlan) -> Self:
        with_flag(self._base, plan)  # what is wrong is said here, not when it is built
        self._plans[plan.key] = plan
        return self


def _keys(name: str, given: Iterable[str]) -> list[str]:
    try:
        keys = None if is_text(given) else list(given)  # a text is a collection of its letters
        if keys is not None and all(is_text(key) and plain(key).encode() for key in keys):
            return [plain(key) for key in keys]
    except Exception:  # noqa: BLE001, S110 - no collection, or one of somebody's own making
        pass
    raise ConfigError(f"{name}: expected a list of keys, found {excerpt(given)}")
