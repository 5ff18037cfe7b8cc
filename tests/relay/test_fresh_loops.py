"""The loops beside one another: none spins, or stands still, while another is slow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from daemon.errors import Transient
from daemon.ledger.model import State
from tests.relay.world import FOLDER, shot

if TYPE_CHECKING:
    import pytest

    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}


async def test_a_slow_release_does_not_make_the_other_loop_spin(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world("folder", **OFF)
    asked = 0
    unfinished = world.ledger.batches.unfinished

    def count() -> Any:
        nonlocal asked
        asked += 1
        return unfinished()

    begun, go_on = anyio.Event(), anyio.Event()
    release = world.release.photo

    async def slow(photo: Any) -> bool:
        begun.set()
        await go_on.wait()
        return await release(photo)

    world.one_by_one(monkeypatch)
    monkeypatch.setattr(world.release, "photo", slow)
    photos = await world.deliver("alice", {f"{FOLDER}/IMG_{n}.jpg": shot(n) for n in (1, 2)})
    async with world.running():
        await begun.wait()
        await world.until(lambda: all(world.photo(one).state is State.ARCHIVED for one in photos))
        await anyio.sleep(0.2)
        monkeypatch.setattr(world.ledger.batches, "unfinished", count)
        await anyio.sleep(0.6)
        assert asked < 5, "it waits to be woken"
        go_on.set()
        await world.until(lambda: all(world.photo(one).state is State.DONE for one in photos))


async def test_a_release_is_tried_again_while_an_import_is_slow(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world("folder", **OFF)
    begun, go_on = anyio.Event(), anyio.Event()
    take_in, still = world.archive.take_in, world.archive.still
    failing = True

    async def slow(*arguments: Any) -> None:
        if begun.is_set() or failing:
            await take_in(*arguments)
            return
        begun.set()
        await go_on.wait()

    async def away(photo: Any) -> bool:
        if failing:
            raise Transient("disk.error", "the disk answered EIO")
        return await still(photo)

    monkeypatch.setattr(world.archive, "imports", True)
    monkeypatch.setattr(world.archive, "take_in", slow)
    monkeypatch.setattr(world.archive, "still", away)
    world.one_by_one(monkeypatch)
    [first] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    async with world.running():
        await world.until(lambda: world.photo(first).state is State.WAITING)
        failing = False
        await world.deliver("alice", {f"{FOLDER}/IMG_2.jpg": shot(2)})
        await begun.wait()
        await world.later(400)
        await world.until(lambda: world.photo(first).state is State.DONE, 5)
        go_on.set()


async def test_a_clock_that_is_set_back_keeps_nothing_waiting_for_a_day(make_world: MakeWorld) -> None:
    world = await make_world("photoprism", **OFF)
    assert world.pp is not None
    world.pp.traps.outage = "reset"
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    async with world.running():
        await world.until(lambda: world.photo(photo).state is State.WAITING)
        world.pp.traps.clear()
        await world.later(-86_400)
        for _ in range(20):
            await world.later(30)
            await anyio.sleep(0.05)
        await world.until(lambda: world.photo(photo).state is State.DONE, 5)
