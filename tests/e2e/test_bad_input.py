"""What people get wrong at the prompt ends in one clear line, and nothing accepted is lost."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from servers import Server, counted, document, reached, succeed, tallybook
from tallybook.catalog.store import open_catalog

DEFINITION = """
project: shop
environments: {production: {sdk_key: shop-key}}
events: [purchase]
metrics: {purchases: {event: purchase, aggregator: count}}
flags:
  checkout:
    variations: {control: {}, treatment: {}}
    rules:
      - {key: checkout_test, type: a/b, split: {control: 50%, treatment: 50%}, metrics: [purchases]}
"""


# Root may write anywhere until it gives up the capability to (24: drop, 1: CAP_DAC_OVERRIDE).
UNPRIVILEGED = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(24, 1)
os.execv(sys.executable, [sys.executable, "-m", "tallybook.cli", *sys.argv[1:]])
"""
AT_MS = time.time_ns() // 1_000_000 - 3_600_000  # an hour ago: results end now


def complaint(*arguments: object, data: Path | None = None, status: int = 2) -> str:
    return one_line(tallybook(*arguments, data=data), status)


def one_line(done: subprocess.CompletedProcess[str], status: int) -> str:
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("tallybook: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture
def defined(tmp_path: Path) -> Path:
    (tmp_path / "definition.yaml").write_text(DEFINITION)
    succeed("apply", tmp_path / "definition.yaml", data=tmp_path)
    return tmp_path


def test_a_data_directory_that_is_not_there(tmp_path: Path) -> None:
    assert "no data directory" in complaint("results", "x", data=tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_an_empty_data_directory(tmp_path: Path) -> None:
    assert "x" in complaint("results", "x", data=tmp_path)


def test_an_experiment_without_events_has_reasons_instead_of_numbers(defined: Path) -> None:
    assert "0" in succeed("results", "checkout_test", data=defined)


def test_a_port_in_use(defined: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert str(port) in complaint("serve", "--port", port, data=defined)


def test_a_second_server_on_one_data_directory(defined: Path) -> None:
    with Server(defined):
        assert "lock" in complaint("serve", "--port", 0, data=defined).lower()


def test_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "expected a directory" in complaint("serve", data=tmp_path / "file")


def test_a_disk_that_cannot_be_written() -> None:
    # Nobody, not even root, may make a directory here.
    message = complaint("serve", "--port", 0, data=Path("/proc/tallybook"), status=1)
    assert "/proc/tallybook" in message


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (("--from", "yesterday"), "--from"),
        (("--to", "2026-13-01"), "--to"),
        (("--confidence", "95"), "confidence"),
        (("--method", "magic"), "magic"),
        (("--metric", "purchase:median"), "median"),
        (("--metric", "purchase:sum"), "field"),
        (("--expected-split", "control"), "--expected-split"),
        (("--expected-split", "control=-1"), "--expected-split"),
        (("--baseline", "nobody"), "nobody"),
        (("--format", "pdf"), "pdf"),
        (("--unknown-flag",), "--unknown-flag"),
        (("--from", "2026-02-01", "--to", "2026-01-01"), "--from"),
    ],
)
def test_a_wrong_flag_is_named(defined: Path, flags: tuple[str, ...], named: str) -> None:
    assert named in complaint("results", "checkout_test", *flags, data=defined)


def test_a_wrong_definition_names_the_path(defined: Path) -> None:
    broken = defined / "broken.yaml"
    broken.write_text(DEFINITION.replace("treatment: 50%", "treatment: 40%"))
    assert "flags.checkout.rules[0].split" in complaint("apply", broken, data=defined)


def test_files_that_are_not_what_they_should_be(defined: Path) -> None:
    garbage = defined / "garbage"
    garbage.write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in complaint("apply", garbage, data=defined)
    assert "nowhere" in complaint("apply", defined / "nowhere", data=defined)
    garbage.write_text("{}")
    assert "$" in complaint("import", "datafile", garbage, data=defined)
    assert "type=decisions" in complaint("import", "events", defined, data=defined)


def test_an_environment_variable_that_is_set_but_empty(defined: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tallybook.cli", "results", "checkout_test"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TALLYBOOK_DATA": ""},
    )
    assert done.returncode == 2
    assert "TALLYBOOK_DATA" in done.stderr


def test_an_imported_datafile_is_served_byte_by_byte_whatever_its_line_ends(defined: Path) -> None:
    content = json.dumps(datafile_of(defined), indent=1).replace("\n", "\r\n").encode()
    (defined / "windows.json").write_bytes(content)
    succeed("import", "datafile", defined / "windows.json", data=defined / "other")
    with open_catalog(f"sqlite:///{defined / 'other' / 'catalog.sqlite3'}") as catalog:
        assert catalog.datafile("shop-key").body == content


