"""The engine by itself: what it gives of what happens, the signs of a loss, and how seldom it wakes at rest."""

from __future__ import annotations

import os
import resource
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daemon.watch.engine import Batch, Engine

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP = 0.02


def an_engine(top: Path, *roots: str, rest: float = STEP, huge: int = 8192) -> Engine:
    return Engine(str(top), roots, recursive=True, step=STEP, rest=rest, huge=huge)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "a").mkdir()
    return tmp_path


@pytest.fixture
def engine(top: Path) -> Iterator[Engine]:
    one = an_engine(top, "a")
    yield one
    one.close()


def until_something(engine: Engine) -> Batch:
    bell = threading.Timer(10, engine.ring)
    bell.start()
    batch = engine.read()
    bell.cancel()
    assert batch != Batch(), "nothing was heard"
    return batch


def test_what_comes_and_changes_is_told_apart(top: Path, engine: Engine) -> None:
    (top / "a/x.jpg").write_bytes(b"x")
    batch = until_something(engine)
    assert (batch.changed, batch.added, batch.doubt) == ({"a/x.jpg"}, {"a/x.jpg"}, "")
    (top / "a/x.jpg").chmod(0o600)
    batch = until_something(engine)
    assert (batch.changed, batch.added) == ({"a/x.jpg"}, set())


def test_a_root_that_goes_is_lost(top: Path, engine: Engine) -> None:
    (top / "a").rmdir()
    assert until_something(engine).lost == {"a"}


def test_very_many_changes_at_once_are_doubted(top: Path) -> None:
    engine = an_engine(top, "a", huge=20)
    for number in range(40):
        (top / f"a/{number}").touch()
    doubts = [until_something(engine).doubt]
    while (batch := engine.read(wait=False)) != Batch():
        doubts.append(batch.doubt)
    assert any("overflowed" in doubt for doubt in doubts)
    engine.close()


def test_a_process_that_stood_still_is_doubted(top: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.read(wait=False)
    times = iter((100.0, 109.0))
    monkeypatch.setattr("daemon.watch.engine.time.monotonic", lambda: next(times))
    assert "stood still for 9.0 s" in engine.read().doubt


def test_what_cannot_be_named_is_refused_by_name(top: Path) -> None:
    with pytest.raises(PermissionError) as refused:
        an_engine(top, "a", os.fsdecode(b"\xff"))
    assert refused.value.filename == os.fsdecode(b"\xff")


def test_a_name_that_is_not_utf8_ends_it_as_an_error_of_the_disk(top: Path, engine: Engine) -> None:
    (top / "a" / os.fsdecode(b"\xff.jpg")).touch()
    with pytest.raises(OSError, match="decode"):
        until_something(engine)


def test_the_canary_in_memory_is_heard_and_writes_nothing(top: Path, engine: Engine) -> None:
    before = (top / "a").stat()
    engine.sing()
    batch = until_something(engine)
    assert (batch.sung, batch.changed) == (True, set())
    after = (top / "a").stat()
    assert (before.st_ctime_ns, before.st_atime_ns) == (after.st_ctime_ns, after.st_atime_ns)


def test_the_canary_at_a_root_is_heard_there(top: Path, engine: Engine) -> None:
    assert engine.sing_at("a")
    batch = until_something(engine)
    assert (batch.sung, batch.changed) == (False, {"a"})
    assert not engine.sing_at("never")


def test_at_rest_it_wakes_once_a_step(top: Path) -> None:
    engine = an_engine(top, "a", rest=0.5)
    woken: list[int] = []

    def read() -> None:
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        assert engine.read() == Batch()
        woken.append(resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before)

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(3.2)
    assert thread.is_alive()
    engine.ring()
    thread.join(10)
    # Six or seven steps, each with one sleep and perhaps one wait for the interpreter.
    assert 5 <= woken[0] <= 16
    engine.close()


def test_a_stop_ends_the_wait(engine: Engine) -> None:
    thread = threading.Thread(target=engine.read)
    thread.start()
    engine.stop()
    thread.join(10)
    assert not thread.is_alive()


def test_its_memory_is_given_back(top: Path) -> None:
    before = descriptors()
    for _ in range(10):
        an_engine(top, "a").close()
        with pytest.raises(PermissionError):
            an_engine(top, os.fsdecode(b"\xff"))
    for _ in range(100):  # the library's own thread closes the last ones a moment later
        if descriptors() <= before:
            return
        time.sleep(0.05)
    raise AssertionError(f"{descriptors()} descriptors are open, {before} before")


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
