"""Put back after months: with name, time, owner and mode, seen by Nextcloud, never over anything, never taken again."""

from __future__ import annotations

import errno
import os
import shutil
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from daemon.errors import RelayError
from daemon.ledger.model import Photo, State
from daemon.relay import restore
from tests.relay.world import FOLDER, MTIME, World, shot
from tests.torture.swift_occ import SwiftOcc

if TYPE_CHECKING:
    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}
DEEP = f"{FOLDER}/2026/11"
MONTHS = 200 * 24 * 3600.0
KINDS = ("folder", "photoprism", "not mounted")


async def a_world(make_world: MakeWorld, kind: str, **more: Any) -> World:
    if kind == "not mounted":
        world = await make_world("photoprism", **{"photoprism": {"originals": ""}} | more)
    else:
        world = await make_world(kind, **more)
    world.runner.runner = SwiftOcc(world.nextcloud, world.clock)
    return world


async def relayed(world: World, files: dict[str, bytes], user: str = "alice") -> list[Photo]:
    """Relay files to their end, and let months go by."""
    photos = await world.deliver(user, files)
    async with world.running():
        for _ in range(40):
            await world.later(61)
            try:
                await world.until(lambda: all(world.photo(one).state is State.DONE for one in photos), 1)
            except AssertionError:
                continue
            break
    assert {world.photo(one).state for one in photos} == {State.DONE}, world.said()
    world.clock.time += MONTHS
    await world.restart()
    return [world.photo(one) for one in photos]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_batch_comes_back_after_months_as_it_was(make_world: MakeWorld, kind: str) -> None:
    world = await a_world(make_world, kind)
    if os.geteuid() == 0:
        for each in [world.data, *world.data.rglob("*")]:
            os.chown(each, 33, 33)
    files = {f"{DEEP}/IMG_{n}.jpg": shot(n) for n in range(5)}
    photos = await relayed(world, files)
    shutil.rmtree(world.path("alice", f"{FOLDER}/2026"))
    batches = {photo.batch_id for photo in photos}
    world.nextcloud.forget()
    before = os.umask(0o077)
    try:
        results = [result for one in batches for result in await world.restore.batch(one or 0, "alice herself")]
    finally:
        os.umask(before)
    assert sorted(str(path) for _, path in results) == sorted(files)
    assert world.standing() == {f"files/{path}": content for path, content in files.items()}
    for name in files:
        status = world.path("alice", name).stat()
        assert (status.st_mtime, status.st_mode & 0o7777) == (MTIME, 0o644)
        if os.geteuid() == 0:
            folder = world.path("alice", name).parent.stat()
            assert (status.st_uid, status.st_gid, folder.st_uid, folder.st_gid) == (33, 33, 33, 33)
            assert folder.st_mode & 0o777 == 0o755
    # Nextcloud is asked to look at just that folder, and then everybody sees the photos again.
    await world.relay()
    paths = {word for call in world.nextcloud.calls("files:scan") for word in call if word.startswith("--path=")}
    assert f"--path=/alice/files/{DEEP}" in paths
    assert set(files) <= world.nextcloud.known("alice")
    # Not taken again: by no sweep, not after another start, not months later.
    for _ in range(2):
        assert await world.sweep() == set()
        world.clock.time += MONTHS
        await world.restart()
    await world.relay()
    assert world.standing() == {f"files/{path}": content for path, content in files.items()}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_client_that_uploads_it_again_and_again_does_not_take_it_away(make_world: MakeWorld, kind: str) -> None:
    world = await a_world(make_world, kind, **OFF)
    path = f"{DEEP}/IMG_1.jpg"
    [photo] = await relayed(world, {path: shot(1)})
    await world.restore.photo(photo.id)
    for _ in range(5):
        world.put("alice", path, shot(1))
        os.utime(world.path("alice", path), (MTIME + 5, MTIME + 5))
        await world.sweep()
        await world.relay()
        world.clock.time += MONTHS
    assert world.standing() == {f"files/{path}": shot(1)}
    assert {one.code for one in world.ledger.photos.by_state(State.REFUSED)} <= {"photo.put_back"}
    # Other bytes under that name are another photo.
    world.put("alice", path, shot(2))
    await world.sweep()
    async with world.running():
        await world.later(61)
        await world.until(lambda: world.ledger.photos.counts()["archived"] + world.ledger.photos.counts()["done"] > 0)
        await world.later(61)
        await world.until(lambda: world.standing() == {})
    assert shot(2) in world.archived().values()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["by PhotoPrism", "by hand"])
async def test_the_archive_has_moved_it_meanwhile(make_world: MakeWorld, kind: str, how: str) -> None:
    world = await a_world(make_world, kind, **OFF)
    path = f"{DEEP}/IMG_1.jpg"
    [photo] = await relayed(world, {path: shot(1)})
    there = world.archive_root / photo.archived_as
    elsewhere = world.archive_root / "sorted" / "by somebody" / "Übung.jpg"
    elsewhere.parent.mkdir(parents=True)
    there.rename(elsewhere)
    there.write_bytes(shot(1)[:-1] + b"x")  # what took its name there is another photo
    if world.pp is not None and how == "by PhotoPrism":
        world.pp.library.rows.change((photo.sha1 or b"").hex(), name="sorted/by somebody/Übung.jpg")
    elif kind == "not mounted":
        # Nobody knows where it is, and what is offered instead is not taken for it.
        with pytest.raises(RelayError) as caught:
            await world.restore.photo(photo.id)
        assert caught.value.code == "archive.differs"
        assert world.standing() == {}
        assert (world.photo(photo).state, world.photo(photo).hidden) == (State.DONE, "")
        assert world.pp is not None
        world.pp.become_well()
    assert await world.restore.photo(photo.id) == path
    assert world.standing() == {f"files/{path}": shot(1)}
    assert elsewhere.read_bytes() == shot(1)


