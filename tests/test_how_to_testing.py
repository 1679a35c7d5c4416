"""The page on testing is true: its blocks are one test file, which passes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tallybook.testing import DatafileBuilder

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "how-to" / "test-your-code.md"
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_page_s_tests_pass_as_they_stand(tmp_path: Path) -> None:
    blocks = FENCE.findall(PAGE.read_text(encoding="utf-8"))
    (tmp_path / "test_page.py").write_text("\n\n".join(blocks), encoding="utf-8")
    production = DatafileBuilder(events=["purchase"], attributes=["plan"]).flag(
        "checkout", variations={"treatment": {"color": "green"}}
    )
    (tmp_path / "datafile.json").write_bytes(production.build())
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n", encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stdout
    assert f"{sum(block.count('def test_') for block in blocks)} passed" in done.stdout
