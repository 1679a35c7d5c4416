"""Users' code is accepted by mypy and by pyright, both strict, and users' mistakes are refused.

The files in ``typing_tests/`` are checked and never run. A mistake in them carries the comments
that silence it; one that a checker lets pass makes its comment superfluous, which is an error too.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tallybook
from tallybook import client, notify, openfeature, testing
from tallybook.client.settings import ClientOptions
from tallybook.deliver.tally import DeliveryStats
from tallybook.model import optimizely_config
from tallybook.model.reason import Reason

FOLDER = Path(__file__).resolve().parents[1] / "typing_tests"
CHECKERS = {
    "mypy": (
        *("mypy", "--config-file", FOLDER / "mypy.ini", "--cache-dir", os.devnull),
        *("--python-executable", sys.executable, FOLDER),
    ),
    "pyright": ("pyright", "--pythonpath", sys.executable, "--project", FOLDER),
}
PACKAGES = (tallybook, client, notify, testing, openfeature)
VALUES = (
    *(tallybook.Client, tallybook.UserContext, tallybook.Decision, tallybook.DecisionContext),
    *(tallybook.ForcedDecision, tallybook.ClientSettings, client.DeliverySettings),
    *(client.PollingSettings, client.UserProfileService, notify.NotificationCenter),
    *(notify.LogEvent, testing.InMemoryClient, testing.DatafileBuilder),
    *(testing.FixedClock, testing.Letterbox, testing.TrackedEvent, testing.SentDecision),
    *(DeliveryStats, Reason, optimizely_config.OptimizelyConfig),
    *(optimizely_config.OptimizelyFeature, optimizely_config.OptimizelyVariation),
)


@pytest.mark.parametrize("checker", CHECKERS)
def test_users_code_is_accepted_and_users_mistakes_are_refused(
    checker: str, tmp_path: Path
) -> None:
    # From elsewhere and without search paths: the package is found as users find it, installed,
    # and believed only because it says that it is typed.
    mine = ("PYTHON", "MYPY", "PYRIGHT", "COVERAGE")
    done = subprocess.run(
        [sys.executable, "-m", *CHECKERS[checker]],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith(mine)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_everything_public_is_among_the_code_that_is_checked() -> None:
    written = {
        word
        for file in FOLDER.glob("*.py")
        for word in re.findall(r"\w+", file.read_text(encoding="utf-8"))
    }
    public = {name for package in PACKAGES for name in package.__all__}
    public |= {name for value in VALUES for name in dir(value) if not name.startswith("_")}
    public |= {*ClientOptions.__annotations__, *notify.NotificationType.__members__}
    between_processes = {"begin_in_child"}  # the package's own, called after a fork

    assert public - written - between_processes == set()
