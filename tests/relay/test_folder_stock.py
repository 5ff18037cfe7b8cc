"""A folder archive that a ledger meets for the first time, or again after it was lost: what is in it is known."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from daemon.ledger.model import State
from daemon.relay.folder_stock import HEAD
from tests.relay.world import FOLDER, World, shot

if TYPE_CHECKING:
    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}
KEEP = {"users": {"after": "keep", "existing": True}}
TAKE = {"users": {"after": "delete", "existing": True}}


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world("folder", **OFF, users={"after": "keep"})


def by_hand(world: World, path: str, content: bytes) -> None:
    target = world.archive_root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def contents(world: World) -> list[bytes]:
    return sorted(world.archived().values())


async def lose_the_ledger(world: World) -> None:
    await world.close()
    shutil.rmtree(world.root / "state")
    world.build()
    world.change(**OFF, **TAKE)


async def test_after_a_lost_ledger_nothing_stands_in_the_archive_twice(world: World) -> None:
    given = {f"{FOLDER}/IMG_{seed}.jpg": shot(seed) for seed in range(5)}
    await world.deliver("alice", given)
    await world.deliver("bob", {f"{FOLDER}/other name.jpg": shot(50)})
    await world.relay()
    before = world.archived()
    assert len(before) == 6
    await lose_the_ledger(world)
    await world.sweep()
    await world.deliver("bob", {f"{FOLDER}/new.jpg": shot(99)})
    await world.relay()
    assert contents(world) == sorted([*before.values(), shot(99)])
    assert before.items() < world.archived().items()
    assert world.standing("alice") == world.standing("bob") == {}
    told = {photo.path: photo.duplicate_of for photo in world.ledger.photos.by_state(State.DONE)}
    assert told.pop(f"{FOLDER}/new.jpg") is None
    assert set(told.values()) == {0}
    assert not world.ledger.stock.any(), "what was compared whole is among the contents"


async def test_an_earlier_copy_in_the_ledgers_place_knows_what_came_after_it(world: World) -> None:
    await world.deliver("alice", {f"{FOLDER}/before.jpg": shot(1)})
    await world.relay()
    await world.close()
    state = world.root / "state"
    shutil.copy(state / "ledger.db", world.root / "copy.db")
    world.build()
    await world.deliver("alice", {f"{FOLDER}/after.jpg": shot(2)})
    await world.relay()
    await world.close()
    for name in state.glob("ledger.db*"):
        name.rename(world.root / f"aside-{name.name}")
    shutil.copy(world.root / "copy.db", state / "ledger.db")
    world.build()
    world.change(**OFF, **TAKE)
    await world.deliver("bob", {f"{FOLDER}/again.jpg": shot(2), f"{FOLDER}/first.jpg": shot(1)})
    await world.relay()
    assert contents(world) == sorted([shot(1), shot(2)])
    assert world.standing("bob") == {}


async def test_what_its_owner_put_there_before_counts_as_archived(world: World) -> None:
    by_hand(world, "Holidays 1999/scan 7.jpg", shot(1))
    world.change(**OFF, **TAKE)
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    await world.relay()
    assert world.archived() == {"Holidays 1999/scan 7.jpg": shot(1)}
    assert world.standing("alice") == {}
    assert (world.photo(photo).duplicate_of, world.photo(photo).archived_as) == (0, "Holidays 1999/scan 7.jpg")
    # Deleted there, it is brought again; what is put there by hand later is not looked for.
    (world.archive_root / "Holidays 1999/scan 7.jpg").unlink()
    await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    by_hand(world, "later.jpg", shot(2))
    await world.deliver("alice", {f"{FOLDER}/IMG_2.jpg": shot(2)})
    await world.relay()
    assert contents(world) == sorted([shot(1), shot(2), shot(2)])


@pytest.mark.parametrize("place", [".Trash-1000/files/a.jpg", "#recycle/a.jpg", "2026/@eaDir/a.jpg", "2026/.a.jpg"])
async def test_what_is_hidden_or_in_a_bin_is_not_archived(world: World, place: str) -> None:
    by_hand(world, place, shot(1))
    world.change(**OFF, **TAKE)
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    await world.relay()
    assert world.photo(photo).duplicate_of is None
    assert contents(world) == [shot(1), shot(1)]


async def test_files_of_one_size_are_told_apart_by_their_beginnings_which_are_read_once(world: World) -> None:
    size = HEAD + 50_000
    for seed in range(10, 30):
        by_hand(world, f"raw/{seed}.jpg", shot(seed, size))
    changed = bytearray(shot(1, size))
    changed[-1] ^= 1
    by_hand(world, "raw/other end.jpg", bytes(changed))
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1, size)})
    await world.relay()
    assert world.photo(photo).duplicate_of is None
    unread = world.ledger.stock.of_sizes([size])
    assert len(unread) == 21
    assert all(one.head for one in unread)
    # Beginnings that are known are not read again: with these the file is not even opened.
    one = next(one for one in unread if one.path == "raw/10.jpg")
    one.head = b"another"
    world.ledger.stock.heads([one])
    [same] = await world.deliver("alice", {f"{FOLDER}/IMG_2.jpg": shot(10, size)})
    [twin] = await world.deliver("alice", {f"{FOLDER}/IMG_3.jpg": shot(11, size)})
    await world.relay()
    assert [world.photo(one).duplicate_of for one in (same, twin)] == [None, 0]


async def test_another_disk_in_the_archives_place_is_listed_anew(world: World) -> None:
    await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    await world.relay()
    world.archive_root.rename(world.root / "old disk")
    by_hand(world, "new disk/b.jpg", shot(2))
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_2.jpg": shot(2)})
    await world.relay()
    assert world.photo(photo).duplicate_of == 0
    assert contents(world) == [shot(2)]


async def test_a_listing_that_was_cut_short_begins_anew(world: World) -> None:
    by_hand(world, "a.jpg", shot(1))
    by_hand(world, "b.jpg", shot(2))
    world.ledger.stock.list_begin()
    world.ledger.stock.list_add([("a.jpg", len(shot(1)))])
    await world.restart()
    await world.archive.ready(1)
    listed = world.ledger.stock.of_sizes([len(shot(1)), len(shot(2))])
    assert sorted(one.path for one in listed) == ["a.jpg", "b.jpg"]
    photos = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1), f"{FOLDER}/IMG_2.jpg": shot(2)})
    await world.relay()
    assert [world.photo(photo).duplicate_of for photo in photos] == [0, 0]
    assert contents(world) == sorted([shot(1), shot(2)])


async def test_an_archive_that_was_listed_and_is_empty_is_not_mounted(world: World) -> None:
    by_hand(world, "a.jpg", shot(1))
    await world.archive.ready(1)
    (world.archive_root / "a.jpg").unlink()
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_2.jpg": shot(2)})
    async with world.running():
        await world.until(lambda: world.photo(photo).code == "archive.empty")
    assert contents(world) == []


async def test_a_second_name_that_a_lost_ledger_left_behind_is_no_second_photo(world: World) -> None:
    upload = world.path("alice", f"{FOLDER}/IMG_1.jpg")
    upload.write_bytes(shot(1))
    os.link(upload, world.archive_root / "IMG_1.jpg")
    world.change(**OFF, **TAKE)
    await world.sweep()
    await world.relay()
    assert contents(world) == [shot(1)]
    assert world.standing("alice") == {}


@pytest.mark.parametrize("after", ["delete", "archive"])
async def test_an_archive_that_is_a_watched_folder_loses_nothing(world: World, after: str) -> None:
    """Each upload is in the archive already: it is itself."""
    watched = world.path("alice", FOLDER)
    world.change(**OFF, users={"after": after}, archive={"folder": {"path": str(watched)}})
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    async with world.running():
        await world.until(lambda: world.photo(photo).state is State.HELD)
    assert world.photo(photo).code == "archive.itself"
    assert shot(1) in world.standing("alice").values()
