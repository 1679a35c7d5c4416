"""The page on moving from the Optimizely SDK is true: its programs, its tables, its promises."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from optimizely.config_manager import AuthDatafilePollingConfigManager, PollingConfigManager
from optimizely.decision.optimizely_decide_option import OptimizelyDecideOption
from optimizely.event.event_processor import BatchEventProcessor
from optimizely.event_dispatcher import EventDispatcher
from optimizely.helpers.enums import NotificationTypes
from optimizely.optimizely import Optimizely
from optimizely.optimizely_factory import OptimizelyFactory
from optimizely.optimizely_user_context import OptimizelyUserContext

import tallybook
import tallybook.client
from pages import EXAMPLE, ROOT, datafile, follow, is_as_shown, shown
from sinks import Answer, Sink
from tallybook import Client, UserContext

PAGE = ROOT / "docs" / "how-to" / "move-from-optimizely.md"
DIFFERENCES = ROOT / "docs" / "reference" / "differences.md"
SECTIONS = (
    "Change the import",
    "Use your own server",
    "Use Tallybook's own client",
    "What to check",
)
OFFICIAL = {
    kind.__name__: kind
    for kind in (
        *(Optimizely, OptimizelyFactory, OptimizelyUserContext, OptimizelyDecideOption),
        *(PollingConfigManager, AuthDatafilePollingConfigManager, NotificationTypes),
        *(BatchEventProcessor, EventDispatcher),
    )
}
CALL = re.compile(r"(\w+)((?:\.\w+)*)(?:\((\w*)=?.*\))?")
PREAMBLE = """
import os, signal, sys, time
from tallybook.optimizely.config_manager import StaticConfigManager
from tallybook.optimizely.helpers.sdk_settings import OptimizelySdkSettings
from tallybook.optimizely.optimizely import Optimizely
from tallybook.optimizely.optimizely_factory import OptimizelyFactory

datafile = sys.stdin.read()
settings = OptimizelySdkSettings(event_url=sys.argv[1])
"""
# What the page's table of delivery promises: a program each, of which one event has to arrive.
PROMISES = {
    "The server answers 500, 429 or not at all": """
        client = Optimizely(datafile, settings=settings)
        client.track("purchase", "user123")
        client.close()
    """,
    "The process ends without `close()`": """
        client = Optimizely(datafile, settings=settings)
        client.track("purchase", "user123")
    """,
    "The process is killed": """
        child = os.fork()
        if not child:
            options = {"batch_size": 100, "flush_interval": 3600}
            client = Optimizely(datafile, settings=settings, event_processor_options=options)
            client.track("purchase", "user123")
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
        client = Optimizely(datafile, settings=settings)
        while client.event_processor.outbox.stats().delivered == 0:
            time.sleep(0.01)
        client.close()
    """,
    "The process forks": """
        client = Optimizely(datafile, settings=settings)
        child = os.fork()
        if child:
            assert os.waitpid(child, 0)[1] == 0
        else:
            client.track("purchase", "user123")
            client.close()
            os._exit(0)
    """,
    "A client is made by `OptimizelyFactory`": """
        manager = StaticConfigManager(datafile)
        client = OptimizelyFactory.custom_instance(
            "prod-key", config_manager=manager, settings=settings
        )
        client.track("purchase", "user123")
        client.close()
    """,
}


def tables() -> list[list[list[str]]]:
    """The page's tables, without their heads: rows of cells."""
    found: list[list[list[str]]] = [[]]
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        elif found[-1]:
            found.append([])
    return [rows[2:] for rows in found if rows]


DIFFERENT, DELIVERED, CALLS = tables()


@pytest.mark.parametrize("section", SECTIONS)
def test_every_program_runs_and_prints_what_it_says(section: str, tmp_path: Path) -> None:
    (tmp_path / "datafile.json").write_bytes(datafile(EXAMPLE))

    assert is_as_shown(follow(PAGE, tmp_path, below=section), shown(PAGE, section))


def test_no_program_stands_outside_these_sections() -> None:
    assert len(shown(PAGE)) == sum(len(shown(PAGE, section)) for section in SECTIONS)


def test_every_difference_stands_in_the_list_of_all() -> None:
    listed = DIFFERENCES.read_text(encoding="utf-8")

    assert [row[0] for row in DIFFERENT if f"| {' | '.join(row)} |" not in listed] == []


def test_the_table_of_delivery_promises_what_is_tested_here() -> None:
    assert [row[0] for row in DELIVERED] == list(PROMISES)


@pytest.mark.parametrize("promise", PROMISES)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_delivery_keeps_its_promises_below_the_old_names(promise: str) -> None:
    refusals = [Answer(500), Answer(429)] if promise.startswith("The server") else []
    with Sink(refusals) as sink:
        subprocess.run(
            [sys.executable, "-c", PREAMBLE + textwrap.dedent(PROMISES[promise]), sink.url],
            input=datafile(EXAMPLE),
            check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
            timeout=60,
        )

        assert [event["key"] for event in sink.events] == ["purchase"] * (len(refusals) + 1)
        assert len({event["uuid"] for event in sink.events}) == 1


def spans(column: int) -> Iterator[str]:
    for row in CALLS:
        yield from re.findall(r"`([^`]+)`", row[column])


def check(span: str, find: Callable[[str], Any]) -> None:
    """Fail if there is no such name, or it takes no such argument."""
    found = CALL.fullmatch(span)
    assert found, span
    owner, path, argument = found.groups()
    target = find(owner)
    for name in filter(None, path.split(".")):
        target = getattr(target, name)
    if argument:
        taken = inspect.signature(target).parameters
        options = tallybook.ClientSettings if target is Client else target
        assert argument in {*taken, *inspect.signature(options).parameters}, span


def test_the_left_side_of_the_table_of_calls_is_the_official_sdk() -> None:
    client = Optimizely(datafile(EXAMPLE))

    def find(name: str) -> Any:
        return OFFICIAL[name]

    instance_attributes = {"Optimizely.is_valid", "Optimizely.notification_center"}
    for span in spans(0):
        if span in instance_attributes:
            assert hasattr(client, span.partition(".")[2])
        else:
            check(span, find)
    client.close()


def test_the_right_side_of_the_table_of_calls_is_the_native_client() -> None:
    def find(name: str) -> Any:
        return getattr(tallybook, name, None) or getattr(tallybook.client, name)

    for span in spans(1):
        if span == "Client.notifications":
            with Client(datafile(EXAMPLE)) as client:
                assert hasattr(client, "notifications")
        elif not span.startswith("logging."):
            check(span, find)


def public(kind: type) -> dict[str, Any]:
    return {k: v for k, v in vars(kind).items() if not k.startswith("_") and inspect.isfunction(v)}


@pytest.mark.parametrize(
    ("official", "native"), [(Optimizely, Client), (OptimizelyUserContext, UserContext)]
)
def test_whatever_the_table_does_not_name_has_the_same_name_and_arguments(
    official: type, native: type
) -> None:
    named = {span.partition("(")[0] for span in spans(0)}
    for name, function in public(official).items():
        if f"{official.__name__}.{name}" in named:
            continue
        theirs = inspect.signature(function).parameters.values()
        ours = inspect.signature(getattr(native, name)).parameters.values()
        assert [(p.kind, p.default) for p in theirs] == [(p.kind, p.default) for p in ours], name
