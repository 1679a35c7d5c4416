"""Datafiles: served to whoever may have them, and only when they have changed."""

from __future__ import annotations

import pytest

from tallybook.errors import StorageError

PATH = "/datafiles/shop-key.json"


def get(house, method: str = "GET", path: str = PATH, **headers: str):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return house.ask(method, path, headers=named)


def test_a_datafile_is_served_as_it_was_published(house) -> None:
    house.publish("1", 60_500)
    answer = get(house)
    assert (answer.status_code, answer.content) == (200, b'{"revision":"1"}')
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["etag"] == '"r1"'
    assert answer.headers["last-modified"] == "Fri, 15 Jan 2027 07:58:59 GMT"
    assert answer.headers["cache-control"] == "no-cache"


def test_an_etag_is_quoted_where_the_catalog_does_not(house) -> None:
    house.publish("1", 60_500, etag="bare")
    assert get(house).headers["etag"] == '"bare"'
    assert get(house, If_None_Match='"bare"').status_code == 304


def test_head_tells_all_but_the_body(house) -> None:
    house.publish("1", 60_500)
    answer = get(house, "HEAD")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == "16"


@pytest.mark.parametrize("tags", ['"r1"', 'W/"r1"', '"r0", "r1"', "*"])
def test_the_same_etag_is_not_sent_again(house, tags: str) -> None:
    house.publish("1", 60_500)
    answer = get(house, If_None_Match=tags)
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == '"r1"'
    house.publish("2", 50_000)
    if tags != "*":
        assert get(house, If_None_Match=tags).json() == {"revision": "2"}


def test_the_same_time_is_not_sent_again(house) -> None:
    house.publish("1", 60_500)
    modified = get(house).headers["last-modified"]
    assert get(house, If_Modified_Since=modified).status_code == 304
    house.publish("2", 50_000)
    assert get(house, If_Modified_Since=modified).json() == {"revision": "2"}


def test_the_etag_is_believed_before_the_time(house) -> None:
    house.publish("1", 60_500)
    modified = get(house).headers["last-modified"]
    answer = get(house, If_None_Match='"other"', If_Modified_Since=modified)
    assert answer.status_code == 200


@pytest.mark.parametrize("since", ["yesterday", "Fri, 99 Jan 2027 07:58:59 GMT", ""])
def test_a_time_that_is_none_is_not_there(house, since: str) -> None:
    house.publish("1", 60_500)
    assert get(house, If_Modified_Since=since).status_code == 200


def test_two_revisions_in_one_second_are_both_fetched_by_who_asks_by_time(house) -> None:
    house.publish("1", 0)
    first = get(house)
    house.now_ms += 400
    house.publish("2", 0)
    house.now_ms += 2_000
    later = get(house, If_Modified_Since=first.headers["last-modified"])
    assert later.json() == {"revision": "2"}
    assert get(house, If_Modified_Since=later.headers["last-modified"]).status_code == 304


@pytest.mark.parametrize("path", ["/datafiles/other.json", "/datafiles/a%2Fb.json"])
def test_an_unknown_key_is_not_found(house, path: str) -> None:
    answer = get(house, path=path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "SDK key" in answer.json()["detail"]


@pytest.mark.parametrize("path", [PATH, "/datafiles/auth/shop-key.json"])
def test_a_secure_environment_wants_its_token(house, path: str) -> None:
    house.publish("1", 60_500, access_token_required=True)
    house.catalog.tokens["shop-key"] = "s3cret"
    for wrong in ({}, {"Authorization": "Bearer no"}, {"Authorization": "Basic s3cret"}):
        answer = get(house, path=path, **wrong)
        assert answer.status_code == 403
        assert "s3cret" not in answer.text
    assert get(house, path=path, Authorization="Bearer ").status_code == 403
    answer = get(house, path=path, Authorization="bearer s3cret")
    assert answer.json() == {"revision": "1"}
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["vary"] == "Authorization"


def test_an_open_environment_ignores_tokens(house) -> None:
    house.publish("1", 60_500)
    assert get(house, Authorization="Bearer whatever").status_code == 200


def test_other_methods_are_not_allowed(house) -> None:
    answer = get(house, "POST")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


def test_pages_may_poll(house) -> None:
    house.publish("1", 60_500)
    preflight = get(house, "OPTIONS", Origin="https://a.example")
    assert preflight.status_code == 204
    assert "If-None-Match" in preflight.headers["access-control-allow-headers"]
    answer = get(house, Origin="https://a.example")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-expose-headers"] == "ETag, Last-Modified"


def test_a_prefix_taken_away_by_a_proxy_is_no_part_of_the_key(house) -> None:
    house.set(root_path="/tally")
    house.publish("1", 60_500)
    assert get(house, path="/tally" + PATH).status_code == 200


def test_a_catalog_that_does_not_answer_is_answered_503(house) -> None:
    house.catalog.error = StorageError("catalog.sqlite3: disk I/O error")
    answer = get(house)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_what_nobody_foresaw_is_a_problem_without_details(house, capsys) -> None:
    house.catalog.error = RuntimeError("a secret")
    answer = get(house)
    assert answer.status_code == 500
    assert "a secret" not in answer.text
    said = capsys.readouterr().out
    assert "a secret" not in said  # it may be one, or a visitor's id
    assert "error=RuntimeError" in said
    assert "conftest.py:" in said  # where it was raised


def test_no_path_writes_a_line_of_its_own_into_the_log(house, capsys) -> None:
    house.catalog.error = RuntimeError("surprise")
    assert (
        get(house, path="/datafiles/a%0d%0alevel=info%1b%5b31m%e2%80%a8b.json").status_code == 500
    )
    (said,) = capsys.readouterr().out.splitlines()
    assert said.isprintable()
    assert "/datafiles/a%0D%0Alevel%3Dinfo%1B%5B31m%E2%80%A8b.json" in said
