"""A data directory copied to another disk, or put back from a backup: the files are the same, their inodes are not."""

from __future__ import annotations

import logging
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from daemon.homekeeper import Homekeeper
from daemon.ledger.model import State
from tests.relay.world import FOLDER, World, shot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HOME = frozenset({"alice", "bob"})


@asynccontextmanager
async def a_world(root: Path, **users: Any) -> AsyncIterator[World]:
    world = World(root, prism=None, settings={"nextcloud": {"occ": {"via": "off"}}, "users": users})
    try:
        yield world
    finally:
        await world.close()


async def seen(world: World) -> None:
    await Homekeeper(world.ledger, world.current, world.issues, world.bus, world.clock).seen(HOME)


def move(world: World) -> None:
    """Copy the data directory as rsync -a does, under the same name: no inode is what it was."""
    old = world.data.with_name("old")
    world.data.rename(old)
    shutil.copytree(old, world.data, symlinks=True)
    assert old.stat().st_ino != world.data.stat().st_ino


async def test_what_stood_there_before_is_not_new_on_another_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_world(tmp_path) as world:
        for number in range(3):
            world.put("alice", f"{FOLDER}/old{number}.jpg", shot(number))
        await seen(world)
        move(world)
        with caplog.at_level(logging.WARNING):
            await seen(world)
        assert "alice has a home on other directories than before" in caplog.text
        assert "3 files, 3 known again" in caplog.text
        world.put("alice", f"{FOLDER}/new.jpg", shot(4))
        assert await world.sweep() == {("alice", f"{FOLDER}/new.jpg")}


async def test_without_knowing_them_again_all_would_be_new(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        world.put("alice", f"{FOLDER}/old.jpg", shot(1))
        await seen(world)
        move(world)
        assert await world.sweep() == {("alice", f"{FOLDER}/old.jpg")}


async def test_another_file_under_an_old_name_is_new(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        for name in ("left", "swapped"):
            world.put("alice", f"{FOLDER}/{name}.jpg", shot(1))
        await seen(world)
        world.path("alice", f"{FOLDER}/left.jpg").unlink()
        await world.intake.gone([("alice", f"{FOLDER}/left.jpg")])
        move(world)
        world.put("alice", f"{FOLDER}/left.jpg", shot(1))
        world.put("alice", f"{FOLDER}/swapped.jpg", shot(2, 200_000))
        await seen(world)
        assert await world.sweep() == {("alice", f"{FOLDER}/left.jpg"), ("alice", f"{FOLDER}/swapped.jpg")}


async def test_what_was_relayed_and_kept_is_not_taken_under_a_new_inode(tmp_path: Path) -> None:
    async with a_world(tmp_path, after="keep") as world:
        await seen(world)
        await world.deliver("alice", {f"{FOLDER}/a.jpg": shot(1), f"{FOLDER}/broken.jpg": b"no picture at all"})
        await world.relay()
        before = {path: world.ledger.photos.latest("alice", f"{FOLDER}/{path}") for path in ("a.jpg", "broken.jpg")}
        assert [photo and photo.state for photo in before.values()] == [State.DONE, State.REFUSED]
        move(world)
        await seen(world)
        world.change(nextcloud={"occ": {"via": "off"}}, users={"after": "delete"})
        assert await world.sweep() == set()
        await world.relay()
        assert len(world.archived()) == 1
        assert set(world.standing()) == {f"files/{FOLDER}/a.jpg", f"files/{FOLDER}/broken.jpg"}


async def test_what_was_under_way_is_examined_anew(tmp_path: Path) -> None:
    async with a_world(tmp_path) as world:
        await seen(world)
        (photo,) = await world.deliver("alice", {f"{FOLDER}/a.jpg": shot(1)})
        move(world)
        await seen(world)
        await world.sweep()
        assert world.photo(photo).fingerprint == world.found("alice", f"{FOLDER}/a.jpg").fingerprint
        await world.relay()
        assert list(world.archived().values()) == [shot(1)]
        assert world.standing() == {}


@pytest.mark.parametrize("point", range(3))
async def test_cut_short_it_is_done_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: int) -> None:
    async with a_world(tmp_path) as world:
        for number in range(3):
            world.put("alice", f"{FOLDER}/old{number}.jpg", shot(number))
        await seen(world)
        move(world)
        monkeypatch.setattr("daemon.homekeeper._CHUNK", 1)
        real, calls = world.ledger.homes.came_over, []

        def cut(*arguments: Any) -> int:
            calls.append(arguments)
            if len(calls) > point:
                raise KeyboardInterrupt
            return real(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(world.ledger.homes, "came_over", cut)
            with pytest.raises(KeyboardInterrupt):
                await seen(world)
        await seen(world)
        assert await world.sweep() == set()
