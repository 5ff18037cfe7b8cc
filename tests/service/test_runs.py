# ruff: noqa: ASYNC110 - what is waited for happens in another task
"""Runs: what a person starts goes on by itself, says how far it is, and whatever goes wrong in it ends only itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from daemon.clock import Clock
from daemon.errors import NeedsPerson, Transient
from daemon.events import Bus, Event
from daemon.service import index
from daemon.service.runs import KEPT, LINES, WAITING, Runs
from daemon.service.verdicts import verdict
from tests.relay.world import FOLDER, Time, shot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from daemon.events import Subscription
    from daemon.service import Service
    from daemon.service.runs import Say
    from tests.relay.world import World


class Sweeps:
    """Stands where ``Service.sweep`` stands: notes who swept, and waits until it may end."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[str, ...], bool]] = []
        self.inside = 0
        self.most = 0
        self.go = anyio.Event()

    async def __call__(self, users: Sequence[str], *, dry_run: bool, say: Say) -> dict[str, Any]:
        self.asked.append((tuple(users), dry_run))
        self.inside += 1
        self.most = max(self.most, self.inside)
        await say("sweeping")
        await self.go.wait()
        self.inside -= 1
        return {"failed": 0}


async def no_index(users: Sequence[str], *, album: bool, say: Say) -> dict[str, Any]:
    del users, album, say
    return {}


@pytest.fixture
def sweeps() -> Sweeps:
    return Sweeps()


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
async def runs(sweeps: Sweeps, bus: Bus, clock: Time) -> AsyncIterator[Runs]:
    runs = Runs(bus, clock, sweep=sweeps, index=no_index)
    serving = asyncio.create_task(runs.serve())
    await asyncio.sleep(0)
    yield runs
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def until(condition: Callable[[], Any]) -> None:
    with anyio.fail_after(5):
        while not condition():
            await anyio.sleep(0.001)


def heard(subscription: Subscription) -> list[Event]:
    found = list(subscription._queue)
    subscription._queue.clear()
    return found


async def ended(runs: Runs, identity: int) -> dict[str, Any]:
    with anyio.fail_after(5):
        while (run := await runs.get(identity))["state"] == "running":
            await anyio.sleep(0.001)
    return run


async def test_a_run_has_lines_a_result_and_an_end(runs: Runs, bus: Bus) -> None:
    async def work(say: Say) -> dict[str, Any]:
        for number in range(LINES + 20):
            await say(f"line {number}")
        return {"restored": 3}

    with bus.listen() as events:
        run = await runs.start("restore", "page 10.0.0.7", work)
        assert (run["state"], run["who"], run["result"]) == ("running", "page 10.0.0.7", None)
        run = await ended(runs, run["id"])
        assert (run["state"], run["result"], run["error"]) == ("done", {"restored": 3}, None)
        assert run["line_count"] == LINES + 20
        assert run["lines"][0] == "line 20"
        assert len(run["lines"]) == LINES
        told = heard(events)
        assert [event.type for event in told] == ["run.line", "run.ended"], "lines in a rush are one event"
        assert told[-1].data["state"] == "done"
        assert told[-1].data["line_count"] == LINES + 20
    assert (await runs.list())["runs"][0]["lines"] == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NeedsPerson("x.y", "no"), "x.y"),
        (ZeroDivisionError("oh\nno"), "task.crashed"),
        (Transient("a.b", "later"), "a.b"),
    ],
)
async def test_what_goes_wrong_ends_only_the_run(runs: Runs, error: Exception, code: str) -> None:
    async def work(say: Say) -> dict[str, Any]:
        await say("begins")
        raise error

    run = await ended(runs, (await runs.start("restore", "page", work))["id"])
    assert (run["state"], run["error"]["code"]) == ("failed", code)
    assert run["lines"] == ["begins"]
    assert "\n" not in run["error"]["message"]

    async def well(say: Say) -> dict[str, Any]:
        del say
        return {}

    assert (await ended(runs, (await runs.start("restore", "page", well))["id"]))["state"] == "done"


async def test_the_same_sweep_is_joined_and_another_waits(runs: Runs, sweeps: Sweeps) -> None:
    first = (await runs.sweep(["bob", "alice"], False, "page"))["run"]
    again = (await runs.sweep(["alice", "bob", "alice"], False, "someone else"))["run"]
    assert again["id"] == first["id"]
    other = (await runs.sweep([], True, "page"))["run"]
    assert other["kind"] == "preview"
    await until(lambda: sweeps.asked)
    await anyio.sleep(0.02)
    assert sweeps.asked == [(("alice", "bob"), False)]
    assert (await runs.get(other["id"]))["lines"] == ["waits for the sweep that is under way"]
    sweeps.go.set()
    await ended(runs, other["id"])
    assert (sweeps.most, len(sweeps.asked)) == (1, 2)
    fresh = (await runs.sweep(["alice", "bob"], False, "page"))["run"]
    assert fresh["id"] != first["id"], "one that has ended is not joined"


