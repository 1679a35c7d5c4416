"""What people get wrong at the prompt ends in one clear line, and nothing accepted is lost."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from servers import Server, succeed, tallybook

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


def complaint(*arguments: object, data: Path | None = None, status: int = 2) -> str:
    done = tallybook(*arguments, data=data)
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
