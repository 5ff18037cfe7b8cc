"""Photos are read and written no faster than wanted, and rest while the machine is busy."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from daemon.files import hashing, pace, placing
from daemon.files.pace import Pace, pressure

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20


def test_all_threads_together_keep_the_limit() -> None:
    one = Pace()
    one.set(10 * MIB, 0)
    began = time.monotonic()

    def work() -> None:
        for _ in range(4):
            one.took(MIB)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began > 0.6  # eight MiB at ten a second, less what may be made up for


def test_a_limit_that_is_taken_away_holds_nobody() -> None:
    one = Pace()
    one.set(1, 0)
    thread = threading.Thread(target=one.took, args=(1000,))
    thread.start()
    time.sleep(0.1)
    assert thread.is_alive()
    one.end()
    thread.join(5)
    assert not thread.is_alive()
    one.took(1 << 40)


def test_files_are_hashed_and_copied_at_that_pace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    class Counting(Pace):
        def took(self, count: int) -> None:
            taken.append(count)

    for module in (hashing, placing):
        monkeypatch.setattr(module, "PACE", Counting())
    source = tmp_path / "x.jpg"
    source.write_bytes(os.urandom(2 * MIB + 5))
    with source.open("rb") as file, (tmp_path / "copy").open("w+b") as copy:
        hashing.hash_file(file.fileno())
        assert sum(taken) == 2 * MIB + 5
        taken.clear()
        assert placing._copy_in_kernel(file.fileno(), copy.fileno(), 2 * MIB + 5, None) == 2 * MIB + 5
        assert sum(taken) == 2 * (2 * MIB + 5), "read and written"
        taken.clear()
        placing._copy_by_hand(file.fileno(), copy.fileno(), 0, 2 * MIB + 5, None)
        assert sum(taken) == 2 * (2 * MIB + 5)


def test_photos_rest_while_the_machine_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "REST", 0.05)
    busy = [90.0]
    one = Pace(lambda: busy[0])
    one.set(0, 60)
    thread = threading.Thread(target=one.took, args=(1,))
    thread.start()
    time.sleep(0.3)
    assert thread.is_alive()
    busy[0] = 10.0
    thread.join(5)
    assert not thread.is_alive()
    busy[0] = 90.0
    one.took(1)  # what has just rested works for a while


def test_some_work_is_done_however_busy_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "REST", 0.02)
    monkeypatch.setattr(pace, "LONGEST_REST", 0.1)
    one = Pace(lambda: 100.0)
    one.set(0, 60)
    began = time.monotonic()
    one.took(1)
    assert time.monotonic() - began > 0.09


def test_who_rests_is_let_go_at_the_end() -> None:
    one = Pace(lambda: 100.0)
    one.set(0, 1)
    thread = threading.Thread(target=one.took, args=(1,))
    thread.start()
    time.sleep(0.1)
    one.end()
    thread.join(5)
    assert not thread.is_alive()


def test_the_kernel_says_how_busy_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 0 <= pressure() <= 100 * 1000
    monkeypatch.setattr(pace, "_some", lambda _path: None)
    assert pressure() == pytest.approx(100 * os.getloadavg()[0] / (os.cpu_count() or 1), rel=0.5)
