"""Every fault between a client and a server costs ours no event; what peers lose stands beside."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from urllib.request import urlopen

import pytest

from faults.client.outcomes import Outcome
from faults.client.scenarios import (
    DAMAGES,
    FULL,
    OURS,
    SCENARIOS,
    SEED,
    SMALL,
    Scenario,
    Size,
    poisoned,
    run,
)
from faults.client.trials import MODULES, Trial, is_installed
from reliability import write_table
from servers import Server, counted, document, succeed
from tallybook.testing import DatafileBuilder

PACKAGES = {
    "optimizely": "optimizely-sdk",
    "posthog": "posthog",
    "segment": "segment-analytics-python",
    "snowplow": "snowplow-tracker",
    "growthbook": "growthbook",
}
NONE = "–"
AT_ONCE = 3  # SDKs that are tried beside each other: most of the time all wait
DEFINITION = """
project: shop
environments: {production: {sdk_key: shop-key}}
events: [purchase]
metrics:
  purchases: {event: purchase, aggregator: count}
flags:
  checkout:
    variations: {control: {}, treatment: {}}
    rules:
      - key: checkout_test
        type: a/b
        split: {control: 50%, treatment: 50%}
        metrics: [purchases]
"""

each_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)


@pytest.fixture(scope="module")
def datafile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("datafile") / "datafile.json"
    builder = DatafileBuilder(events=["purchase"]).flag("checkout", variations={"on": {}})
    path.write_bytes(builder.build())
    return path


@pytest.fixture(scope="module")
def rows() -> Iterator[dict[str, list[str]]]:
    rows: dict[str, list[str]] = {}
    yield rows
    peers = [f"{name} {version(name)}" for sdk, name in PACKAGES.items() if is_installed(sdk)]
    absent = [name for sdk, name in PACKAGES.items() if not is_installed(sdk)]
    heads = ["fault", "Tallybook", "refused", *peers, *absent]
    if len(rows) == len(SCENARIOS):
        write_table("client", heads, rows.values())


def check(scenario: Scenario, size: Size, outcome: Outcome) -> None:
    assert not outcome.is_hung
    killed = [status for status in outcome.statuses if status]
    assert set(killed) <= {-signal.SIGTERM, -signal.SIGKILL}, outcome.errors
    assert len([report for report in outcome.reports if not report]) == len(killed), outcome.errors
    assert scenario.happened(outcome), (outcome.reports, outcome.statuses, outcome.errors)
    excused = scenario.excused(outcome)
    assert len(outcome.missing) == excused, (outcome.missing, outcome.reports, outcome.errors)
    assert len(outcome.once) == len(outcome.tracked) - excused, "each under one identity"
    assert scenario.repeats or not outcome.again
    assert outcome.left == 0
    assert len(outcome.strangers) <= len(killed), "a process can end between a call and its note"
    identities = [i for n in outcome.once for i in set(outcome.arrived[n])]
    assert len(set(identities)) == len(identities), "no two events share an identity"
    assert not outcome.heirs or scenario.repeats, "nothing was left to the next process"
    if "poison" in scenario.name:
        assert outcome.missing == poisoned(len(outcome.tracked), size.poison_every)
    if "damaged" in scenario.name:
        assert len(outcome.missing) <= DAMAGES, "a byte costs one event at most"


@each_scenario
def test_a_fault_loses_nothing(scenario: Scenario, tmp_path: Path, datafile: Path) -> None:
    check(scenario, SMALL, run(scenario, SMALL, OURS, tmp_path / OURS, datafile))


@pytest.mark.parametrize("name", ["a tenth of the replies lost", "SIGKILL midway, then a restart"])
def test_what_is_sent_again_counts_once_in_the_result(name: str, tmp_path: Path) -> None:
    """The sink stands before a real server: what it takes in has been acknowledged behind it."""
    (scenario,) = (s for s in SCENARIOS if s.name == name)
    data, datafile = tmp_path / "data", tmp_path / "datafile.json"
    data.mkdir()
    (data / "definition.yaml").write_text(DEFINITION)
    succeed("apply", data / "definition.yaml", data=data)
    with Server(data) as server:
        with urlopen(f"{server.url}/datafiles/shop-key.json") as answer:  # noqa: S310
            datafile.write_bytes(answer.read())
        outcome = run(
            scenario,
            SMALL,
            OURS,
            tmp_path / OURS,
            datafile,
            options={"decides": True},
            faults={"forward_to": server.url},
        )
    check(scenario, SMALL, outcome)
    result = document("checkout_test", data=data)
    purchases = counted(result, "purchases")
    assert sum(purchases.values()) == len(outcome.tracked) + len(outcome.strangers)
    assert outcome.again or "SIGKILL" in name, "or nothing was there to be counted twice"


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_kills_at_random_moments_lose_nothing(kills: int, tmp_path: Path, datafile: Path) -> None:
    """In a tight loop, so that most processes end in the middle of keeping an event."""
    chance = random.Random(SEED)

    def play(trial: Trial, size: Size) -> None:
        for _ in range(kills):
            mark = chance.randrange(1, 4_000)
            trial.start(100_000, {mark: "SIGKILL"}, pace_s=0).wait()

    killed = Scenario("kills", play, lambda o: len(o.statuses) > kills, repeats=True)
    outcome = run(killed, SMALL, OURS, tmp_path / OURS, datafile)
    assert outcome.statuses[:kills] == [-signal.SIGKILL] * kills
    check(killed, SMALL, outcome)


@pytest.mark.slow
@each_scenario
def test_the_whole_table(
    scenario: Scenario, tmp_path: Path, datafile: Path, rows: dict[str, list[str]]
) -> None:
    peers = [sdk for sdk in PACKAGES if is_installed(sdk) and not scenario.of_journal]

    def attempt(sdk: str) -> Outcome:
        return run(scenario, FULL, sdk, tmp_path / sdk, datafile)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = dict(zip([OURS, *peers], pool.map(attempt, [OURS, *peers]), strict=True))
    ours = outcomes[OURS]
    present = [sdk for sdk in PACKAGES if is_installed(sdk)]
    absent = [sdk for sdk in PACKAGES if not is_installed(sdk)]
    cells = [cell(outcomes[sdk]) if sdk in outcomes else NONE for sdk in [*present, *absent]]
    excused = scenario.excused(ours)
    rows[scenario.name] = [scenario.name, cell(ours, excused), f"{excused:,}", *cells]
    check(scenario, FULL, ours)


@pytest.mark.slow
@pytest.mark.parametrize("sdk", PACKAGES)
def test_a_peer_is_there_to_be_compared(sdk: str) -> None:
    if not is_installed(sdk):
        pytest.skip(f"{PACKAGES[sdk]} is not installed: its column has no figures")
    assert version(PACKAGES[sdk])


def cell(outcome: Outcome, excused: int = 0) -> str:
    numbers = (len(outcome.once), len(outcome.again), len(outcome.missing) - excused)
    shown = " / ".join(f"{number:,}" for number in numbers)
    return f"{len(outcome.tracked):,}: {shown}{' †' if outcome.is_hung else ''}"


def test_every_peer_is_known_by_its_package() -> None:
    assert set(PACKAGES) == set(MODULES) - {OURS}
