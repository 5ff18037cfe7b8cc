# ruff: noqa: ASYNC110 - what is waited for is in another task
"""Who has a home: listed before anything is taken, asked about, remembered when gone; and the schedule of sweeps."""

from __future__ import annotations

import os
import threading
import time
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import anyio
import pytest

from daemon import homekeeper
from daemon.errors import NeedsPerson
from daemon.files.names import hidden_name
from daemon.files.opening import directory_below
from daemon.homekeeper import Homekeeper
from daemon.ledger.model import State
from daemon.notify.buttons import Buttons, Deed
from daemon.sweeper import Sweeper
from daemon.watch.sweep import Swept
from tests.relay.world import FOLDER, World, shot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">a recipe</x:xmpmeta>'
BOTH = frozenset({"alice", "bob"})
BERLIN = ZoneInfo("Europe/Berlin")


@asynccontextmanager
async def a_world(root: Path, **settings: Any) -> AsyncIterator[World]:
    world = World(root, prism=None, settings=OFF | settings)
    try:
        yield world
    finally:
        await world.close()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with a_world(tmp_path) as world:
        yield world


def keeper_of(world: World) -> Homekeeper:
    return Homekeeper(world.ledger, world.current, world.issues, world.bus, world.clock)


async def test_a_home_is_listed_before_its_owner_is_watched(world: World) -> None:
    keeper = keeper_of(world)
    world.put("alice", "Documents/any.txt", b"anything")
    odd = os.fsdecode(b"\xff.jpg")
    world.put("alice", f"{FOLDER}/{odd}", shot(1))
    (world.path("alice", FOLDER) / "link.jpg").symlink_to("/etc/passwd")
    assert keeper.included() == {}
    assert await keeper.seen(BOTH)
    assert set(keeper.included()) == BOTH
    assert world.ledger.homes.baseline_size("alice") == 2
    home = world.ledger.homes.all()["alice"]
    assert home.baseline_at is not None
    found = world.found("alice", f"{FOLDER}/{odd}").fingerprint
    assert world.ledger.homes.in_baseline("alice", f"{FOLDER}/{odd}", found.inode, found.size)


