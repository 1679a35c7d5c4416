"""The write-ahead log: a promise kept is on disk, and a disk that refuses breaks none."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from tallybook.errors import LockedError, StorageError
from tallybook.log.directory import LogDirectory, holds_payloads
from tallybook.log.segment import ActiveSegment
from tallybook.log.write_ahead import BusyError, LogLimits, WriteAheadLog

PATIENT = LogLimits(probe_every_s=0.01)


class Waiter:
    """Collects what appends were told."""

    def __init__(self) -> None:
        self.errors: list[StorageError | None] = []
        self._one_more = threading.Semaphore(0)

    def __call__(self, error: StorageError | None) -> None:
        self.errors.append(error)
        self._one_more.release()

    def wait(self, number: int = 1) -> list[StorageError | None]:
        for _ in range(number):
            assert self._one_more.acquire(timeout=10)
        return self.errors


def append(log: WriteAheadLog, *payloads: bytes) -> None:
    waiter = Waiter()
    for payload in payloads:
        log.append(payload, waiter)
    assert waiter.wait(len(payloads)) == [None] * len(payloads)


def fails(log: WriteAheadLog, payload: bytes) -> StorageError:
    waiter = Waiter()
    log.append(payload, waiter)
    (error,) = waiter.wait()
    assert error is not None
    return error


def everything(log: WriteAheadLog) -> list[bytes]:
    log.seal()
    return [payload for number in log.sealed() for payload in log.read(number).payloads]


@contextmanager
def no_file_may_grow_beyond(size: int) -> Iterator[None]:
    """The kernel answers EFBIG to every write beyond ``size``: a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def free_descriptors(number: int) -> Iterator[int]:
    """Leave this process ``number`` file descriptors; yields the next one."""
    free = os.dup(0)
    os.close(free)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + number, hard))
    try:
        yield free
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def until(condition: object) -> None:
    """Wait for what another thread is about to do."""
    assert callable(condition)
    pause = threading.Event()
    for _ in range(2_000):
        if condition():
            return
        pause.wait(0.005)
    raise AssertionError("it never happened")


def test_what_was_promised_is_read_back_in_order(tmp_path: Path) -> None:
    with WriteAheadLog(tmp_path / "log") as log:
        payloads = [b"%d" % n * (n % 50) for n in range(500)]
        append(log, *payloads)
        assert everything(log) == payloads
        assert log.waiting_bytes == 0
        assert log.fault is None


def test_a_log_killed_without_warning_is_read_back_by_the_next(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys, threading, pathlib\n"
        "from tallybook.log.write_ahead import WriteAheadLog\n"
        "log = WriteAheadLog(pathlib.Path(sys.argv[1]))\n"
        "def done(error): os.kill(os.getpid(), signal.SIGKILL)\n"
        "for n in range(100): log.append(b'%d' % n, done if n == 99 else lambda error: None)\n"
        "threading.Event().wait()\n"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "log"], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert holds_payloads(tmp_path / "log")
    with WriteAheadLog(tmp_path / "log") as log:
        assert everything(log) == [b"%d" % n for n in range(100)]