def sent(server: Server, content: bytes, **headers: str) -> tuple[int, dict[str, str]]:
    """Post a body; return the status and the problem document, if there is one."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST", "/v1/events", content, names)
    answer = connection.getresponse()
    problem = answer.read()
    connection.close()
    return answer.status, json.loads(problem) if problem else {}


def shopping(data: Path, visitor: str, **purchase: object) -> dict[str, object]:
    """A visitor who sees the first variation and buys, as the Event API writes it."""
    database = datafile_of(data)
    (experiment,) = database["experiments"]
    decision = {
        "campaign_id": experiment["layerId"],
        "experiment_id": experiment["id"],
        "variation_id": experiment["variations"][0]["id"],
    }
    seen = {
        "entity_id": experiment["layerId"],
        "uuid": f"seen-{visitor}",
        "key": "campaign_activated",
        "timestamp": AT_MS,
    }
    bought = {"entity_id": "1", "uuid": f"bought-{visitor}", "key": "purchase"}
    bought |= {"timestamp": AT_MS + 1, **purchase}
    return {
        "visitor_id": visitor,
        "snapshots": [{"decisions": [decision], "events": [seen]}, {"events": [bought]}],
    }


def datafile_of(data: Path) -> dict[str, list[dict[str, object]]]:
    with open_catalog(f"sqlite:///{data / 'catalog.sqlite3'}") as catalog:
        published = catalog.datafile("shop-key")
    assert published is not None
    return json.loads(published.body)


def batch(*visitors: object, **envelope: object) -> bytes:
    return json.dumps({"account_id": "1", "visitors": [*visitors], **envelope}).encode()


def test_bad_events_cost_themselves_and_no_event_that_was_accepted(defined: Path) -> None:
    account = datafile_of(defined)["accountId"]

    def shop(visitor: str, **purchase: object) -> dict[str, object]:
        return shopping(defined, visitor, **purchase)

    with Server(defined) as server:
        good = batch(shop("good"), account_id=account)
        for content, headers, path in (
            (gzip.compress(good)[:-9], {"Content_Encoding": "gzip"}, "$"),
            (good[:-9], {}, "$"),
            (b'{"account_id": 1, "visitors": []}', {}, "$.account_id"),
            (b'{"account_id": "1", "visitors": {}}', {}, "$.visitors"),
            (b"", {}, "$"),
        ):
            status, problem = sent(server, content, **headers)
            assert (status, problem["path"]) == (400, path)
            assert "\n" not in problem["detail"]
        bad = [
            shop("wrong-type", revenue="12"),
            shop("not-a-number", value=float("nan")),
            shop("negative-time", timestamp=-1),
            shop("nanoseconds", timestamp=AT_MS * 1_000_000),
        ]
        odd = [
            shop("long-text", tags={"note": "x" * 1_000_000}),
            shop("long-id" + "x" * 1_000_000),
            shop("late", timestamp=0),
            shop("early", timestamp=AT_MS + 10 * 365 * 86_400_000),
            shop("undefined", key="nobody-defined-me", entity_id="no-such-id"),
        ]
        for visitor in (*bad, *odd):
            assert sent(server, batch(visitor, account_id=account)) == (204, {})
        assert sent(server, good) == (204, {})
    result = document("checkout_test", data=defined)
    assert sum(reached(result).values()) == len(bad) + len(odd) + 1
    assert result["health"]["dead_letters"] == len(bad)
    # Not counted: what is before the exposure, still to come, or called otherwise.
    assert sum(counted(result, "purchases").values()) == len(odd) - 3 + 1
    one_day = document("checkout_test", "--to", "2100-01-01", data=defined)
    assert sum(counted(one_day, "purchases").values()) == len(odd) - 2 + 1


def set_writable(root: Path, writable: bool) -> None:
    """Let files and folders be written, or nothing at all, as on a disk mounted read-only."""
    for path in (root, *root.rglob("*")):
        path.chmod((0o755 if path.is_dir() else 0o644) if writable else 0o555)


def test_a_read_only_disk_is_refused_in_one_line_and_loses_nothing(defined: Path) -> None:
    account = datafile_of(defined)["accountId"]
    server = Server(defined)
    server.start()
    assert sent(server, batch(shopping(defined, "ann"), account_id=account))[0] == 204
    server.kill()
    (defined / "more.yaml").write_text(DEFINITION + "  search: {}\n")
    set_writable(defined, writable=False)
    try:
        for command in (
            ("serve", "--port", "0"),
            ("apply", str(defined / "more.yaml")),
            ("results", "checkout_test"),
        ):
            done = subprocess.run(
                [sys.executable, "-c", UNPRIVILEGED, *command, "--data", str(defined)],
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert str(defined) in one_line(done, 1)
    finally:
        set_writable(defined, writable=True)
    result = document("checkout_test", data=defined)
    assert sum(counted(result, "purchases").values()) == 1
