"""Tokens: shown once, kept as argon2 hashes, holding until revoked; and who needs one."""

from __future__ import annotations

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from shop import datafile
from tallybook import publish
from tallybook.catalog.access import TokenScope, id_of, is_hash_of
from tallybook.catalog.schema import _SCRIPTS
from tallybook.catalog.store import open_catalog
from tallybook.errors import ConfigError, DefinitionError, NotFoundError, StorageError
from tallybook.wire.definition import read_definition

NOW_MS = 1_800_000_000_000
READ, MANAGE, EVENTS = TokenScope.READ, TokenScope.MANAGE, TokenScope.EVENTS


def definition(*environments: str, project: str = "shop", asks: bool = True) -> str:
    own = ", ".join(
        f"{key}: {{sdk_key: {project}-{key}{', event_token: true' if asks else ''}}}"
        for key in environments
    )
    return f"project: {project}\nenvironments: {{{own}}}\n"


def apply(catalog, text: str) -> publish.Applied:
    return publish.apply(catalog, read_definition(text), now_ms=NOW_MS)


def make(catalog, name: str, scope: TokenScope = READ, place: tuple[str, str] | None = None):
    with catalog.transaction() as transaction:
        return transaction.tokens.make(name, scope, NOW_MS, place)


def account_of(catalog, project: str) -> str:
    with catalog.transaction() as transaction:
        identity = transaction.project(project)
    assert identity is not None
    return identity.account_id


def test_a_token_holds_from_its_making_to_its_revoking(catalog) -> None:
    kept, token = make(catalog, "dashboard")
    assert id_of(token) == kept.id
    assert is_hash_of(catalog.access().tokens[kept.id].hash, token)
    with catalog.transaction() as transaction:
        assert transaction.tokens.revoke("dashboard", NOW_MS + 5).id == kept.id
    assert catalog.access().tokens == {}
    with catalog.transaction() as transaction:
        assert transaction.tokens.all()[kept.id].revoked_ms == NOW_MS + 5


def test_what_is_kept_is_an_argon2_hash_with_a_salt_and_nothing_of_the_secret(tmp_path) -> None:
    path = tmp_path / "catalog.sqlite3"
    with open_catalog(str(path)) as catalog:
        tokens = [make(catalog, name)[1] for name in ("one", "two")]
    connection = sqlite3.connect(path)
    hashes = [row[0] for row in connection.execute("SELECT hash FROM tokens")]
    connection.close()
    assert len(set(hashes)) == 2
    assert all(kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for kept in hashes)
    on_disk = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert not any(token.rpartition("_")[2].encode() in on_disk for token in tokens)


def test_no_two_tokens_are_alike_and_none_opens_for_another(catalog) -> None:
    made = [make(catalog, str(number)) for number in range(3)]
    assert len({token for _, token in made}) == len({kept.id for kept, _ in made}) == 3
    right = [[is_hash_of(kept.hash, token) for _, token in made] for kept, _ in made]
    assert right == [[True, False, False], [False, True, False], [False, False, True]]


@pytest.mark.parametrize("kept", ["", "plain", "$argon2id$v=19$m=8,t=1,p=1$", "$argon2id$"])
def test_a_damaged_hash_opens_for_nobody(kept: str) -> None:
    assert is_hash_of(kept, "tb_000000000000_" + "A" * 43) is False


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tb_",
        "tb_000000000000_",
        "tb_00000000000G_" + "A" * 43,
        "tb_000000000000_" + "A" * 42,
        "tb_000000000000_" + "A" * 44,
        "tb_000000000000_" + "A" * 43 + "\n",
        "tb_000000000000_" + "A" * 42 + "é",
        "TB_000000000000_" + "A" * 43,
        "x" * 100_000,
    ],
)
def test_what_is_no_token_has_no_id(text: str) -> None:
    assert id_of(text) is None


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "\x1b[31mred", "x" * 201])
def test_a_name_that_would_spoil_a_list_is_refused(catalog, name: str) -> None:
    with pytest.raises(ConfigError, match="printable"):
        make(catalog, name)


def test_of_those_that_hold_no_two_are_called_the_same(catalog) -> None:
    first, _ = make(catalog, "dashboard")
    with pytest.raises(ConfigError, match=first.id):
        make(catalog, "dashboard")
    with catalog.transaction() as transaction:
        transaction.tokens.revoke(first.id, NOW_MS)
    second, _ = make(catalog, "dashboard")
    assert list(catalog.access().tokens) == [second.id]
    with pytest.raises(NotFoundError, match="token list"), catalog.transaction() as transaction:
        transaction.tokens.revoke(first.id, NOW_MS)  # it does not hold any more


def test_a_token_for_events_is_of_an_environment_and_no_other_is(catalog) -> None:
    apply(catalog, definition("production", asks=False))
    with pytest.raises(ConfigError, match="expected an environment"):
        make(catalog, "sender", EVENTS)
    with pytest.raises(ConfigError, match="expected no environment"):
        make(catalog, "reader", READ, ("shop", "production"))
    with pytest.raises(NotFoundError, match="there are: shop/production"):
        make(catalog, "sender", EVENTS, ("shop", "staging"))
    kept, _ = make(catalog, "sender", EVENTS, ("shop", "production"))
    assert kept.account_id == account_of(catalog, "shop")