async def test_a_home_on_a_disk_that_hangs_keeps_no_other_from_being_known(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper, answers = keeper_of(world), threading.Event()
    await keeper.seen(frozenset({"alice"}))
    before = world.ledger.homes.all()["alice"].anchor

    def hanging(data: str, path: str) -> Any:
        if path.startswith("alice"):
            answers.wait(15)
        return directory_below(data, path)

    monkeypatch.setattr(homekeeper, "directory_below", hanging)
    monkeypatch.setattr(homekeeper, "_SOON", 0.2)
    began = time.monotonic()
    assert await keeper.seen(BOTH)
    assert time.monotonic() - began < 10
    answers.set()
    assert set(keeper.included()) == BOTH
    assert world.ledger.homes.all()["alice"].anchor == before


async def test_a_home_is_listed_once(world: World) -> None:
    keeper = keeper_of(world)
    await keeper.seen(BOTH)
    world.put("alice", f"{FOLDER}/new.jpg", shot(1))
    assert not await keeper.seen(BOTH), "nobody else is watched"
    await keeper_of(world).seen(BOTH)
    assert world.ledger.homes.baseline_size("alice") == 0


async def test_a_listing_that_was_cut_short_is_made_anew(world: World) -> None:
    world.ledger.homes.seen("alice", 1.0)
    world.ledger.homes.list_add("alice", [("half.jpg", 1, 2)])
    world.put("alice", f"{FOLDER}/x.jpg", shot(1))
    await keeper_of(world).seen(BOTH)
    assert world.ledger.homes.baseline_size("alice") == 1
    assert not world.ledger.homes.in_baseline("alice", "half.jpg", 1, 2)


async def test_a_home_that_goes_is_remembered_and_comes_back_as_it_was(world: World) -> None:
    keeper = keeper_of(world)
    world.put("alice", f"{FOLDER}/x.jpg", shot(1))
    await keeper.seen(BOTH)
    assert await keeper.seen(frozenset({"bob"}))
    assert set(keeper.included()) == {"bob"}
    assert world.ledger.homes.all()["alice"].gone_since is not None
    world.put("alice", f"{FOLDER}/new.jpg", shot(2))
    await keeper.seen(BOTH)
    assert world.ledger.homes.all()["alice"].gone_since is None
    assert await world.sweep() == {("alice", f"{FOLDER}/new.jpg")}


async def test_a_new_user_is_asked_about_until_there_is_a_decision(world: World) -> None:
    keeper = keeper_of(world)
    world.change(**OFF, users={"include": {}, "exclude": ["bob"]})
    world.current.settings = world.settings.model_copy(
        update={"users": world.settings.users.model_copy(update={"include": {}})}
    )
    await keeper.seen(BOTH)
    assert [(issue.code, issue.about) for issue in world.issues.all()] == [("user.new", "user alice")]
    assert keeper.included() == {}
    world.change(**OFF)
    await keeper.settings_changed()
    assert world.issues.all() == []


async def test_who_is_relayed_and_goes_is_told_of_until_they_are_back_or_decided_about(world: World) -> None:
    keeper = keeper_of(world)
    await keeper.seen(BOTH)
    await keeper.seen(frozenset({"bob"}))
    (issue,) = world.issues.all()
    assert (issue.code, issue.subject) == ("user.gone", "alice")
    assert "alice has no home" in issue.message
    anew = keeper_of(world)
    world.issues.clear(issue.about)
    await anew.seen(frozenset({"bob"}))
    assert [one.code for one in world.issues.all()] == ["user.gone"], "also after a restart"
    await anew.seen(BOTH)
    assert world.issues.all() == []
    await anew.seen(frozenset({"bob"}))
    world.change(**OFF, users={"include": {"bob": {}}, "exclude": ["alice"]})
    world.current.settings = world.settings.model_copy(
        update={"users": world.settings.users.model_copy(update={"include": {}, "exclude": ("alice",)})}
    )
    await anew.settings_changed()
    assert [one.code for one in world.issues.all()] == ["user.new"], "alice is decided about, bob is asked about"


async def test_who_was_asked_about_and_goes_is_asked_about_no_more(world: World) -> None:
    world.current.settings = world.settings.model_copy(
        update={"users": world.settings.users.model_copy(update={"include": {}})}
    )
    keeper = keeper_of(world)
    await keeper.seen(BOTH)
    token = Buttons(world.ledger).offer(1, Deed("include", "alice"), world.clock.wall())
    await keeper.seen(frozenset({"bob"}))
    assert [issue.subject for issue in world.issues.all()] == ["bob"]
    with pytest.raises(NeedsPerson) as raised:
        Buttons(world.ledger).redeem(token, world.clock.wall())
    assert raised.value.code == "act.used", "an old message decides nothing"


async def test_what_a_lost_ledger_had_hidden_gets_its_name_back(world: World) -> None:
    world.put("alice", f"{FOLDER}/{hidden_name('x.jpg', 'abcdefgh')}", shot(1))
    await keeper_of(world).seen(BOTH)
    assert world.standing() == {f"files/{FOLDER}/x.jpg": shot(1)}
    assert await world.sweep() == set(), "it is its owner's as before"


class PlayedWatch:
    """As much of the watch as the sweeper uses: it hands what stands there to the intake."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.swept: list[list[str] | None] = []
        self.at: list[float] = []
        self.full: list[bool] = []
        self.also: list[list[tuple[str, str]]] = []
        self.running = 0
        self.believed: int | None = None
        self.found = Swept(directories=3, files=5, wanted=2, missed=1)

    async def sweep(self, users: Any, *, settle: float | None = None, full: bool = True, also: Any) -> Swept:
        self.running += 1
        assert self.running == 1, "never two at once"
        await anyio.sleep(0.01)
        self.swept.append(users)
        self.at.append(self.world.clock.time)
        self.full.append(full)
        self.also.append([] if full else list(also("alice")))
        self.running -= 1
        return self.found

    def trust(self) -> int | None:
        return self.believed


async def test_sweeps_come_one_after_the_other_and_are_in_the_diary(world: World) -> None:
    watch: Any = PlayedWatch(world)
    sweeper = Sweeper(watch, world.ledger, world.current, world.bus, world.clock)
    async with anyio.create_task_group() as group:
        for number in range(3):
            group.start_soon(sweeper.now, f"reason {number}", None)
    assert len(watch.swept) == 3
    last = world.ledger.audit.last_sweep()
    assert last is not None
    assert (last["seen"], last["missed"]) == (5, 1)
    assert sweeper.missed == 3
    assert sweeper.status()["running"] is False


async def test_a_sweep_at_the_start_and_then_by_the_schedule(world: World) -> None:
    watch: Any = PlayedWatch(world)
    world.change(**OFF, watch={"sweep": "every 1h"})
    sweeper = Sweeper(watch, world.ledger, world.current, world.bus, world.clock)
    began = world.clock.time
    async with anyio.create_task_group() as group:
        group.start_soon(sweeper.by_schedule)
        with anyio.fail_after(10):
            while len(watch.swept) < 3:
                await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    assert 2 * 3600 <= world.clock.time - began < 3.2 * 3600


async def test_sweeps_come_further_apart_while_the_watch_is_proved_and_at_the_wanted_pace_after_any_doubt(
    world: World,
) -> None:
    watch: Any = PlayedWatch(world)
    watch.believed, watch.found = 7, Swept(directories=3, files=5)
    world.change(**OFF, watch={"sweep": "every 1h"})
    sweeper = Sweeper(watch, world.ledger, world.current, world.bus, world.clock)
    written = world.ledger.audit.last_sweep
    async with anyio.create_task_group() as group:
        group.start_soon(sweeper.by_schedule)
        with anyio.fail_after(20):
            while len(watch.swept) < 6:
                await anyio.sleep(0.001)
            last = written()
            assert last is not None
            assert (last["reason"], last["seen"]) == ("schedule", 5)
            assert last["started_at"] >= watch.at[4]
            row = world.ledger.audit._store.row("SELECT COUNT(*) AS n FROM sweeps")
            assert row is not None
            assert row["n"] == 1, "only the start's is in the ledger"
            watch.believed = 8
            doubted = world.clock.time
            while len(watch.swept) < 7:
                await anyio.sleep(0.001)
            watch.believed = None
            while len(watch.swept) < 10:
                await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    pauses = [round((later - earlier) / 3600, 1) for earlier, later in pairwise(watch.at)]
    assert pauses[:5] == [1.0, 2.0, 4.0, 4.0, 4.0]
    assert watch.at[6] - doubted < 1.1 * 3600
    assert pauses[-2:] == [1.0, 1.0]


async def test_a_clock_that_is_set_back_keeps_no_sweep_waiting(world: World) -> None:
    watch: Any = PlayedWatch(world)
    world.change(**OFF, watch={"sweep": "every 1h"})
    sweeper = Sweeper(watch, world.ledger, world.current, world.bus, world.clock)
    async with anyio.create_task_group() as group:
        group.start_soon(sweeper.by_schedule)
        with anyio.fail_after(10):
            while len(watch.swept) < 2:
                await anyio.sleep(0.001)
            world.clock.time -= 30 * 24 * 3600
            back = world.clock.time
            seen = len(watch.swept)
            while len(watch.swept) < seen + 1:
                await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    assert world.clock.time - back < 2.2 * 3600


async def test_one_sweep_a_day_trusts_nothing_and_the_others_look_at_what_waits_by_name(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.sweeper.STEP", 600.0)
    watch: Any = PlayedWatch(world)
    world.change(**OFF, watch={"sweep": "every 1h"})
    await world.deliver("alice", {f"{FOLDER}/refused.jpg": b"words"})
    sweeper = Sweeper(watch, world.ledger, world.current, world.bus, world.clock)
    async with anyio.create_task_group() as group:
        group.start_soon(sweeper.by_schedule)
        with anyio.fail_after(20):
            while len(watch.swept) < 48:
                await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    full = [number for number, one in enumerate(watch.full) if one]
    assert 2 <= len(full) <= 3
    assert all(21 <= later - earlier <= 23 for earlier, later in pairwise([0, *full]))
    ordinary = [also for also, is_full in zip(watch.also, watch.full, strict=True) if not is_full]
    assert all(also == [("alice", f"{FOLDER}/refused.jpg")] for also in ordinary)
    await sweeper.now("asked for", None)
    assert watch.full[-1]


@pytest.mark.parametrize("day", [datetime(2026, 3, 27, 12, tzinfo=BERLIN), datetime(2026, 10, 23, 12, tzinfo=BERLIN)])
async def test_a_sweep_at_a_fixed_hour_is_full_every_day_through_a_clock_change(
    world: World, day: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.sweeper.STEP", 600.0)
    watch: Any = PlayedWatch(world)
    world.change(**OFF, watch={"sweep": "30 2 * * *"}, ui={"timezone": "Europe/Berlin"})
    world.clock.time = day.timestamp()
    sweeper = Sweeper(watch, world.ledger, world.current, world.bus, world.clock)
    async with anyio.create_task_group() as group:
        group.start_soon(sweeper.by_schedule)
        with anyio.fail_after(60):
            while len(watch.swept) < 5:
                await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    assert watch.full[2:] == [True, True, True], "the first comes less than a day after the start"
    began = [datetime.fromtimestamp(at, BERLIN).strftime("%d %H") for at in watch.at[1:]]
    assert began == [
        f"{day.day + 1} 02",
        f"{day.day + 2} {'03' if day.month == 3 else '02'}",
        f"{day.day + 3} 02",
        f"{day.day + 4} 02",
    ]


async def test_a_preview_names_each_file_and_what_would_become_of_it(world: World) -> None:
    world.put("alice", f"{FOLDER}/old.jpg", shot(1))
    await keeper_of(world).seen(BOTH)
    await world.deliver("alice", {f"{FOLDER}/known.jpg": shot(2)})
    world.change(**OFF, users={"after": "keep"})
    await world.relay()
    world.put("alice", f"{FOLDER}/new.jpg", shot(3))
    world.put("alice", f"{FOLDER}/new.xmp", XMP)
    world.put("alice", f"{FOLDER}/bad.jpg", b"words")
    sweeper = Sweeper(PlayedWatch(world), world.ledger, world.current, world.bus, world.clock)  # type: ignore[arg-type]
    before = (world.standing(), world.archived(), world.ledger.photos.last_id())
    said = {path.rpartition("/")[2]: words async for _, path, words in sweeper.preview(None, world.examine)}
    assert (world.standing(), world.archived(), world.ledger.photos.last_id()) == before
    assert set(said) == {"old.jpg", "known.jpg", "new.jpg", "new.xmp", "bad.jpg"}
    assert "stood there before" in said["old.jpg"]
    assert said["known.jpg"].startswith("known already: done")
    assert said["new.jpg"] == "would be relayed (jpg); then: keep"
    assert said["new.xmp"].startswith("would be relayed (xmp)"), said["new.xmp"]
    assert "[media.mismatch]" in said["bad.jpg"]
    assert world.ledger.photos.counts()[State.FOUND] == 0
