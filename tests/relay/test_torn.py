"""A group whose import was cut short in the middle is one group in the archive all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from daemon.demo.samples import live_pair, xmp
from daemon.ledger.model import State
from tests.relay.world import FOLDER, TAKEN, World

if TYPE_CHECKING:
    from daemon.ledger.model import Photo
    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}
STILL, FILM = live_pair(TAKEN, 3)
GROUP = {f"{FOLDER}/IMG_1.HEIC": STILL, f"{FOLDER}/IMG_1.MOV": FILM, f"{FOLDER}/IMG_1.xmp": xmp(3)}


def stems(world: World) -> set[str]:
    """Give the archived names without their extensions: one, where all belong together."""
    return {path.partition(".")[0] for path in world.archived()}


def arrived_as_one(world: World, photos: list[Photo], contents: dict[str, bytes]) -> None:
    """Each content is in the archive once, all under one stem, one item in PhotoPrism, none told as a duplicate."""
    assert world.pp is not None
    assert sorted(world.archived().values()) == sorted(contents.values())
    assert len(stems(world)) == 1, sorted(world.archived())
    assert len({row.photo_uid for row in world.pp.rows}) == 1
    assert {world.photo(one).state for one in photos} == {State.DONE}, world.said()
    assert {world.photo(one).duplicate_of for one in photos} == {None}
    assert list(world.imports.iterdir()) == []


async def relay_for_long(world: World) -> None:
    """Let it run while time passes, until nothing is left to be done."""
    async with world.running():
        for _ in range(200):
            await world.later(60)
            await anyio.sleep(0.02)
            if world.quiet() and not world.ledger.batches.unfinished():
                return
    raise AssertionError(world.said())


async def torn_by_a_restart(world: World, group: dict[str, bytes], last: str) -> list[Photo]:
    """Deliver a group, and have PhotoPrism go away when it has moved its photo, then what comes after, up to one."""
    assert world.pp is not None
    world.pp.traps.crash_at = [last]
    photos = await world.deliver("alice", group)
    async with world.running():
        await world.until(lambda: any(one.next_try is not None for one in world.ledger.batches.unfinished()))
    return photos


@pytest.mark.parametrize("last", ["*.HEIC", "*.MOV", "*.xmp"])
@pytest.mark.parametrize("keeps_unproved", [False, True])
@pytest.mark.parametrize("died", [False, True])
async def test_photoprism_restarts_in_the_middle_of_a_group(
    make_world: MakeWorld, last: str, keeps_unproved: bool, died: bool
) -> None:
    world = await make_world("photoprism", **OFF, photoprism={"albums": ["Phones"]})
    assert world.pp is not None
    world.pp.traps.set({"keeps_unproved": keeps_unproved, "crash_at": []})
    photos = await torn_by_a_restart(world, GROUP, last)
    assert len(world.archived()) == ["*.HEIC", "*.MOV", "*.xmp"].index(last) + 1
    if died:
        await world.restart()
    await relay_for_long(world)
    arrived_as_one(world, photos, GROUP)


@pytest.mark.parametrize("missing", ["IMG_1.HEIC", "IMG_1.MOV", "IMG_1.xmp"])
async def test_whatever_is_missing_is_put_back(make_world: MakeWorld, missing: str) -> None:
    """After a power cut any of them may be the one whose way to the archive has lasted."""
    world = await make_world("photoprism", **OFF)
    photos = await torn_by_a_restart(world, GROUP, "*.xmp")
    lies = world.imports / world.ledger.batches.unfinished()[0].name
    for photo in photos:
        if not photo.path.endswith(missing):
            [there] = [path for path, content in world.archived().items() if content == GROUP[photo.path]]
            place = lies / world.photo(photo).place
            place.parent.mkdir(parents=True, exist_ok=True)
            (world.archive_root / there).rename(place)
    await relay_for_long(world)
    arrived_as_one(world, photos, GROUP)


async def test_without_originals_it_is_put_back_too(make_world: MakeWorld) -> None:
    world = await make_world("photoprism", **OFF, photoprism={"originals": ""})
    assert world.pp is not None
    pair = dict(list(GROUP.items())[:2])
    photos = await torn_by_a_restart(world, pair, "*.HEIC")
    world.pp.library.run_index("2026/11")  # as its own schedule does
    await relay_for_long(world)
    arrived_as_one(world, photos, pair)


@pytest.mark.parametrize("mounted", [True, False])
async def test_a_late_film_is_put_beside_its_photo_again(make_world: MakeWorld, mounted: bool) -> None:
    world = await make_world("photoprism", **OFF, photoprism={} if mounted else {"originals": ""})
    assert world.pp is not None
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.HEIC": STILL})
    await relay_for_long(world)
    world.pp.traps.busy = True
    late = await world.deliver("alice", {f"{FOLDER}/IMG_1.MOV": FILM})
    async with world.running():
        await world.until(lambda: any(one.next_try is not None for one in world.ledger.batches.unfinished()))
    # PhotoPrism went away between throwing away the copy of the photo and moving the film.
    [companion] = world.imports.rglob("*.HEIC")
    companion.unlink()
    world.pp.traps.busy = False
    await relay_for_long(world)
    arrived_as_one(world, [photo, *late], {f"{FOLDER}/IMG_1.HEIC": STILL, f"{FOLDER}/IMG_1.MOV": FILM})


async def test_an_import_that_goes_on_without_us_meets_what_is_put_back(make_world: MakeWorld) -> None:
    """A proxy gave the import up in the middle of the group: the next one finds it complete, or as known."""
    world = await make_world("photoprism", **OFF)
    assert world.pp is not None
    world.pp.traps.set({"exdev": True, "copy_pause": 0.4, "proxy_cuts_after": 0.5})
    photos = await world.deliver("alice", GROUP)
    async with world.running():
        await world.until(lambda: any(one.next_try is not None for one in world.ledger.batches.unfinished()))
        assert len(list(world.imports.rglob("*.*"))) == 2
        world.pp.traps.proxy_cuts_after = None
    await relay_for_long(world)
    arrived_as_one(world, photos, GROUP)


async def test_a_photo_that_changed_meanwhile_is_not_put_back(make_world: MakeWorld) -> None:
    """Its archived bytes stay proved, the rest of its group arrives, and the new photo comes by itself."""
    world = await make_world("photoprism", **OFF)
    photos = await torn_by_a_restart(world, GROUP, "*.HEIC")
    other = live_pair(TAKEN, 5)[0]
    world.put("alice", f"{FOLDER}/IMG_1.HEIC", other)
    await relay_for_long(world)
    await world.sweep()
    await relay_for_long(world)
    assert sorted(world.archived().values()) == sorted([*GROUP.values(), other]), world.said()
    assert world.standing("alice") == {}
    assert {world.photo(one).state for one in photos} == {State.DONE}
    assert list(world.imports.iterdir()) == []
