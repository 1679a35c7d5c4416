"""What clients and waiting events take of memory, in MB (10^6 bytes) resident."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Final

from benchmarks.contenders import NO_EVENT, Contender, Setup
from benchmarks.datafiles import EVENT_KEY, LARGE, SMALL, datafile
from benchmarks.task import NOT_KNOWN, Figures, Task
from benchmarks.visitors import tags_of, visitors

_STATM: Final = Path("/proc/self/statm")  # Linux only; elsewhere these figures are not known
_SMALL_CLIENTS: Final = 20


def small_client(task: Task) -> Figures:
    """A client of the small datafile that has decided once: the mean of some."""
    text = datafile(SMALL)
    contender = task.contender()
    kept = [_used(contender, text)]
    before = _resident_mb()
    kept += [_used(contender, text) for _ in range(_SMALL_CLIENTS)]
    return {"small_mb": (_resident_mb() - before) / (len(kept) - 1)}


def large_client(task: Task) -> Figures:
    """A client of the large datafile that has decided once, after a small one."""
    small, large = datafile(SMALL), datafile(LARGE)
    contender = task.contender()
    kept = [_used(contender, small)]
    before = _resident_mb()
    kept.append(_used(contender, large))
    return {"large_mb": _resident_mb() - before}


def waiting_events(task: Task) -> Figures:
    """``size`` events that wait, six attributes and five tags each."""
    text, someone = datafile(SMALL), visitors(1)[0]
    setup = task.contender().quiet(text)
    user = setup.user(someone.user_id, someone.attributes)
    user.track_event(EVENT_KEY, tags_of(0))
    before = _resident_mb()
    for number in range(task.size):
        user.track_event(EVENT_KEY, tags_of(number))
    return {"waiting_mb": _resident_mb() - before}


def _used(contender: Contender, text: str) -> Setup:
    setup = contender.plain(text)
    someone = visitors(1)[0]
    setup.user(someone.user_id, someone.attributes).decide_all(NO_EVENT)
    return setup


def _resident_mb() -> float:
    gc.collect()
    if not _STATM.exists():
        return NOT_KNOWN
    pages = int(_STATM.read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
