"""What counts as proof: other bytes than the original's own file, on a disk that really has them."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from daemon.ledger.model import State
from daemon.relay import originals
from tests.relay.world import FOLDER, shot

if TYPE_CHECKING:
    import pytest

    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}


async def test_an_original_is_no_proof_of_itself(make_world: MakeWorld, tmp_path: Any) -> None:
    """The archive's folder is shown once more as a user's watched folder (a bind mount, a folder set twice)."""
    inside = tmp_path / "data" / "alice" / "files" / FOLDER
    world = await make_world("folder", **OFF)
    world.change(**OFF, archive={"folder": {"path": str(inside), "template": "{name}{ext}"}})
    [photo] = await world.deliver("alice", {f"{FOLDER}/img_1.jpg": shot(1)})
    async with world.running():
        await world.until(lambda: world.photo(photo).state in {State.HELD, State.DONE, State.REFUSED})
    assert shot(1) in world.standing().values(), world.said()
    assert world.photo(photo).state is State.HELD
    assert world.photo(photo).code == "archive.itself"


async def test_a_disk_that_fails_to_write_back_proves_nothing(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world("photoprism", **OFF)
    sync = os.fsync

    def failing(fd: int) -> None:
        path = str(Path(f"/proc/self/fd/{fd}").readlink())
        if path.startswith(str(world.archive_root)) and path.endswith(".jpg"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        sync(fd)

    monkeypatch.setattr(os, "fsync", failing)
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    async with world.running():
        await world.until(lambda: world.photo(photo).state in {State.WAITING, State.HELD, State.DONE})
    assert world.path("alice", f"{FOLDER}/IMG_1.jpg").exists(), world.said()
    assert world.photo(photo).code == "disk.error"


async def test_new_folders_on_the_way_to_an_archived_file_are_synced_too(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PhotoPrism makes the folders of a year and a month without syncing the ones above."""
    (tmp_path / "2026" / "11").mkdir(parents=True)
    (tmp_path / "2026" / "11" / "a.jpg").write_bytes(b"x")
    synced = []
    sync = os.fsync

    def noted(fd: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
        sync(fd)

    monkeypatch.setattr(os, "fsync", noted)
    assert originals.same_bytes(str(tmp_path), "2026/11/a.jpg", 1, blake3(b"x").digest()) is not None
    for folder in ("", "/2026", "/2026/11", "/2026/11/a.jpg"):
        assert f"{tmp_path}{folder}" in synced


async def test_an_archived_file_that_was_written_to_is_not_what_was_proved(make_world: MakeWorld) -> None:
    world = await make_world("folder", **OFF, users={"after": "keep"})
    photos = await world.deliver("alice", {f"{FOLDER}/IMG_{number}.jpg": shot(number) for number in range(3)})
    await world.relay()
    here = [world.photo(photo) for photo in photos]
    changed, gone, same = here
    (world.archive_root / changed.archived_as).write_bytes(shot(1))
    (world.archive_root / gone.archived_as).unlink()
    assert originals.untouched(str(world.archive_root), here) == {same.id}


async def test_an_archive_that_is_suddenly_empty_is_not_written_to(make_world: MakeWorld) -> None:
    """Its disk is not mounted: what is put into the bare mount point would vanish below the disk."""
    world = await make_world("folder", **OFF)
    [first] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    await world.relay()
    assert world.photo(first).state is State.DONE
    away = world.root / "unplugged"
    world.archive_root.rename(away)
    world.archive_root.mkdir()
    [second] = await world.deliver("alice", {f"{FOLDER}/IMG_2.jpg": shot(2)})
    async with world.running():
        await world.until(lambda: world.photo(second).state in {State.WAITING, State.DONE})
        assert world.path("alice", f"{FOLDER}/IMG_2.jpg").exists(), world.said()
        assert world.photo(second).code == "archive.empty"
        assert not any(world.archive_root.iterdir())
        world.archive_root.rmdir()
        away.rename(world.archive_root)
        await world.later(301)
        await world.until(lambda: world.photo(second).state is State.DONE)
    assert sorted(world.archived().values()) == sorted([shot(1), shot(2)])


async def test_an_archive_inside_a_watched_folder_loses_nothing(make_world: MakeWorld, tmp_path: Any) -> None:
    inside = tmp_path / "data" / "alice" / "files" / FOLDER / "Album"
    inside.mkdir(parents=True)
    world = await make_world("folder", **OFF)
    world.change(**OFF, archive={"folder": {"path": str(inside)}})
    await world.deliver("alice", {f"{FOLDER}/img_1.jpg": shot(1)})
    await world.relay()
    await world.sweep()
    await world.relay()
    assert shot(1) in world.standing().values(), world.said()
