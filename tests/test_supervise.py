# ruff: noqa: ASYNC110 - what is waited for is in another task
from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from daemon.clock import Clock
from daemon.errors import NeedsPerson, Transient
from daemon.events import Bus
from daemon.issues import Issues
from daemon.pauses import LONGEST, pause
from daemon.supervise import WELL, Supervisor
from daemon.wake import Wake

if TYPE_CHECKING:
    from collections.abc import Callable


class Time(Clock):
    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []

    def wall(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        await anyio.lowlevel.checkpoint()


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def issues(clock: Time) -> Issues:
    return Issues(Bus(), clock)


def crashing(times: int, clock: Time, *, after: float = 0.0, error: Exception | None = None) -> Callable[[], object]:
    left = times

    async def loop() -> None:
        nonlocal left
        clock.time += after
        if left:
            left -= 1
            raise error or ValueError("oh")

    return loop


async def test_a_loop_that_crashes_is_run_again_with_growing_pauses(
    clock: Time, issues: Issues, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor = Supervisor(issues, clock)
    await supervisor.keep("relay", crashing(8, clock))  # type: ignore[arg-type]
    pauses = [seconds for seconds in clock.slept if seconds != WELL]
    assert len(pauses) == 8
    assert max(pauses) <= LONGEST
    assert pauses[0] < 5
    assert pauses[6] > 60
    assert supervisor.running == {"relay": False}
    assert "ValueError: oh" in caplog.text


async def test_a_loop_that_ran_long_starts_its_pauses_anew(clock: Time, issues: Issues) -> None:
    await Supervisor(issues, clock).keep("relay", crashing(6, clock, after=700))  # type: ignore[arg-type]
    assert max(seconds for seconds in clock.slept if seconds != WELL) < 5


async def test_a_crash_takes_nobody_along_and_is_shown(clock: Time, issues: Issues) -> None:
    supervisor = Supervisor(issues, clock)
    ran = anyio.Event()

    async def well() -> None:
        ran.set()
        await anyio.sleep_forever()

    async def bad() -> None:
        await ran.wait()
        raise ValueError("oh")

    async with anyio.create_task_group() as group:
        group.start_soon(supervisor.keep, "well", well)
        group.start_soon(supervisor.keep, "bad", bad)
        with anyio.fail_after(5):
            while not issues.all():
                await anyio.sleep(0.001)
        [issue] = issues.all()
        assert (issue.about, issue.code) == ("bad", "task.crashed")
        assert supervisor.running["well"]
        group.cancel_scope.cancel()


async def test_when_the_loop_runs_well_again_the_issue_is_gone(clock: Time, issues: Issues) -> None:
    supervisor = Supervisor(issues, clock)
    left = 1

    async def loop() -> None:
        nonlocal left
        if left:
            left -= 1
            raise Transient("some.fault", "not now")
        await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        group.start_soon(supervisor.keep, "relay", loop)
        with anyio.fail_after(5):
            while not issues.all() and left:
                await anyio.lowlevel.checkpoint()
            while issues.all():
                await anyio.sleep(0.001)
        group.cancel_scope.cancel()


async def test_an_issue_that_another_part_reported_under_the_same_name_stays(clock: Time, issues: Issues) -> None:
    supervisor = Supervisor(issues, clock)
    left = 1

    async def loop() -> None:
        nonlocal left
        if left:
            left -= 1
            raise ValueError("oh")
        issues.report("relay", NeedsPerson("config.restart", "restart"))
        await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        group.start_soon(supervisor.keep, "relay", loop)
        await anyio.sleep(0.05)
        assert [issue.code for issue in issues.all()] == ["config.restart"]
        group.cancel_scope.cancel()


@pytest.mark.parametrize("others", [[], [ExceptionGroup("y", [Transient("other.fault", "as well")])]])
async def test_an_error_of_ours_inside_a_group_is_told_as_what_it_is(
    others: list[Exception], clock: Time, issues: Issues
) -> None:
    """Several tasks may have met one and the same disk."""
    ours = ExceptionGroup("x", [Transient("some.fault", "why")])
    error = ExceptionGroup("unhandled errors in a TaskGroup", [ours, *others])
    heard: list[str] = []
    report = issues.report

    def listen(about: str, fault: object) -> None:
        heard.append(getattr(fault, "code", ""))
        report(about, fault)  # type: ignore[arg-type]

    issues.report = listen  # type: ignore[assignment]
    await Supervisor(issues, clock).keep("relay", crashing(1, clock, error=error))  # type: ignore[arg-type]
    assert heard == ["some.fault"]


async def test_being_cancelled_is_no_crash(clock: Time, issues: Issues) -> None:
    supervisor = Supervisor(issues, clock)
    async with anyio.create_task_group() as group:
        group.start_soon(supervisor.keep, "relay", anyio.sleep_forever)
        await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    assert issues.all() == []


def test_pauses_begin_within_five_seconds_grow_and_end_at_five_minutes() -> None:
    for attempts in range(40):
        for _ in range(20):
            assert 0 < pause(attempts) <= 300
    assert all(pause(0) < 5 for _ in range(50))
    assert all(pause(9) > 200 for _ in range(50))
    assert len({pause(3) for _ in range(20)}) > 1, "a hundred photos do not all ask in the same second"
    assert pause(0, 60) == 60
    assert pause(0, 9999) == 300


async def test_a_ring_after_the_look_is_never_missed() -> None:
    wake = Wake()
    seen = wake.count
    wake.set()
    with anyio.fail_after(1):
        await wake.wait(seen, 60)


async def test_a_ring_wakes_everybody() -> None:
    wake, woken = Wake(), []

    async def wait(number: int) -> None:
        await wake.wait(wake.count, 60)
        woken.append(number)

    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(wait, number)
        await anyio.sleep(0.01)
        assert woken == []
        wake.set()
    assert sorted(woken) == [0, 1, 2]


async def test_without_a_ring_the_wait_ends_in_time() -> None:
    wake = Wake()
    with anyio.fail_after(2):
        await wake.wait(wake.count, 0.01)


def test_the_same_trouble_is_one_issue_with_its_first_time_and_one_line(
    clock: Time, issues: Issues, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        clock.time = 1000.0 + number
        issues.report("archive", Transient("a.b", f"message {number}", hint="do this"))
    [issue] = issues.all()
    assert (issue.since, issue.message) == (1000.0, "message 2")
    assert caplog.text.count("message") == 1
    issues.report("archive", Transient("c.d", "other"))
    assert [(one.code, one.since) for one in issues.all()] == [("c.d", 1002.0)]


def test_issues_are_told_when_they_come_and_when_they_go(clock: Time, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bus = Bus()
    issues = Issues(bus, clock)
    with bus.listen() as heard:
        issues.clear("archive")
        issues.report("archive", Transient("a.b", "m"))
        issues.clear("archive")
    assert [event.type for event in heard._queue] == ["issue.opened", "issue.closed"]
    assert issues.all() == []
    assert "well again" in caplog.text


async def test_a_slow_listener_is_told_that_it_missed_something() -> None:
    bus = Bus()
    bus.tell("nobody.listens")
    with bus.listen(limit=3) as slow, bus.listen() as other:
        for number in range(5):
            bus.tell("a.b", number=number)
        assert len(slow._queue) <= 4
        events = []
        async for event in slow:
            events.append((event.type, event.data.get("number")))
            if event.data.get("number") == 4:
                break
        assert events[0] == ("lost", None)
        assert events[-1] == ("a.b", 4)
        assert len(other._queue) == 5
    bus.tell("a.b", number=9)
    assert len(other._queue) == 5, "who has left is told nothing"


async def test_a_listener_waits_for_what_is_still_to_come() -> None:
    bus = Bus()
    heard: list[str] = []

    async def listen() -> None:
        with bus.listen() as events:
            async for event in events:
                heard.append(event.type)
                if event.type == "the.end":
                    return

    async with anyio.create_task_group() as group:
        group.start_soon(listen)
        await anyio.sleep(0.01)
        bus.tell("a.b")
        await anyio.sleep(0.01)
        assert heard == ["a.b"]
        bus.tell("the.end")