def test_many_threads_share_syncs_and_lose_nothing(tmp_path: Path) -> None:
    with WriteAheadLog(tmp_path) as log:
        threads = [
            threading.Thread(target=lambda n=n: [append(log, b"%d-%d" % (n, i)) for i in range(50)])
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        kept = everything(log)
    assert sorted(kept) == sorted(b"%d-%d" % (n, i) for n in range(8) for i in range(50))


def test_a_segment_is_sealed_when_it_is_large_enough(tmp_path: Path) -> None:
    with WriteAheadLog(tmp_path, LogLimits(max_segment_bytes=100)) as log:
        for _ in range(3):
            append(log, bytes(100))
        until(lambda: len(log.sealed()) == 3)
        assert [len(log.read(number).payloads) for number in log.sealed()] == [1, 1, 1]


def test_a_group_is_bounded_but_takes_any_single_payload(tmp_path: Path) -> None:
    with WriteAheadLog(tmp_path, LogLimits(max_group_bytes=10)) as log:
        append(log, bytes(50), b"1", b"2" * 9, b"3", b"4")
        assert len(everything(log)) == 5


def test_sealing_nothing_makes_no_segment(tmp_path: Path) -> None:
    with WriteAheadLog(tmp_path) as log:
        log.seal()
        assert log.sealed() == []


def test_numbers_are_never_used_twice(tmp_path: Path) -> None:
    clock = count(1000, -100)  # a clock that runs backwards
    seen: list[int] = []
    for _ in range(4):
        with WriteAheadLog(tmp_path, clock_ms=lambda: next(clock)) as log:
            append(log, b"x")
            log.seal()
            for number in log.sealed():
                if log.read(number).payloads:
                    seen.append(number)
                log.remove(number)
    assert seen == sorted(set(seen))
    assert len(seen) == 4


def test_numbers_are_new_even_when_all_segments_were_deleted(tmp_path: Path) -> None:
    clock = count(1000)
    for _ in range(2):
        with WriteAheadLog(tmp_path, clock_ms=lambda: next(clock)) as log:
            append(log, b"x")
            log.seal()
            (number,) = log.sealed()
        for segment in tmp_path.glob("*.log"):
            segment.unlink()
    assert number > 1000


def test_the_log_keeps_its_name(tmp_path: Path) -> None:
    with WriteAheadLog(tmp_path) as log:
        name = log.app_id
    with WriteAheadLog(tmp_path) as log:
        assert log.app_id == name
    with WriteAheadLog(tmp_path / "other") as other:
        assert other.app_id != name


def test_an_unreadable_name_is_an_error_and_not_a_new_name(tmp_path: Path) -> None:
    (tmp_path / "app-id").write_text("garbage")
    with pytest.raises(StorageError, match="app-id: expected a UUID, found 'garbage'"):
        WriteAheadLog(tmp_path)
    (tmp_path / "app-id").unlink()
    WriteAheadLog(tmp_path).close()  # and the lock was let go of


def test_a_second_process_is_told_who_holds_the_log(tmp_path: Path) -> None:
    with WriteAheadLog(tmp_path), pytest.raises(LockedError) as refused:
        WriteAheadLog(tmp_path)
    assert f"locked by process {os.getpid()}" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_lock_without_a_name_in_it_is_a_lock(tmp_path: Path) -> None:
    with WriteAheadLog(tmp_path):
        (tmp_path / "lock").write_text("")
        with pytest.raises(LockedError, match="another process"):
            WriteAheadLog(tmp_path)


def test_a_directory_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/log: cannot open the log: Not a directory"):
        WriteAheadLog(tmp_path / "file" / "log")


def test_a_directory_that_takes_no_segment_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / f"{5:020d}.log").mkdir()
    with pytest.raises(StorageError, match="cannot create a log segment"):
        LogDirectory(tmp_path).create(5)


def test_segments_are_private(tmp_path: Path) -> None:
    with WriteAheadLog(tmp_path) as log:
        append(log, b"x")
        modes = [path.stat().st_mode & 0o777 for path in tmp_path.glob("*.log")]
    assert modes == [0o600]


def test_a_full_disk_fails_what_waits_and_keeps_what_was_promised(tmp_path: Path) -> None:
    with WriteAheadLog(tmp_path, PATIENT) as log:
        append(log, b"before")
        with no_file_may_grow_beyond(0):
            error = fails(log, b"refused")
            assert str(error) == "cannot write the log: File too large"
            assert str(log.fault) == str(error)
        until(lambda: log.fault is None)  # it recovers by itself, without being asked anything
        append(log, b"after")
        assert everything(log) == [b"before", b"after"]


def test_a_file_that_cannot_grow_is_followed_by_one_that_can(tmp_path: Path) -> None:
    with WriteAheadLog(tmp_path, PATIENT) as log:
        append(log, bytes(900))
        with no_file_may_grow_beyond(1000):
            fails(log, bytes(200))
            append(log, bytes(800))
        assert [len(payload) for payload in everything(log)] == [900, 800]


