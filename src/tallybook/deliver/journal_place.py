"""Where a journal on disk stands: as told, or the user's own place for what programs keep.

Little is imported here: what a journal needs, only who has an event to keep waits for.
"""

from __future__ import annotations

import logging
import os
from typing import Final

from msgspec import Struct

from tallybook.deliver.journal import SUFFIX, Journal
from tallybook.deliver.memory_journal import MemoryJournal
from tallybook.deliver.settings import DeliverySettings, Surroundings

VARIABLE: Final = "TALLYBOOK_JOURNAL"

_OFF: Final = ("", "off")
_FOLDER: Final = "journal"


class JournalPlace(Struct, frozen=True):
    """A directory that any number of journals share.

    ``directory`` is its absolute path, empty for the user's own place.
    """

    directory: str = ""

    def path(self) -> str:
        """The directory, absolute.

        Raises:
            OSError: The user has no place of their own.
        """
        if self.directory:
            return self.directory
        import platformdirs  # noqa: PLC0415 - 10 ms, see above

        state = platformdirs.user_state_dir("tallybook", appauthor=False)
        if not os.path.isabs(state):
            raise OSError(f"the user has no home directory; set {VARIABLE}")
        return os.path.join(state, _FOLDER)

    def has_pages(self) -> bool:
        """True when there may be something to adopt."""
        try:
            return any(name.endswith(SUFFIX) for name in os.listdir(self.path()))
        except OSError:  # nobody has written there yet
            return False

    def open(self, settings: DeliverySettings, surroundings: Surroundings) -> Journal:
        """A journal there; one in memory, and a line in the log, where there can be none."""
        try:
            from tallybook.deliver.disk_journal import DiskJournal  # noqa: PLC0415 - see above

            return DiskJournal(settings, self.path(), surroundings)
        except (ImportError, OSError) as error:  # the former without locks as POSIX has them
            surroundings.logger.log(
                logging.WARNING if self.directory else logging.INFO,
                "There is no journal here, so events are in memory only: %s",
                error,
            )
            return MemoryJournal(settings)


def usual_place(*, carries_real_events: bool = True) -> JournalPlace | None:
    """The place that the variable names, or else the user's own; ``None`` where it says so.

    The user's own is for real events only: a test's are not to be delivered by the next program.
    """
    named = os.environ.get(VARIABLE)
    if named is None:
        return JournalPlace() if carries_real_events else None
    return None if named.strip().lower() in _OFF else place_at(named)


def place_at(directory: str | os.PathLike[str]) -> JournalPlace:
    """The place with that path, also after the process has gone elsewhere."""
    return JournalPlace(os.path.abspath(os.fspath(directory)))
