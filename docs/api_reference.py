"""The reference of the Python API: a page a door of the package, from signatures and docstrings.

Griffe reads both without importing anything. What a page holds is decided here, in ``PAGES``; how
one object is written down, in :mod:`api_objects`.
"""  # noqa: INP001 - a script beside the pages it writes

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import griffe
from api_objects import Documented, Writer, is_public
from api_signatures import Member, final

SOURCE: Final = Path(__file__).resolve().parents[1] / "src"
NOTICE: Final = "Written by `make docs` from the docstrings of the code."


@dataclass(frozen=True)
class Door:
    """A module to import from; all its public names, or ``names`` of it."""

    module: str
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """A page of the reference. Whatever an earlier page has is not repeated on a later one."""

    title: str
    about: str
    doors: tuple[Door, ...]


def of_the_drop_in() -> tuple[Door, ...]:
    """The public import paths of the Optimizely SDK, as far as they are there."""
    loggers = ("BaseLogger", "NoOpLogger", "SimpleLogger", "adapt_logger", "reset_logger")
    chosen = {"": ("install",), ".logger": loggers}
    found = (Door(f"tallybook.optimizely{path}", chosen.get(path, ())) for path in DROP_IN)
    return tuple(door for door in found if _file_of(door.module))


def _file_of(module: str) -> Path | None:
    here = SOURCE.joinpath(*module.split("."))
    files = (here.with_suffix(".py"), here / "__init__.py")
    return next((file for file in files if file.exists()), None)


DROP_IN: Final = (
    "",
    *(".optimizely", ".optimizely_factory", ".optimizely_user_context"),
    *(".decision.optimizely_decision", ".decision.optimizely_decide_option"),
    *(".config_manager", ".event.event_processor", ".event_dispatcher", ".event.log_event"),
    *(".notification_center", ".helpers.enums", ".helpers.sdk_settings", ".logger"),
    *(".error_handler", ".exceptions", ".user_profile", ".optimizely_config"),
    *(".odp.lru_cache", ".odp.optimizely_odp_option", ".odp.odp_event_manager"),
    *(".odp.odp_segment_manager", ".cmab.cmab_client", ".cmab.cmab_service"),
)
PAGES: Final[Mapping[str, Page]] = {
    "tallybook": Page(
        "`tallybook`",
        "The client, the user context, decisions, and every error raised on purpose.",
        (Door("tallybook"),),
    ),
    "client": Page(
        "`tallybook.client`",
        "Settings of delivery and polling, and the shapes of what may be plugged in.",
        (
            Door("tallybook.client"),
            Door("tallybook.deliver.answer", ("Http", "Reply")),
            Door("tallybook.deliver.settings", ("Surroundings",)),
        ),
    ),
    "answers": Page(
        "Answers",
        "What calls of the client answer with. Nobody has to import these names, except to write "
        "them in an annotation.",
        (
            Door("tallybook.deliver.tally", ("DeliveryStats", "Refusal")),
            Door("tallybook.wire.event_tags", ("Flaw",)),
            Door("tallybook.model.reason", ("Reason", "ReasonKind")),
            Door("tallybook.model.optimizely_config"),
        ),
    ),
    "notify": Page(
        "`tallybook.notify`",
        "Who listens to what. [Notifications](../../concepts/notifications.md) says when each is "
        "told.",
        (Door("tallybook.notify"),),
    ),
    "testing": Page(
        "`tallybook.testing`",
        "Doubles for your own tests; see [Test your code](../../how-to/test-your-code.md).",
        (Door("tallybook.testing"),),
    ),
    "openfeature": Page(
        "`tallybook.openfeature`",
        "The provider; see [Use OpenFeature](../../how-to/openfeature.md).",
        (Door("tallybook.openfeature"),),
    ),
    "telemetry": Page(
        "`tallybook.telemetry`",
        "Metrics for OpenTelemetry; see [Delivery](../../concepts/delivery.md#watching).",
        (Door("tallybook.telemetry"),),
    ),
    "optimizely": Page(
        "`tallybook.optimizely`",
        "The import paths of the Optimizely SDK; see "
        "[Move from the Optimizely SDK](../../how-to/move-from-optimizely.md).",
        of_the_drop_in(),
    ),
}


def pages() -> dict[str, str]:
    """The pages on which there is something to say, by file name."""
    loader = griffe.GriffeLoader(search_paths=[SOURCE])
    package = loader.load("tallybook")
    loader.resolve_aliases(implicit=True)
    contents: dict[str, list[Documented]] = {}
    places: dict[str, str] = {}
    for stem, page in PAGES.items():
        objects = [o for o in _objects(package, page) if o.target.path not in places]
        places |= {o.target.path: f"{stem}.md#{o.anchor}" for o in objects}
        if objects:
            contents[stem] = objects
    writer = Writer(package, places)
    return {f"{stem}.md": _text(PAGES[stem], objects, writer) for stem, objects in contents.items()}


def _objects(package: Member, page: Page) -> Iterator[Documented]:
    for door in page.doors:
        inside = door.module.partition(".")[2]
        module = package[inside] if inside else package
        names = door.names or _public_names(module)
        for name in sorted(names, key=lambda name: name.endswith("Error")):
            yield Documented(door.module, name, final(module[name]))


def _public_names(module: Member) -> list[str]:
    if module.exports is not None:
        return [str(name) for name in module.exports if not str(name).startswith("__")]
    own = (m for m in module.members.values() if is_public(m) and not m.is_alias)
    return [m.name for m in own if m.is_class]


def _text(page: Page, objects: list[Documented], writer: Writer) -> str:
    rows = [f"| [`{o.name}`](#{o.anchor}) | {writer.summary(o)} |" for o in objects]
    table = "\n".join(["| name | what it is |", "|---|---|", *rows])
    blocks = [f"# {page.title}", page.about, NOTICE, table]
    for documented in objects:
        blocks += writer.blocks(documented)
    return "\n\n".join(blocks) + "\n"
