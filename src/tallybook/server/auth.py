"""``Authorization: Bearer TOKEN``: who may manage, who may read, who may send events.

Hashing is slow on purpose, so a token that was once found right is known by a keyed digest, which
holds for as long as the catalog keeps the same hash of it: a token that is revoked is refused as
soon as :mod:`tallybook.server.access` has read of it. Only a token whose id exists is hashed, two
at a time; who asks for more than a few is told to come again.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from http import HTTPStatus
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from tallybook.catalog.access import Access, KeptToken, TokenScope, id_of, is_hash_of
from tallybook.model.event import Sender
from tallybook.server.access import SOON_S, AccessWatch
from tallybook.server.problems import ProblemError

Admit = Callable[[Sender], None]

_BEARER: Final = "bearer "
_MAX_VERIFIED: Final = 1_024
_MAX_HASHING: Final = 2
_MAX_CHECKING: Final = 16  # different tokens, under way or waiting
_SAFE: Final = ("GET", "HEAD", "OPTIONS")
_CHALLENGE: Final = 'Bearer realm="tallybook"'


class Authenticator:
    """Tells what a request may do by its token."""

    def __init__(self, watch: AccessWatch) -> None:
        self._watch = watch
        self._key = secrets.token_bytes(32)
        self._verified: OrderedDict[bytes, KeptToken] = OrderedDict()
        self._hashing = ThreadPoolExecutor(_MAX_HASHING, "tallybook-hashing")
        self._checking: dict[bytes, asyncio.Task[bool]] = {}

    async def check(self, method: str, authorization: str | None) -> None:
        """Let a management request through: reading for what only reads, managing for the rest.

        Raises:
            ProblemError: 401 without a token that holds, 403 with one of another scope, 429 when
                too many tokens are being looked at.
        """
        scope = TokenScope.READ if method in _SAFE else TokenScope.MANAGE
        token = await self._token(authorization)
        if token is None:
            raise _unauthorized("expected Authorization: Bearer and a token that holds")
        if not token.allows(scope):
            raise _forbidden(f"this token is for {token.scope}; expected one for {scope}", scope)

    async def admission(self, authorization: str | None) -> Admit | None:
        """What says of a body's sender whether it may send; ``None`` where everybody may.

        Raises:
            ProblemError: Too many tokens are being looked at.
        """
        access = self._watch.fresh() or await self._watch.current()
        if not access.closed:
            return None
        token = await self._token(authorization)
        return lambda sender: _admit(access, token, sender)

    async def _token(self, authorization: str | None) -> KeptToken | None:
        """The token that a header bears, ``None`` if there is none or it does not hold."""
        text = (authorization or "")[len(_BEARER) :].strip()
        id_ = id_of(text)
        if id_ is None or not (authorization or "").lower().startswith(_BEARER):
            return None
        access = self._watch.fresh() or await self._watch.current()
        kept = access.tokens.get(id_) or (await self._watch.current(SOON_S)).tokens.get(id_)
        if kept is None or not await self._is_right(kept, text):
            return None
        self._watch.note(id_)
        return kept

    async def _is_right(self, kept: KeptToken, text: str) -> bool:
        digest = blake2b(text.encode(), key=self._key).digest()
        known = self._verified.get(digest)
        if known is not None and known.hash == kept.hash:
            self._verified.move_to_end(digest)
            return True
        checking = self._checking.get(digest)
        if checking is None:
            if len(self._checking) >= _MAX_CHECKING:
                raise _busy()
            checking = asyncio.create_task(self._check(digest, kept, text))
            self._checking[digest] = checking
        return await asyncio.shield(checking)

    async def _check(self, digest: bytes, kept: KeptToken, text: str) -> bool:
        loop = asyncio.get_running_loop()
        try:
            if not await loop.run_in_executor(self._hashing, is_hash_of, kept.hash, text):
                return False
            self._verified[digest] = kept
            if len(self._verified) > _MAX_VERIFIED:
                self._verified.popitem(last=False)
            return True
        finally:
            del self._checking[digest]


def guard_with(authenticator: Authenticator) -> Guard:
    """What checks a management request before anything else of it is looked at."""

    # A function, since the router copies its guards, and whatever they are methods of.
    async def guard(
        connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler
    ) -> None:
        await authenticator.check(
            str(connection.scope.get("method", "")), connection.headers.get("authorization")
        )

    return guard


def _admit(access: Access, token: KeptToken | None, sender: Sender) -> None:
    if not access.needs_token(sender.account_id):
        return
    if token is None:
        raise _unauthorized(
            "events of this account need Authorization: Bearer and an event token that holds"
        )
    scope = TokenScope.EVENTS
    if not token.allows(scope):
        raise _forbidden(f"this token is for {token.scope}; expected one for {scope}", scope)
    if token.account_id != sender.account_id:
        raise _forbidden("this token is for the events of another account", scope)


def _busy() -> ProblemError:
    return ProblemError(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too many tokens are being looked at; try again in a moment",
        cause="busy",
        headers={"Retry-After": "1"},
    )


def _unauthorized(detail: str) -> ProblemError:
    return ProblemError(
        HTTPStatus.UNAUTHORIZED,
        detail,
        cause="unauthorized",
        headers={"WWW-Authenticate": _CHALLENGE},
    )


def _forbidden(detail: str, scope: TokenScope) -> ProblemError:
    return ProblemError(
        HTTPStatus.FORBIDDEN,
        detail,
        cause="forbidden",
        headers={"WWW-Authenticate": f'{_CHALLENGE}, error="insufficient_scope", scope="{scope}"'},
    )
