"""Many files at a time: in order, each failure by itself, and stopped when the program is."""

from __future__ import annotations

import threading
import time

import anyio
import pytest

from daemon.errors import NeedsPerson, RelayError, Transient
from daemon.relay.abreast import Halted, abreast, rest, together, unless_halted


async def test_outcomes_come_in_order_and_failures_stay_with_their_own() -> None:
    threads: set[str] = set()

    def work(number: int) -> int:
        threads.add(threading.current_thread().name)
        time.sleep(0.01)
        if number == 3:
            raise Transient("a.b", "three")
        return number * 10

    found = await abreast(work, range(9), 3)
    assert [one for one in found if not isinstance(one, Exception)] == [0, 10, 20, 40, 50, 60, 70, 80]
    assert isinstance(found[3], Transient)
    assert len(threads) == 3
    assert await abreast(work, [], 3) == []


async def test_what_concerns_all_ends_it() -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        raise NeedsPerson("disk.full", "full")

    with pytest.raises(NeedsPerson, match="full"):
        await abreast(work, range(100), 2, of_all=lambda error: isinstance(error, RelayError))
    assert len(begun) <= 2


@pytest.mark.parametrize("workers", [1, 3])
async def test_cancelled_it_ends_within_a_block_and_leaves_no_thread_behind(workers: int) -> None:
    running, ended = 0, 0

    def work(_: int) -> None:
        nonlocal running, ended
        running += 1
        each_block = unless_halted(lambda _done: None)
        try:
            for done in range(10_000):  # a film of ten thousand blocks
                time.sleep(0.005)
                each_block(done)
        except Halted:
            ended += 1
            raise

    started = time.monotonic()
    with anyio.move_on_after(0.1) as scope:
        await abreast(work, range(50), workers)
    assert scope.cancelled_caught
    assert time.monotonic() - started < 5
    assert running == ended == workers


async def test_cancelled_before_it_began_nothing_is_done() -> None:
    done: list[int] = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        await abreast(done.append, [1, 2], 2)
    assert done == []


async def test_requests_are_made_a_few_at_a_time() -> None:
    now, most = 0, 0

    async def call(number: int) -> int:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await anyio.sleep(0.01)
        now -= 1
        if number == 5:
            raise Transient("a.b", "five")
        return -number

    answers = await together(call, range(30))
    assert [one for one in answers if not isinstance(one, RelayError)] == [-n for n in range(30) if n != 5]
    assert isinstance(answers[5], Transient)
    assert 1 < most <= 8


async def test_other_threads_join_in_only_where_it_goes_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: set[str] = set()
    last = threading.Event()

    def work(number: int) -> None:
        threads.add(threading.current_thread().name)
        if number == 1:
            assert last.wait(30)  # a film among small photos keeps none of them waiting
        if number == 2000:
            last.set()

    with monkeypatch.context() as patch:
        patch.setattr("daemon.relay.abreast._QUICK", 60.0)  # whatever else this machine does meanwhile
        await abreast(work, [0] * 2000, 4)
    assert len(threads) == 1
    assert not any(await abreast(work, range(1, 2001), 2))
    assert last.is_set()


async def test_small_files_that_take_a_moment_longer_have_one_thread_and_large_ones_all() -> None:
    threads: set[str] = set()

    def work(_: int) -> None:
        threads.add(threading.current_thread().name)
        time.sleep(0.001)

    await abreast(work, range(100), 2, size=100 * 3_000_000)
    assert len(threads) == 2
    threads.clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("daemon.relay.abreast._QUICK_SMALL", 60.0)  # whatever else this machine does meanwhile
        await abreast(work, range(100), 2, size=100 * 100_000)
    assert len(threads) == 1


@pytest.mark.parametrize("workers", [1, 3])
async def test_what_never_returns_is_left_and_all_others_are_done(workers: int) -> None:
    """Its thread comes back at last, and changes nothing; until then what all of them use is not put away."""
    answers, put_away, over = threading.Event(), threading.Event(), threading.Event()
    heard: list[float] = []

    def work(number: int) -> int:
        if number in {3, 4}:
            block = unless_halted(lambda _: None)
            block(1)
            assert answers.wait(60)
            over.set()
        return number

    def leave(number: int, silent: float) -> Exception | None:
        assert number in {3, 4}
        heard.append(silent)
        return Transient("disk.unanswered", str(number)) if silent > 0.3 else None

    with anyio.fail_after(30):
        found = await abreast(work, range(200), workers, leave=leave, at_end=put_away.set)
        assert [str(one) for one in found if isinstance(one, Exception)] == [f"{n} [disk.unanswered]" for n in (3, 4)]
        assert [one for one in found if not isinstance(one, Exception)] == [n for n in range(200) if n not in {3, 4}]
        assert min(heard) < 1.5
        assert not put_away.is_set()
        answers.set()
        assert await anyio.to_thread.run_sync(over.wait, 10)
        assert await anyio.to_thread.run_sync(put_away.wait, 10)
    assert isinstance(found[3], Transient)


async def test_cancelled_it_returns_though_what_was_left_does_not() -> None:
    answers, ends = threading.Event(), threading.Event()

    def work(number: int) -> None:
        if number == 0:
            answers.wait(60)
        else:
            while True:
                rest()

    def leave(number: int, _silent: float) -> Exception | None:
        return None if number else Transient("disk.unanswered", "0")

    try:
        with anyio.fail_after(20):
            with anyio.move_on_after(3) as scope:
                await abreast(work, range(5), 2, leave=leave, at_end=ends.set)
            assert scope.cancelled_caught
            assert not ends.is_set()
    finally:
        answers.set()
    assert await anyio.to_thread.run_sync(ends.wait, 10)


async def test_with_nobody_left_all_is_put_away_before_it_returns() -> None:
    ends: list[int] = []
    for items, workers in ([], 1), ([1], 1), (list(range(50)), 4):
        assert await abreast(str, items, workers, leave=lambda *_: None, at_end=lambda: ends.append(1)) == [
            str(one) for one in items
        ]
    assert len(ends) == 3


async def test_it_begins_as_soon_as_a_thread_is_free_however_late() -> None:
    threads, free = anyio.to_thread.current_default_thread_limiter(), threading.Event()
    threads.total_tokens = 1
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.to_thread.run_sync, free.wait, 20)
        with anyio.fail_after(10):
            await anyio.wait_all_tasks_blocked()
            assert not threads.available_tokens
            threading.Timer(1.5, free.set).start()
            assert await abreast(str, [1, 2], 1, leave=lambda *_: None) == ["1", "2"]
