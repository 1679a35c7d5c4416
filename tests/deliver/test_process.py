from __future__ import annotations

import gc
import os

import pytest

from tallybook.deliver.process import tell_of_end, tell_of_forks


class Resident:
    def __init__(self) -> None:
        self.forks = 0

    def begin_in_child(self) -> None:
        self.forks += 1

    def prepare_end(self) -> None:
        raise AssertionError("nobody ends while tests run")

    def end(self, elapsed_s: float) -> None:
        raise AssertionError("nobody ends while tests run")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_is_told_to_the_child_alone_and_to_nobody_who_is_gone() -> None:
    resident, gone = Resident(), Resident()
    for one in (resident, gone):
        tell_of_forks(one)
        tell_of_end(one)
    del one, gone
    gc.collect()
    child = os.fork()
    if child == 0:
        os._exit(resident.forks)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert resident.forks == 0
    del resident
    gc.collect()
