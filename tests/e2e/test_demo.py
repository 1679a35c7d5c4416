"""The demo's own check: what was counted is what was sent, and it ends well."""

from __future__ import annotations

from pathlib import Path

from servers import document, reached, tallybook


def test_the_demo_counts_what_it_sent_and_keeps_it_where_asked(tmp_path: Path) -> None:
    done = tallybook("demo", "--visitors", "1000", "--keep", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("equal") == 10
    assert "DIFFERENT" not in done.stdout
    assert done.stdout.count("the truth") >= 4
    assert f"--data {tmp_path}" in done.stdout
    assert sum(reached(document("checkout_test", data=tmp_path)).values()) == 1000


def test_a_demo_too_small_to_show_anything_is_refused() -> None:
    done = tallybook("demo", "--visitors", "5")
    assert done.returncode == 2
    assert "visitors" in done.stderr