@pytest.mark.parametrize(
    ("scope", "allowed"), [(MANAGE, {MANAGE, READ}), (READ, {READ}), (EVENTS, {EVENTS})]
)
def test_managing_includes_reading_and_nothing_else_includes_anything(
    catalog, scope: TokenScope, allowed: set[TokenScope]
) -> None:
    apply(catalog, definition("production", asks=False))
    place = ("shop", "production") if scope is EVENTS else None
    kept, _ = make(catalog, "some", scope, place)
    assert {wanted for wanted in TokenScope if kept.allows(wanted)} == allowed


def test_events_need_no_token_until_a_definition_says_so(catalog) -> None:
    apply(catalog, definition("production", asks=False))
    account = account_of(catalog, "shop")
    make(catalog, "sender", EVENTS, ("shop", "production"))
    assert not catalog.access().needs_token(account)
    assert not catalog.access().needs_token("a stranger's")


def test_a_definition_that_asks_is_given_a_token_for_each_environment_once(catalog) -> None:
    done = apply(catalog, definition("production", "staging"))
    assert set(done.event_tokens) == {"production", "staging"}
    for key, token in done.event_tokens.items():
        assert f"event token of {key}: {token} (shown this once" in done.text
        kept = catalog.access().tokens[id_of(token)]
        assert (kept.scope, kept.project, kept.environment) == (EVENTS, "shop", key)
        assert is_hash_of(kept.hash, token)
        assert token not in repr(done)
        assert kept.hash not in repr(kept)
    again = apply(catalog, definition("production", "staging", "test"))
    assert set(again.event_tokens) == {"test"}
    access = catalog.access()
    assert access.needs_token(account_of(catalog, "shop"))
    assert access.needs_token("a stranger's")
    assert access.needs_token("")


def test_where_one_asks_the_rest_of_the_account_does_and_another_account_does_not(catalog) -> None:
    apply(catalog, definition("production"))
    apply(catalog, definition("production", project="other", asks=False))
    elsewhere = json.dumps(datafile(accountId="99")).encode()
    publish.import_datafile(catalog, elsewhere, project="imported", now_ms=NOW_MS)
    assert account_of(catalog, "shop") == account_of(catalog, "other") != "99"
    access = catalog.access()
    assert (access.needs_token(account_of(catalog, "other")), access.needs_token("99")) == (
        True,
        False,
    )


def test_a_definition_that_asks_no_more_opens_and_an_environment_that_goes_takes_its_token(
    catalog,
) -> None:
    done = apply(catalog, definition("production", "staging"))
    apply(catalog, definition("production"))
    assert set(catalog.access().tokens) == {id_of(done.event_tokens["production"])}
    apply(catalog, definition("production", asks=False))
    assert not catalog.access().needs_token(account_of(catalog, "shop"))
    assert apply(catalog, definition("production")).event_tokens == {}  # it has one that holds


def test_an_import_into_an_environment_leaves_it_as_closed_as_it_was(catalog) -> None:
    apply(catalog, definition("production"))
    newer = catalog.datafile("shop-production").body.replace(b'"revision":"1"', b'"revision":"9"')
    publish.import_datafile(catalog, newer, project="shop", environment="production", now_ms=NOW_MS)
    assert catalog.access().needs_token(account_of(catalog, "shop"))


def test_environments_of_a_project_ask_together() -> None:
    text = "project: shop\nenvironments: {production: {event_token: true}, staging: {}}\n"
    with pytest.raises(DefinitionError, match=r"environments\.staging\.event_token: is not true"):
        read_definition(text)


def test_a_definition_that_asks_is_read_again_as_it_was_written(catalog) -> None:
    from tallybook.wire.definition import write_definition

    read = read_definition(definition("production", "staging"))
    assert read_definition(write_definition(read)) == read


def test_use_is_kept(catalog) -> None:
    kept, _ = make(catalog, "dashboard")
    assert kept.used_ms is None
    catalog.note_use({kept.id: NOW_MS + 7, "nobody": 1})
    assert catalog.access().tokens[kept.id].used_ms == NOW_MS + 7


def test_of_several_that_start_at_once_one_makes_the_first_token(url) -> None:
    def first(number: int) -> bool:
        with open_catalog(url) as catalog, catalog.transaction() as transaction:
            if transaction.tokens.all():
                return False
            transaction.tokens.make(str(number), MANAGE, NOW_MS)
            return True

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(first, range(4))) == [False, False, False, True]


def test_a_catalog_of_the_step_before_is_taken_along(url) -> None:
    engine = sa.create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for line in (
            "INSERT INTO projects VALUES ('shop', '2', '1')",
            "INSERT INTO environments VALUES ('shop', 'production', 0, true, 'key', NULL)",
        ):
            connection.execute(sa.text(line))
    engine.dispose()
    with open_catalog(url) as catalog:
        assert catalog.access().open == frozenset({"1"})
        kept, _ = make(catalog, "sender", EVENTS, ("shop", "production"))
        assert catalog.access().tokens[kept.id].account_id == "1"


def test_what_the_database_says_of_a_fault_has_no_values_in_it(catalog) -> None:
    statement = sa.text("INSERT INTO tokens (id, hash) VALUES (:id, :hash)")

    def fail() -> None:
        with catalog.transaction() as transaction:
            transaction._session.execute(statement, {"id": "1", "hash": object()})

    with pytest.raises(StorageError) as raised:
        fail()
    assert "object at" not in f"{raised.value} {raised.value.__cause__}"
