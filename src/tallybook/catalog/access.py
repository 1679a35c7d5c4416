"""Who may do what: tokens as they are written, hashed and kept, and which accounts ask for one.

A token reads ``tb_ID_SECRET``. The id finds what is kept of it, so that nobody makes the server
hash by inventing tokens; the secret is 256 random bits, of which an argon2id hash is kept.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

_ID_BYTES: Final = 6
_SECRET_BYTES: Final = 32
_TOKEN: Final = re.compile(r"tb_(?P<id>[0-9a-f]{12})_[A-Za-z0-9_-]{43}", re.ASCII)
# OWASP's smallest argon2id. A secret this long is not guessed; more would only cost the server.
_PASSES: Final = 2
_MEMORY_KIB: Final = 19 * 1024


class TokenScope(StrEnum):
    """What a token allows; whoever may manage may read too."""

    MANAGE = "manage"
    READ = "read"
    EVENTS = "events"


@dataclass(frozen=True, slots=True)
class KeptToken:
    """What is kept of a token; times are in milliseconds since the epoch.

    One for events is of an environment and opens the account that its project's events carry.
    """

    id: str
    name: str
    scope: TokenScope
    hash: str = field(repr=False)
    created_ms: int
    project: str | None = None
    environment: str | None = None
    account_id: str | None = None
    used_ms: int | None = None
    revoked_ms: int | None = None

    def allows(self, scope: TokenScope) -> bool:
        """True when what needs ``scope`` may be done with it."""
        is_managing = self.scope is TokenScope.MANAGE and scope is TokenScope.READ
        return self.scope is scope or is_managing


@dataclass(frozen=True, slots=True)
class Access:
    """The tokens that hold now, by id, and what events need.

    ``closed`` are the accounts whose events need a token, ``open`` the catalog's others.
    """

    tokens: Mapping[str, KeptToken] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()
    open: frozenset[str] = frozenset()

    def needs_token(self, account_id: str) -> bool:
        """True when events of this account need one; where any do, strangers' do too."""
        return bool(self.closed) and account_id not in self.open


def new_token() -> tuple[str, str]:
    """A token's id, and the token itself, of which nothing else is to be kept than its hash."""
    id_ = secrets.token_hex(_ID_BYTES)
    return id_, f"tb_{id_}_{secrets.token_urlsafe(_SECRET_BYTES)}"


def id_of(token: str) -> str | None:
    """The id in a token, ``None`` for what is none."""
    found = _TOKEN.fullmatch(token)
    return found["id"] if found else None


def hash_of(token: str) -> str:
    """What is kept of a token: argon2id with its own salt, which takes milliseconds."""
    from argon2 import PasswordHasher  # noqa: PLC0415 - most commands never hash

    hasher = PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=1)
    return hasher.hash(token)


def is_hash_of(kept: str, token: str) -> bool:
    """True when ``kept`` was made of ``token``; as slow as hashing."""
    from argon2 import PasswordHasher  # noqa: PLC0415 - as above
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415 - as above

    try:
        return PasswordHasher().verify(kept, token)
    except (InvalidHashError, VerificationError):
        return False
