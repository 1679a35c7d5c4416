"""The tokens' rows: making, listing and revoking them, and who may do what now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from tallybook.catalog.access import Access, KeptToken, TokenScope, hash_of, new_token
from tallybook.catalog.tables import EnvironmentRow, ProjectRow, TokenRow
from tallybook.errors import ConfigError, NotFoundError

LONGEST_NAME: Final = 200  # two keys and what joins them


class Tokens:
    """The tokens of a catalog, within one of its transactions."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def make(
        self,
        name: str,
        scope: TokenScope,
        now_ms: int,
        environment: tuple[str, str] | None = None,
    ) -> tuple[KeptToken, str]:
        """Make a token.

        Args:
            name: What people call it; no other that holds is called so.
            scope: What it allows.
            now_ms: Milliseconds since the epoch.
            environment: Keys of the project and the environment that a token for events is of.

        Returns:
            What is kept, and the token, which can be shown this once.

        Raises:
            ConfigError: The name is unusable or taken, or an environment is missing or too much.
            NotFoundError: There is no such environment.
        """
        _check_name(name)
        if (scope is TokenScope.EVENTS) is (environment is None):
            raise ConfigError(
                f"a token of scope {scope}: expected "
                + ("an environment" if environment is None else "no environment")
            )
        held = self._named(name)
        if held:
            raise ConfigError(f"token {held[0].id} is called `{name}`; revoke it or choose another")
        if environment is not None:
            self._check_environment(*environment)
        id_, token = new_token()
        project, place = environment or (None, None)
        row = TokenRow(
            id=id_,
            name=name,
            scope=str(scope),
            hash=hash_of(token),
            project_key=project,
            environment_key=place,
            created_ms=now_ms,
        )
        self._session.add(row)
        self._session.flush()
        return self.all()[id_], token

    def all(self) -> dict[str, KeptToken]:
        """Every token ever made, by id, the oldest first."""
        return _tokens(self._session)

    def revoke(self, id_or_name: str, now_ms: int) -> KeptToken:
        """Have a token hold no more.

        Raises:
            NotFoundError: None that holds has this id or name.
        """
        held = [t for t in self.all().values() if t.revoked_ms is None]
        found = [t for t in held if t.id == id_or_name] or self._named(id_or_name)
        if not found:
            raise NotFoundError(
                f"no token that holds has the id or name `{id_or_name}`; "
                "see them with 'tallybook token list'"
            )
        self._session.get_one(TokenRow, found[0].id).revoked_ms = now_ms
        return found[0]

    def note_use(self, used_ms: Mapping[str, int]) -> None:
        """Keep when tokens were last used, by id."""
        for id_, at_ms in used_ms.items():
            self._session.execute(update(TokenRow).where(TokenRow.id == id_).values(used_ms=at_ms))

    def _named(self, name: str) -> list[KeptToken]:
        return [t for t in self.all().values() if t.name == name and t.revoked_ms is None]

    def _check_environment(self, project: str, key: str) -> None:
        row = self._session.get(EnvironmentRow, (project, key))
        if row is None or not row.present:
            query = select(EnvironmentRow).where(EnvironmentRow.present)
            known = [f"{e.project_key}/{e.key}" for e in self._session.scalars(query)]
            raise NotFoundError(
                f"no environment is `{project}/{key}`; "
                + (f"there are: {', '.join(known[:10])}" if known else "none is defined yet")
            )


def _tokens(session: Session, *holding: ColumnElement[bool]) -> dict[str, KeptToken]:
    query = (
        select(TokenRow, ProjectRow.account_id)
        .outerjoin(ProjectRow, ProjectRow.key == TokenRow.project_key)
        .where(*holding)
        .order_by(TokenRow.created_ms, TokenRow.id)
    )
    return {row.id: _kept(row, account_id) for row, account_id in session.execute(query)}


def access(session: Session) -> Access:
    """Who may do what now."""
    query = (
        select(EnvironmentRow, ProjectRow.account_id)
        .join(ProjectRow, ProjectRow.key == EnvironmentRow.project_key)
        .where(EnvironmentRow.present)
    )
    served: set[tuple[str | None, str | None]] = {(None, None)}
    accounts: set[str] = set()
    closed: set[str] = set()
    for environment, account_id in session.execute(query):
        served.add((environment.project_key, environment.key))
        accounts.add(account_id)
        if environment.event_token:
            closed.add(account_id)
    holding = {
        id_: token
        for id_, token in _tokens(session, TokenRow.revoked_ms.is_(None)).items()
        if (token.project, token.environment) in served
    }
    return Access(holding, frozenset(closed), frozenset(accounts - closed))


def _kept(row: TokenRow, account_id: str | None) -> KeptToken:
    return KeptToken(
        id=row.id,
        name=row.name,
        scope=TokenScope(row.scope),
        hash=row.hash,
        created_ms=row.created_ms,
        project=row.project_key,
        environment=row.environment_key,
        account_id=account_id,
        used_ms=row.used_ms,
        revoked_ms=row.revoked_ms,
    )


def _check_name(name: str) -> None:
    if not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        expected = f"expected 1 to {LONGEST_NAME} printable characters"
        raise ConfigError(f"name {name[:LONGEST_NAME]!r}: {expected}")