def test_a_device_without_room_keeps_nothing_and_says_so() -> None:
    segment = ActiveSegment(os.open("/dev/full", os.O_RDWR), 1)
    with pytest.raises(StorageError, match="No space left on device"):
        segment.write([b"x"])
    with pytest.raises(StorageError, match="No space left on device"):
        segment.probe()
    assert segment.size == 0
    segment.close()


def test_sealing_without_a_next_segment_fails_and_loses_nothing(tmp_path: Path) -> None:
    with WriteAheadLog(tmp_path) as log:
        append(log, b"x")
        with free_descriptors(0), pytest.raises(StorageError, match="Too many open files"):
            log.seal()
        assert everything(log) == [b"x"]


def test_a_segment_whose_name_is_not_safe_is_not_used(tmp_path: Path) -> None:
    directory = LogDirectory(tmp_path)
    with free_descriptors(1) as free:
        with pytest.raises(StorageError, match="cannot create a log segment"):
            directory.create(5)
        assert os.dup(0) == free  # nothing leaked
        os.close(free)
    directory.close()


def test_a_log_that_cannot_begin_lets_go_of_its_lock(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        WriteAheadLog(tmp_path, clock_ms=lambda: 1 // 0)
    WriteAheadLog(tmp_path).close()


def test_what_nobody_foresaw_fails_the_append_and_not_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise MemoryError("no memory")

    with WriteAheadLog(tmp_path, PATIENT) as log:
        with monkeypatch.context() as patched:
            patched.setattr(ActiveSegment, "write", broken)
            assert "no memory" in str(fails(log, b"x"))
        append(log, b"y")
        assert everything(log) == [b"y"]


def test_a_callback_that_raises_stops_nobody_else(tmp_path: Path) -> None:
    def raising(_: StorageError | None) -> None:
        raise ZeroDivisionError

    with WriteAheadLog(tmp_path) as log:
        log.append(b"x", raising)
        append(log, b"y", b"z")
        assert everything(log) == [b"x", b"y", b"z"]


def test_too_much_waiting_is_refused_at_the_door(tmp_path: Path) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(_: StorageError | None) -> None:
        entered.set()
        leave.wait(10)

    with WriteAheadLog(tmp_path, LogLimits(max_waiting_bytes=100)) as log:
        log.append(b"first", slow)
        assert entered.wait(10)
        waiter = Waiter()
        log.append(bytes(100), waiter)
        with pytest.raises(BusyError, match="try again"):
            log.append(b"1", waiter)
        leave.set()
        assert waiter.wait() == [None]
        append(log, b"1")


def test_closing_writes_what_waits_and_then_takes_nothing(tmp_path: Path) -> None:
    log = WriteAheadLog(tmp_path)
    waiter = Waiter()
    for _ in range(100):
        log.append(b"x", waiter)
    log.close()
    log.close()
    assert waiter.errors == [None] * 100
    with pytest.raises(StorageError, match="the log is closed"):
        log.append(b"x", waiter)
    with pytest.raises(StorageError, match="the log is closed"):
        log.seal()


def test_a_damaged_segment_can_be_set_aside(tmp_path: Path) -> None:
    with WriteAheadLog(tmp_path) as log:
        append(log, b"x")
        log.seal()
        (number,) = log.sealed()
        log.set_aside(number)
        assert log.sealed() == []
    assert len(list(tmp_path.glob("*.damaged"))) == 1


def test_a_missing_segment_is_a_storage_error(tmp_path: Path) -> None:
    with WriteAheadLog(tmp_path) as log:
        with pytest.raises(StorageError, match="cannot read the log segment: No such file"):
            log.read(1)
        with pytest.raises(StorageError, match="cannot set the damaged log segment aside"):
            log.set_aside(1)
        log.remove(1)


def test_an_empty_log_holds_no_payloads(tmp_path: Path) -> None:
    assert not holds_payloads(tmp_path / "nowhere")
    with WriteAheadLog(tmp_path):
        assert not holds_payloads(tmp_path)
