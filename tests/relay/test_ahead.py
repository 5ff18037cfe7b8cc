"""While PhotoPrism imports one batch the next is prepared; a small one overtakes; no more than that lies in import."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from daemon.errors import Transient
from daemon.ledger.model import BatchState, State
from tests.relay.world import FOLDER, World, shot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.ledger.model import Batch, Photo
    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world("photoprism", **OFF, watch={"batch": 4})


@pytest.fixture
def gate(world: World, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Keep PhotoPrism at its first photo until this is set."""
    assert world.pp is not None
    bring, opened = world.pp.library._bring, threading.Event()

    def waits(*arguments: Any) -> None:
        opened.wait(60)
        bring(*arguments)

    monkeypatch.setattr(world.pp.library, "_bring", waits)
    return opened


async def deliver(world: World, numbers: Sequence[int]) -> list[Photo]:
    world.clock.time += 1.0
    found = await world.deliver("alice", {f"{FOLDER}/IMG_{number:02}.jpg": shot(number) for number in numbers})
    world.wake.set()
    return found


def ready(world: World) -> list[Batch]:
    """Give the batches that stand ready, the one that PhotoPrism works on included."""
    return [batch for batch in world.ledger.batches.unfinished() if batch.state is BatchState.PLACED]


def imported(world: World) -> list[int]:
    """Give how many photos each import had, in the order in which PhotoPrism was asked."""
    assert world.pp is not None
    sizes = {
        row["name"]: world.ledger.photos.sum_of_batch(row["id"])[0]
        for row in world.ledger._store.rows("SELECT id, name FROM batches")
    }
    return [sizes[call["path"]] for call in world.pp.imports]


async def test_the_next_batch_stands_ready_while_one_is_imported(world: World, gate: threading.Event) -> None:
    assert world.pp is not None
    await deliver(world, range(10))
    async with world.running():
        await world.until(lambda: len(ready(world)) == 2)
        assert world.pp.library.busy.locked()
        assert [len(world.ledger.photos.by_state(state)) for state in (State.PLACED, State.SETTLED)] == [8, 2]
        gate.set()
        await world.until(world.quiet)
    assert imported(world) == [4, 4, 2]
    assert {photo.state for photo in world.ledger.photos.by_state(*State)} == {State.DONE}
    assert sorted(world.archived().values()) == sorted(shot(number) for number in range(10))
    assert list(world.imports.iterdir()) == []


async def test_who_comes_while_a_batch_stands_ready_overtakes_it_once(world: World, gate: threading.Event) -> None:
    await deliver(world, range(8))
    async with world.running():
        await world.until(lambda: len(ready(world)) == 2)
        [single] = await deliver(world, [20])
        await world.until(lambda: len(ready(world)) == 3)
        late = await deliver(world, [30, 31])
        gate.set()
        await world.until(world.quiet)
    assert imported(world) == [4, 1, 4, 2]
    assert world.photo(single).state is State.DONE
    assert {world.photo(photo).state for photo in late} == {State.DONE}


async def test_what_comes_while_photoprism_works_is_prepared_too(world: World, gate: threading.Event) -> None:
    await deliver(world, range(3))
    async with world.running():
        await world.until(lambda: len(ready(world)) == 1)
        [single] = await deliver(world, [20])
        await world.until(lambda: world.photo(single).state is State.PLACED)
        assert len(ready(world)) == 2
        gate.set()
        await world.until(world.quiet)
    assert imported(world) == [3, 1]


async def test_a_failing_photoprism_gets_no_further_photo_into_its_import_folder(
    world: World, gate: threading.Event
) -> None:
    assert world.pp is not None
    await deliver(world, range(12))
    async with world.running():
        await world.until(lambda: len(ready(world)) == 2)
        world.pp.traps.outage = "reset"
        gate.set()
        for _ in range(4):
            await world.until(lambda: any(batch.next_try for batch in world.ledger.batches.unfinished()))
            await world.later(301)
        assert len(world.ledger.batches.unfinished()) == 2
        assert len(list(world.imports.iterdir())) <= 2
        assert len(world.ledger.photos.by_state(State.SETTLED)) == 4, "they wait with their owner"
        world.pp.traps.clear()
        await world.later(301)
        await world.until(lambda: world.ledger.photos.counts()["done"] == 12, 30)
    assert sorted(world.archived().values()) == sorted(shot(number) for number in range(12))


async def test_what_cannot_be_prepared_waits_and_the_import_goes_on(
    world: World, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill, failures = world.pipeline.filling.fill, [1]

    async def fails(batch: Batch, **more: Any) -> Batch:
        if batch.id == 2 and failures:
            failures.pop()
            raise Transient("disk.low", "no room just now")
        return await fill(batch, **more)

    monkeypatch.setattr(world.pipeline.filling, "fill", fails)
    await deliver(world, range(8))
    async with world.running():
        await world.until(lambda: any(batch.code for batch in world.ledger.batches.unfinished()))
        gate.set()
        await world.until(lambda: world.ledger.photos.counts()["done"] == 4)
        [waiting] = world.ledger.batches.unfinished()
        assert (waiting.id, waiting.code) == (2, "disk.low")
        await world.later(301)
        await world.until(lambda: world.ledger.photos.counts()["done"] == 8)
    assert imported(world) == [4, 4]


async def test_killed_with_one_batch_imported_and_one_ready_nothing_is_lost_or_doubled(
    world: World, gate: threading.Event
) -> None:
    await deliver(world, range(8))
    async with world.running():
        await world.until(lambda: len(ready(world)) == 2)
    await world.restart()
    assert world.pp is not None
    busy = world.pp.library.busy
    gate.set()
    await world.until(lambda: not busy.locked())
    for _ in range(3):
        await world.relay()
        await world.later(301)
    assert {photo.state for photo in world.ledger.photos.by_state(*State)} == {State.DONE}, world.said()
    assert sorted(world.archived().values()) == sorted(shot(number) for number in range(8))
    assert list(world.imports.iterdir()) == []
    assert world.standing() == {}


async def test_an_archive_at_rest_gets_a_part_first_and_soon(make_world: MakeWorld) -> None:
    world = await make_world("photoprism", **OFF, watch={"batch": 48})
    await deliver(world, range(48))
    await world.relay()
    assert imported(world) == [8, 40]


async def test_a_plain_folder_gets_its_batches_one_after_another(make_world: MakeWorld) -> None:
    world = await make_world("folder", **OFF, watch={"batch": 48})
    await deliver(world, range(60))
    await world.relay()
    sizes = [world.ledger.photos.sum_of_batch(number)[0] for number in (1, 2)]
    assert sizes == [48, 12]


async def test_two_batches_are_shown_one_after_another(world: World, gate: threading.Event) -> None:
    await deliver(world, range(8))
    async with world.running():
        await world.until(lambda: len(ready(world)) == 2)
        shown = world.pipeline.under_way.look()
        assert shown is not None
        assert (shown.batch_id, shown.step) == (1, "import")
        gate.set()
        await world.until(world.quiet)
    assert world.pipeline.under_way.look() is None