@pytest.mark.parametrize("what", ["another photo", "a folder", "a link", "a pipe"])
async def test_nothing_is_ever_overwritten(make_world: MakeWorld, what: str) -> None:
    world = await a_world(make_world, "folder", **OFF)
    path = f"{DEEP}/IMG_1.jpg"
    [photo] = await relayed(world, {path: shot(1)})
    place, outside = world.path("alice", path), world.root / "outside"
    if what == "another photo":
        place.write_bytes(shot(2))
    elif what == "a folder":
        place.mkdir()
    elif what == "a link":
        place.symlink_to(outside)
    else:
        os.mkfifo(place)
    before = place.lstat()
    assert await world.restore.photo(photo.id) == f"{DEEP}/IMG_1 (2).jpg"
    assert place.lstat() == before
    assert world.path("alice", f"{DEEP}/IMG_1 (2).jpg").read_bytes() == shot(1)
    assert not outside.exists()
    assert ("alice", f"{DEEP}/IMG_1 (2).jpg") not in await world.sweep()


@pytest.mark.parametrize("gone", ["the home", "the marker", "a folder that is a file now"])
async def test_where_there_is_no_place_for_it_nothing_is_made(make_world: MakeWorld, gone: str) -> None:
    """A user who was deleted gets no home from us, and a mount that is away no files below it."""
    world = await a_world(make_world, "folder", **OFF)
    [photo] = await relayed(world, {f"{DEEP}/IMG_1.jpg": shot(1)})
    if gone == "the home":
        shutil.rmtree(world.data / "alice")
    elif gone == "the marker":
        (world.data / ".ncdata").unlink()
    else:
        shutil.rmtree(world.path("alice", f"{FOLDER}/2026"))
        world.path("alice", f"{FOLDER}/2026").write_bytes(b"a file")
    before = sorted(world.data.rglob("*"))
    with pytest.raises(RelayError):
        await world.restore.photo(photo.id)
    assert sorted(world.data.rglob("*")) == before
    assert (world.photo(photo).state, world.photo(photo).hidden) == (State.DONE, "")
    assert list(world.archived().values()) == [shot(1)]


async def test_two_that_had_one_name_both_come_back(make_world: MakeWorld) -> None:
    """Cameras count to 9999 and begin again; both stand there afterwards, neither is taken again."""
    world = await a_world(make_world, "photoprism", **OFF)
    path = f"{DEEP}/DSC_0001.jpg"
    [first] = await relayed(world, {path: shot(1)})
    [second] = await relayed(world, {path: shot(2)})
    assert await world.restore.photo(first.id) == path
    assert await world.restore.photo(second.id) == f"{DEEP}/DSC_0001 (2).jpg"
    for _ in range(2):
        await world.sweep()
        await world.relay()
        assert sorted(world.standing().values()) == sorted([shot(1), shot(2)])
        await world.restart()
    assert {one.code for one in world.ledger.photos.by_state(State.REFUSED)} <= {"photo.put_back"}
    assert await world.sweep() == set()
    assert datetime.fromtimestamp(world.path("alice", path).stat().st_mtime, UTC).timestamp() == MTIME


async def test_asked_for_again_it_brings_no_second_copy_under_another_number(make_world: MakeWorld) -> None:
    world = await a_world(make_world, "folder", **OFF)
    path, second = f"{DEEP}/IMG_1.jpg", f"{DEEP}/IMG_1 (2).jpg"
    [photo] = await relayed(world, {path: shot(1)})
    world.put("alice", path, shot(2))
    for _ in range(3):
        assert await world.restore.photo(photo.id) == second
        await world.restart()
    assert world.standing() == {f"files/{path}": shot(2), f"files/{second}": shot(1)}
    # One that its owner has thrown away since comes back; a file of the owner's own under such a name is none.
    world.put("alice", second, shot(3))
    assert await world.restore.photo(photo.id) == f"{DEEP}/IMG_1 (3).jpg"
    assert sorted(world.standing().values()) == sorted([shot(1), shot(2), shot(3)])


@pytest.mark.parametrize("how", ["the disk was full", "killed", "killed before there was a byte"])
async def test_put_back_a_second_time_a_half_written_copy_is_not_taken_for_the_photo(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The ledger says "restored" of the first time, while the second copy is still being written."""
    world = await a_world(make_world, "folder", **OFF)
    path = f"{DEEP}/IMG_1.jpg"
    [photo] = await relayed(world, {path: shot(1)})
    await world.restore.photo(photo.id)
    world.path("alice", path).unlink()

    def half(fd: int, block: bytes) -> None:
        if how != "killed before there was a byte":
            os.write(fd, block[: len(block) // 2])
        if how != "the disk was full":
            monkeypatch.setattr(world.restore, "_drop", lambda *_: None)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(restore, "_write_all", half)
        with pytest.raises((RelayError, OSError)):
            await world.restore.photo(photo.id)
    if how == "the disk was full":
        assert (world.photo(photo).hidden, world.standing()) == ("", {})
    await world.restart()
    assert (world.photo(photo).hidden, world.standing()) == ("", {})
    assert await world.restore.photo(photo.id) == path
    assert world.standing() == {f"files/{path}": shot(1)}
