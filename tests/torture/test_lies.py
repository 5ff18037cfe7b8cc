"""Single lies of PhotoPrism and of people, each at the moment in which it would cost most."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from daemon.ledger.model import Photo, State
from tests.relay.world import FOLDER, World, shot
from tests.torture.swift_occ import SwiftOcc

if TYPE_CHECKING:
    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}
PATH = f"{FOLDER}/IMG_1.jpg"
HOURS = 3600.0


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world("photoprism", **OFF)


async def proved(world: World, user: str = "alice", content: bytes | None = None) -> Photo:
    """Bring a photo as far as the proof; its release is an hour away."""
    [photo] = await world.deliver(user, {PATH: content or shot(1)})
    async with world.running():
        await world.until(lambda: world.photo(photo).state is State.ARCHIVED)
    return world.photo(photo)


async def later_released(world: World, photo: Photo) -> None:
    """Let the hour and what follows pass."""
    async with world.running():
        for _ in range(12):
            await world.later(HOURS)
            try:
                await world.until(lambda: world.photo(photo).state is State.DONE, 1)
            except AssertionError:
                continue
            return
    raise AssertionError(world.said())


@pytest.mark.parametrize("deed", ["deleted", "changed", "moved", "deleted with its row", "database reset"])
@pytest.mark.parametrize("mounted", [True, False], ids=["mounted", "not mounted"])
async def test_the_archived_file_is_meddled_with_between_proof_and_release(
    make_world: MakeWorld, deed: str, mounted: bool
) -> None:
    """The original goes only when the archive has the bytes at that moment, wherever they stand by then."""
    more: dict[str, Any] = {} if mounted else {"photoprism": {"originals": ""}}
    world = await make_world("photoprism", **OFF, users={"release_after": "1h"}, **more)
    assert world.pp is not None
    photo = await proved(world)
    sha1, there = (photo.sha1 or b"").hex(), world.archive_root / photo.archived_as
    if deed == "changed":
        world.pp.alter_original(sha1)
    elif deed == "moved":
        there.rename(there.with_name("elsewhere.jpg"))
    elif deed != "database reset":
        there.unlink()
    if deed == "deleted with its row":
        world.pp.forget(sha1)
    if deed == "database reset":
        world.pp.reset_database()
    gone = None
    try:
        async with world.running():
            for _ in range(6):
                await world.later(HOURS)
                await world.until(lambda: world.photo(photo).state is not State.ARCHIVED, 3)
                gone = not world.standing()
                if gone:
                    break
    finally:
        if gone:
            assert shot(1) in world.archived().values(), world.said()
    # PhotoPrism's next complete index, and what was changed is seen by everybody.
    world.pp.become_well()
    await later_released(world, photo)
    assert world.standing() == {}
    assert list(world.archived().values()).count(shot(1)) in ({1, 2} if deed == "moved" else {1})


async def test_a_photo_is_not_its_own_twin(make_world: MakeWorld) -> None:
    """Proved, thought lost before its release, and there again: with albums it once went round for ever."""
    world = await make_world("photoprism", **OFF, users={"release_after": "1h"}, photoprism={"albums": ["All"]})
    photo = await proved(world)
    there = world.archive_root / photo.archived_as
    aside = there.with_name("aside")
    there.rename(aside)
    await world.pipeline.originals.one(photo)
    assert (world.photo(photo).state, world.photo(photo).code) == (State.WAITING, "archive.broken")
    aside.rename(there)
    await later_released(world, photo)
    assert list(world.archived().values()) == [shot(1)]
    assert world.photo(photo).duplicate_of == 0
    assert len(world.ledger.photos.history(photo.id)) < 20


@pytest.mark.parametrize("archive", ["photoprism", "folder"])
async def test_the_same_bytes_twice_in_one_group_do_not_wait_for_one_another(
    make_world: MakeWorld, archive: str
) -> None:
    """``IMG_1.jpg`` and ``IMG_1.jpeg`` belong together and may be one photo: with albums they once waited for ever."""
    world = await make_world(archive, **OFF, photoprism={"albums": ["All"]} if archive == "photoprism" else {})
    photos = await world.deliver("alice", {PATH: shot(1), f"{FOLDER}/IMG_1.jpeg": shot(1)})
    assert photos[0].group_id == photos[1].group_id
    await world.relay()
    assert {world.photo(photo).state for photo in photos} == {State.DONE}, world.said()
    assert list(world.archived().values()) == [shot(1)]
    assert world.standing() == {}


@pytest.mark.parametrize("known_before", [True, False])
async def test_a_clock_set_back_does_not_keep_releases_into_the_bin_waiting(
    make_world: MakeWorld, known_before: bool
) -> None:
    """The second that is left between two files of one name in the bin is a second, whatever the clock says."""
    world = await make_world("folder", users={"after": "trash"})
    if known_before:
        await world.deliver("alice", {PATH: shot(1)})
        await world.relay()
        await anyio.sleep(1.1)  # the bin's own second
    world.clock.time -= 24 * HOURS
    before = world.clock.time
    [photo] = await world.deliver("alice", {PATH: shot(2)})
    await world.relay()
    assert world.photo(photo).state is State.DONE, world.said()
    assert world.clock.time - before < HOURS
    assert sum(name.startswith("files_trashbin/") for name in world.standing()) == 1 + known_before


@pytest.mark.parametrize(
    ("traps", "taken"),
    [
        ({"language": "de"}, True),
        ({"import_dest": "from/nextcloud"}, True),
        ({"keeps_unproved": True, "unindexed": ["*"], "crash_after": 1}, True),
        ({"import_allow": ["heic"]}, False),
    ],
)
async def test_photoprism_is_set_up_otherwise(world: World, traps: dict[str, Any], taken: bool) -> None:
    """What it takes otherwise arrives all the same; what it leaves lying is kept, with the reason."""
    assert world.pp is not None
    world.pp.traps.set(traps)
    [photo] = await world.deliver("alice", {PATH: shot(1)})
    async with world.running():
        for _ in range(8):
            await world.later(400)
            with suppress(AssertionError):
                await world.until(lambda: world.photo(photo).state in {State.DONE, State.HELD}, 1)
        await world.until(lambda: not list(world.imports.iterdir()))
    now = world.photo(photo)
    if taken:
        assert (now.state, list(world.archived().values())) == (State.DONE, [shot(1)]), world.said()
        assert now.archived_as.startswith(traps.get("import_dest", "20"))
        assert world.standing() == {}
    else:
        assert (now.state, now.code) == (State.HELD, "archive.absent"), world.said()
        assert world.standing() == {f"files/{PATH}": shot(1)}


async def test_raw_that_photoprism_leaves_lying_is_kept(world: World) -> None:
    """``PHOTOPRISM_DISABLE_RAW``: the RAW stays in import without a word, so its whole group is kept."""
    assert world.pp is not None
    world.pp.traps.skip_raw = True
    raw = b"II*\0\x10\0\0\0CR\x02\0" + bytes(500)
    photos = await world.deliver("alice", {PATH: shot(1), f"{FOLDER}/IMG_1.cr2": raw})
    async with world.running():
        for _ in range(8):
            await world.later(400)
            with suppress(AssertionError):
                await world.until(lambda: all(world.photo(one).state is State.HELD for one in photos), 1)
        await world.until(lambda: not list(world.imports.iterdir()))
    assert {(world.photo(one).state, world.photo(one).code) for one in photos} == {(State.HELD, "archive.absent")}
    assert world.standing() == {f"files/{PATH}": shot(1), f"files/{FOLDER}/IMG_1.cr2": raw}


@pytest.mark.parametrize("traps", [{"counts_new": True}, {"version": "31.0.9"}, {"users": ["dora"]}])
async def test_nextcloud_is_set_up_otherwise(make_world: MakeWorld, traps: dict[str, Any]) -> None:
    """Its tables, its version and users without a home change nothing: everybody sees the photo in the end."""
    world = await make_world("folder")
    world.nextcloud.switch(**traps)
    world.runner.runner = SwiftOcc(world.nextcloud, world.clock)
    [photo] = await world.deliver("alice", {PATH: shot(1)})
    await world.relay()
    assert world.photo(photo).state is State.DONE, world.said()
    assert f"Album/{world.photo(photo).archived_as}" in world.nextcloud.known("bob")
    assert PATH not in world.nextcloud.known("alice")


async def test_stopped_just_after_a_photo_was_found_changed_leaves_no_row_behind(world: World) -> None:
    """What changed while it waited has a row of its own by then; the earlier one once stayed "found" for ever."""
    [first] = await world.deliver("alice", {PATH: shot(1)})
    world.ledger.photos.advance([first.id], State.EXAMINED, world.clock.time)
    with world.path("alice", PATH).open("rb"):  # held, so that the other file is not given the same inode
        world.path("alice", PATH).unlink()
        world.put("alice", PATH, shot(2))
        await world.sweep()
    world.ledger.photos.advance([first.id], State.FOUND, world.clock.time, "it changed")
    await world.restart()
    await world.relay()
    assert (world.photo(first).state, world.photo(first).code) == (State.REFUSED, "file.replaced"), world.said()
    assert list(world.archived().values()) == [shot(2)]
    assert world.standing() == {}


async def test_stopped_just_after_a_photo_was_written_over_it_goes_on_in_its_row(world: World) -> None:
    [first] = await world.deliver("alice", {PATH: shot(1)})
    world.ledger.photos.advance([first.id], State.EXAMINED, world.clock.time)
    world.put("alice", PATH, shot(2))
    await world.sweep()
    world.ledger.photos.advance([first.id], State.FOUND, world.clock.time, "it changed")
    await world.restart()
    await world.sweep()
    await world.relay()
    assert world.ledger.photos.latest("alice", PATH) == world.photo(first), "no row of its own is left"
    assert world.photo(first).state is State.DONE, world.said()
    assert list(world.archived().values()) == [shot(2)]
    assert world.standing() == {}
