"""Hard links in a user's folder: of another user's file, of the archive's, of a file outside that is somebody else's.

Whoever can write to the disk itself can make them. Nothing but the user's own name may go, nothing may be read that
Nextcloud would not give them, and what the archive has is neither taken away nor left at the link's mercy.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from daemon.ledger.model import State
from tests.relay.world import FOLDER, World, shot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}
NAME = f"{FOLDER}/mine.jpg"
ARCHIVES = ["folder", "photoprism"]


async def linked(world: World, target: Path) -> None:
    os.link(target, world.path("alice", NAME))
    await world.settle("alice", [NAME])


def seen(path: Path) -> tuple[object, ...]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mode, status.st_uid, status.st_gid, path.read_bytes()


async def archived(world: World) -> Path:
    """Let bob's photo be in the archive."""
    await world.deliver("bob", {f"{FOLDER}/bobs.jpg": shot(1)})
    await world.relay()
    [name] = world.archived()
    return world.archive_root / name


@pytest.mark.parametrize("kind", ARCHIVES)
@pytest.mark.parametrize("after", ["delete", "archive"])
async def test_another_users_file_is_copied_and_stays_as_it_is(make_world: MakeWorld, kind: str, after: str) -> None:
    world = await make_world(kind, **OFF, users={"after": after})
    private = world.path("bob", "Private/secret.jpg")
    world.put("bob", "Private/secret.jpg", shot(1))
    private.chmod(0o600)
    before = seen(private)
    await linked(world, private)
    await world.relay()
    assert seen(private) == before
    [path] = [path for path in world.archive_root.rglob("*") if path.is_file()]
    assert path.stat().st_ino != private.stat().st_ino
    assert not world.path("alice", NAME).exists()


async def test_one_file_in_two_watched_folders_comes_once(make_world: MakeWorld) -> None:
    world = await make_world("folder", **OFF)
    world.put("bob", f"{FOLDER}/bobs.jpg", shot(1))
    os.link(world.path("bob", f"{FOLDER}/bobs.jpg"), world.path("alice", NAME))
    await world.sweep()
    await world.relay()
    await world.later(400)
    await world.sweep()
    await world.relay()
    assert list(world.archived().values()) == [shot(1)], world.said()
    assert world.standing("alice") == world.standing("bob") == {}


@pytest.mark.parametrize("after", ["archive", "keep"])
async def test_a_name_of_the_archives_own_file_takes_nothing_from_the_archive(
    make_world: MakeWorld, after: str
) -> None:
    """Its user deletes the name right after: the archive's must be there still."""
    world = await make_world("folder", **OFF)
    photo = await archived(world)
    before = seen(photo)
    world.change(**OFF, users={"after": after})
    await linked(world, photo)
    async with world.running():
        await world.until(lambda: bool(world.ledger.photos.by_state(State.HELD)))
    [held] = world.ledger.photos.by_state(State.HELD)
    assert held.code == "archive.second_name"
    world.path("alice", NAME).unlink()
    assert seen(photo) == before
    assert list(world.archived().values()) == [shot(1)]


async def test_a_name_of_the_archives_own_file_is_all_that_is_deleted(make_world: MakeWorld) -> None:
    world = await make_world("folder", **OFF)
    photo = await archived(world)
    before = seen(photo)
    await linked(world, photo)
    await world.relay()
    assert seen(photo) == before
    assert photo.stat().st_nlink == 1
    assert world.standing("alice") == {}


async def test_what_is_written_through_such_a_name_does_not_take_the_archives_away(make_world: MakeWorld) -> None:
    """Their own write is theirs to answer for; the program must not finish the work by unlinking the archive's name."""
    world = await make_world("folder", **OFF)
    photo = await archived(world)
    world.change(**OFF, users={"after": "delete", "release_after": "1h"})
    await linked(world, photo)
    async with world.running():
        await world.until(lambda: bool(world.ledger.photos.by_state(State.ARCHIVED)))
    with world.path("alice", NAME).open("r+b") as file:
        file.write(shot(2)[:1000])
    await world.later(4000)
    async with world.running():
        await world.until(lambda: not world.ledger.photos.by_state(State.ARCHIVED))
    assert photo.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize("kind", ARCHIVES)
async def test_a_file_of_somebody_else_is_not_read(make_world: MakeWorld, kind: str) -> None:
    """A daemon that may read more than Nextcloud does must not show it to whoever has linked it."""
    world = await make_world(kind, **OFF)
    outside = world.root / "outside.jpg"
    outside.write_bytes(shot(9))
    os.chown(outside, 4321, 4321)
    outside.chmod(0o600)
    os.utime(outside, ns=(0, outside.stat().st_mtime_ns))
    await linked(world, outside)
    # One that an administrator has copied there has one name, and is relayed like any other.
    world.put("alice", f"{FOLDER}/copied.jpg", shot(8))
    os.chown(world.path("alice", f"{FOLDER}/copied.jpg"), 4321, 4321)
    await world.settle("alice", [f"{FOLDER}/copied.jpg"])
    await world.relay()
    refused = world.ledger.photos.latest("alice", NAME)
    assert refused is not None
    assert (refused.state, refused.code) == (State.REFUSED, "file.foreign")
    assert list(world.archived().values()) == [shot(8)]
    status = outside.stat()
    assert (status.st_atime_ns, status.st_nlink, status.st_uid) == (0, 2, 4321)
    assert world.path("alice", NAME).exists()