async def test_numbers_are_bounded(runs: Runs, clock: Time) -> None:
    stay = anyio.Event()

    async def work(say: Say) -> dict[str, Any]:
        del say
        await stay.wait()
        return {}

    ids = [(await runs.start("restore", "page", work))["id"] for _ in range(WAITING)]
    with pytest.raises(Transient, match="under way already"):
        await runs.start("restore", "page", work)
    stay.set()
    for one in ids:
        await ended(runs, one)
    for _ in range(KEPT + 10):
        clock.time += 1
        ids.append((await runs.start("restore", "page", work))["id"])
        await ended(runs, ids[-1])
    found = (await runs.list())["runs"]
    assert [run["id"] for run in found] == ids[: -KEPT - 1 : -1]
    with pytest.raises(NeedsPerson) as raised:
        await runs.get(ids[0])
    assert raised.value.code == "run.unknown"


async def test_before_and_after_the_loop_nothing_is_begun(sweeps: Sweeps, bus: Bus) -> None:
    runs = Runs(bus, Clock(), sweep=sweeps, index=no_index)
    with pytest.raises(Transient, match="just starting"):
        await runs.sweep([], False, "page")

    async def nothing() -> None:
        raise AssertionError

    assert not runs.background(nothing)
    with anyio.move_on_after(0.05):
        async with anyio.create_task_group() as group:
            group.start_soon(runs.serve)
            await anyio.sleep(0.01)
            run = (await runs.sweep([], False, "page"))["run"]
            await anyio.sleep_forever()
    stopped = await runs.get(run["id"])
    assert (stopped["state"], stopped["error"]["code"]) == ("failed", "run.stopped")


async def test_work_in_the_background_that_fails_takes_nobody_along(
    runs: Runs, sweeps: Sweeps, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails() -> None:
        raise ZeroDivisionError

    assert runs.background(fails)
    await until(lambda: "work in the background failed" in caplog.text)
    sweeps.go.set()
    assert (await ended(runs, (await runs.sweep([], False, "page"))["run"]["id"]))["state"] == "done"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("would be relayed (jpg); then: trash", ("would_move", "would be relayed")),
        ("is a duplicate of what the archive has; then: keep", ("duplicate", "the archive has it already")),
        (
            "would stay: it stood there before (users.existing is false)",
            ("would_stay", "it stood there before (users.existing is false)"),
        ),
        ("would stay: x.jpg of alice is empty; it stays [file.empty]", ("refused", "it is empty")),
        ("would stay: x.jpg is odd [file.odd]", ("refused", "file.odd")),
        ("known already: held (x.jpg of alice is hidden)", ("known", "known already: held")),
    ],
)
def test_what_is_said_of_a_file_is_summed_up_without_its_name(words: str, expected: tuple[str, str]) -> None:
    assert verdict(words) == expected


async def test_a_preview_over_real_files(folder_world: World, service: Service) -> None:
    world = folder_world
    await world.deliver("alice", {f"{FOLDER}/first.jpg": shot(1)})
    await world.relay()
    for user in ("alice", "bob"):
        world.ledger.homes.seen(user, 1.0)
        world.ledger.homes.list_end(user, 1.0)
    world.put("alice", f"{FOLDER}/new.jpg", shot(2))
    world.put("alice", f"{FOLDER}/empty.jpg", b"")
    world.put("bob", f"{FOLDER}/again.jpg", shot(1))
    run = (await service.runs.sweep([], True, "page"))["run"]
    run = await ended(service.runs, run["id"])
    assert run["error"] is None
    assert run["result"]["files"] == 3
    assert run["result"]["by_reason"] == [
        {"verdict": "would_move", "words": "would be relayed", "count": 1},
        {"verdict": "duplicate", "words": "the archive has it already", "count": 1},
        {"verdict": "refused", "words": "it is empty", "count": 1},
    ]
    assert f"alice: {FOLDER}/new.jpg: would be relayed (jpg); then: delete" in run["lines"]


async def test_an_index_asks_nextcloud_for_the_folders_there(
    folder_world: World, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "PATIENCE", 1e12)  # the world's clock flies
    world = folder_world
    await world.deliver("alice", {f"{FOLDER}/2026/11/first.jpg": shot(1)})
    await world.relay()
    run = (await service.runs.index(["alice"], True, "page"))["run"]
    await until(lambda: len(world.ledger.jobs.pending()) == 4)
    places = {(job.kind, job.user, job.path) for job in world.ledger.jobs.pending()}
    album = {path.rpartition("/")[0] for path in world.archived()}
    assert places == {
        *(("user", "alice", path) for path in (FOLDER, f"{FOLDER}/2026", f"{FOLDER}/2026/11")),
        *(("album", "alice", folder) for folder in album),
    }
    async with world.running():
        run = await ended(service.runs, run["id"])
    assert (run["state"], run["error"]) == ("done", None)
    assert run["result"] == {"folders": 4, "done": 4, "failed": 0, "waiting": 0, "cut": False}
    assert run["lines"][0] == "4 folders to look at"


async def test_an_index_without_occ_or_of_strangers_is_refused(folder_world: World, service: Service) -> None:
    world = folder_world
    run = (await service.runs.index(["mallory"], False, "page"))["run"]
    assert (await ended(service.runs, run["id"]))["error"]["code"] == "index.not_included"
    world.change(nextcloud={"occ": {"via": "off"}})
    service._current.settings = world.settings
    run = (await service.runs.index([], True, "page"))["run"]
    assert (await ended(service.runs, run["id"]))["error"]["code"] == "index.no_occ"
