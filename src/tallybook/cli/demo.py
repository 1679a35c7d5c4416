"""The demo: a server, the real SDK, traffic with a known truth, and the results beside it."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number as Bounds
from rich.progress import Progress, TaskID

from tallybook import analyse, publish
from tallybook.catalog.access import TokenScope
from tallybook.catalog.store import open_catalog
from tallybook.cli.data import progress_bar
from tallybook.cli.stores import open_stores
from tallybook.client import Client
from tallybook.errors import StorageError
from tallybook.keep.place import place
from tallybook.model.estimate import NoEstimate
from tallybook.model.report import Comparison, Report
from tallybook.model.time import DAY_MS
from tallybook.report import FORMATS
from tallybook.report.layout import aligned
from tallybook.simulate import Behaviour, Clock, Scenario, Tally, simulate
from tallybook.wire.definition import read_definition

DEFINITION: Final = """\
project: shop
environments: {production: {sdk_key: demo-key}}
attributes: [plan]
events: [purchase, support_request]
metrics:
  purchase_rate: {event: purchase, aggregator: unique}
  purchases_per_visitor: {event: purchase, aggregator: count}
  revenue_per_visitor: {event: purchase, aggregator: sum, field: revenue}
  support_rate: {event: support_request, aggregator: unique, winning_direction: decreasing}
flags:
  checkout:
    variations: {control: {}, treatment: {}}
    rules:
      - key: checkout_test
        type: a/b
        split: {control: 50%, treatment: 50%}
        metrics: [purchase_rate, purchases_per_visitor, revenue_per_visitor, support_rate]
"""
TRUTH: Final[Mapping[str, Behaviour]] = {
    "control": Behaviour(buy=0.10, buy_again=0.2, order_cents=4_000, complain=0.05),
    "treatment": Behaviour(buy=0.13, buy_again=0.2, order_cents=4_000, complain=0.05),
}
Number = int | float
DAYS: Final = 14
BAR_STEP: Final = 100  # visitors
WAIT_S: Final = 60.0
READY: Final = "Tallybook listening on "


def demo(
    *,
    visitors: Annotated[int, Parameter(validator=Bounds(gte=100))] = 20_000,
    keep: Path | None = None,
) -> int:
    """Start a server, send traffic with a known truth through the SDK, and show the results.

    Example: tallybook demo --visitors 5000

    Parameters
    ----------
    visitors:
        How many visitors to simulate.
    keep:
        Keep the data directory here instead of in a temporary one.
    """
    with tempfile.TemporaryDirectory(prefix="tallybook-demo-") as temporary:
        data = keep or Path(temporary)
        report, tallies = _run(data, visitors)
    print(FORMATS["table"](report))
    agrees = _print_truth(report, tallies)
    if keep is not None:
        print(f"\nLook further: tallybook results checkout_test --segment plan --data {keep}")
    return 0 if agrees else 1


def _run(data: Path, visitors: int) -> tuple[Report, dict[str, Tally]]:
    now_ms = time.time_ns() // 1_000_000
    start_ms = (now_ms // DAY_MS - DAYS) * DAY_MS  # from midnight: whole days give the same looks
    with open_catalog(place(data, {}).catalog_url) as catalog:
        publish.apply(catalog, read_definition(DEFINITION), now_ms=start_ms)
        with catalog.transaction() as transaction:  # or the server would show one that nobody needs
            transaction.tokens.make("demo", TokenScope.MANAGE, now_ms)
    scenario = Scenario("checkout", TRUTH, visitors=visitors, days=DAYS, start_ms=start_ms)
    with _server(data) as url, progress_bar() as bar:
        task = bar.add_task("sending traffic", total=visitors)
        clock = Clock(start_ms)
        client = Client(sdk_key="demo-key", server_url=url, clock_ms=clock, journal=None)
        if not client.wait_until_ready(WAIT_S):
            raise StorageError(f"the demo's server at {url} served no datafile within {WAIT_S} s")
        tallies = simulate(client, clock, scenario, _told(bar, task))
        bar.update(task, description="delivering")
        if not client.flush(WAIT_S):
            raise StorageError(f"the demo's events were not delivered: {client.delivery_stats()}")
        client.close(WAIT_S)
    request = analyse.Request(experiment="checkout_test")
    with open_stores(data) as stores:
        return analyse.results(stores.engine, stores.catalog, request, now_ms=now_ms), tallies


def _told(bar: Progress, task: TaskID) -> Callable[[int], None]:
    def tell(done: int) -> None:
        if done % BAR_STEP == 0:
            bar.update(task, completed=done)

    return tell


@contextmanager
def _server(data: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "tallybook.cli", "serve", "--data", str(data), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own command
    try:
        said = process.stdout.readline() if process.stdout else ""
        if not said.startswith(READY):
            raise StorageError("the demo's server did not start; its own message stands above")
        yield said.removeprefix(READY).strip()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(WAIT_S)


def _print_truth(report: Report, tallies: Mapping[str, Tally]) -> bool:
    """Print counted beside sent, then measured beside true; return whether every count agrees."""
    counts = [
        (variation, what, counted, sent)
        for variation, tally in tallies.items()
        for what, counted, sent in _counts(report, variation, tally)
    ]
    print("what was sent, and what was counted")
    rows: list[Sequence[str]] = [("  variation", "sent", "counted", "", "of")]
    for variation, what, counted, sent in counts:
        verdict = "equal" if counted == sent else "DIFFERENT"
        rows.append(
            (
                f"  {variation}",
                f"{sent:,}",
                "-" if counted is None else f"{counted:,}",
                verdict,
                what,
            )
        )
    print("\n".join(aligned(rows)))
    print("\nthe truth, and what was measured")
    rows = [("  metric", "true lift", "measured", "interval", "")]
    rows += [
        (f"  {name}", f"{true:+.1%}", *_measured(report, name, true))
        for name, true in _true_lifts().items()
    ]
    print("\n".join(aligned(rows)))
    return all(counted == sent for _, _, counted, sent in counts)


def _counts(
    report: Report, variation: str, tally: Tally
) -> Iterator[tuple[str, Number | None, Number]]:
    yield "visitors", report.everyone.reach[variation].count, tally.visitors
    sent = {
        "purchase_rate": ("buyers", tally.buyers),
        "purchases_per_visitor": ("purchases", tally.purchases),
        "revenue_per_visitor": ("revenue, cents", tally.revenue_cents),
        "support_rate": ("support requests", tally.complainers),
    }
    for result in report.everyone.metrics:
        what, number = sent[result.metric.key]
        counted = result.results[variation].value
        yield what, None if isinstance(counted, NoEstimate) else counted, number


def _true_lifts() -> Mapping[str, float]:
    control, treatment = TRUTH["control"], TRUTH["treatment"]
    bought = treatment.buy / control.buy - 1
    return {
        "purchase_rate": bought,
        "purchases_per_visitor": bought,
        "revenue_per_visitor": bought,
        "support_rate": treatment.complain / control.complain - 1,
    }


def _measured(report: Report, name: str, true: float) -> tuple[str, str, str]:
    result = next(r for r in report.everyone.metrics if r.metric.key == name)
    found = result.results["treatment"].lift
    if not isinstance(found, Comparison):
        return "not available", "", found.reason if found else "it is the baseline"
    lift = found.lift.relative
    covers = "covers the truth" if lift.low <= true <= lift.high else "misses the truth"
    return f"{lift.effect:+.1%}", f"{lift.low:+.1%} to {lift.high:+.1%}", covers
