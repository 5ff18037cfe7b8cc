"""Originals come back, wherever it is interrupted, and nothing is taken again or overwritten."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from daemon.errors import NeedsPerson, Transient
from daemon.files.publishing import publish
from daemon.homekeeper import Homekeeper
from daemon.ledger.model import Photo, State
from daemon.relay import restore as restore_step
from daemon.relay.restore import Restore
from tests.relay.world import FOLDER, MTIME, World, shot
from tests.torture.disks import Disk

if TYPE_CHECKING:
    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}
PATH = f"{FOLDER}/IMG_1.jpg"


class KilledError(BaseException):
    pass


@pytest.fixture(params=["folder", "photoprism", "not mounted"])
async def world(make_world: MakeWorld, request: pytest.FixtureRequest) -> World:
    if request.param == "not mounted":
        return await make_world("photoprism", **OFF, photoprism={"originals": ""})
    return await make_world(request.param, **OFF)


@pytest.fixture
async def plain(make_world: MakeWorld) -> World:
    return await make_world("folder", **OFF)


async def relayed(world: World, path: str = PATH, content: bytes | None = None) -> Photo:
    [photo] = await world.deliver("alice", {path: content or shot(1)})
    async with world.running():
        await world.until(lambda: world.photo(photo).state in {State.ARCHIVED, State.DONE})
        await world.later(61)
        await world.until(lambda: world.photo(photo).state is State.DONE)
    return world.photo(photo)


async def test_an_original_comes_back_where_it_was_with_its_time(world: World) -> None:
    photo = await relayed(world)
    assert await world.restore.photo(photo.id, "somebody") == PATH
    assert world.standing() == {f"files/{PATH}": shot(1)}
    assert world.path("alice", PATH).stat().st_mtime == MTIME
    assert list(world.archived().values()) == [shot(1)], "nothing is ever deleted from the archive"
    assert world.photo(photo).state is State.RESTORED
    line = world.ledger.audit.lines()[0]
    assert (line["deed"], line["who"], line["path"]) == ("restored", "somebody", PATH)
    assert await world.sweep() == set()
    await world.restart()
    assert await world.sweep() == set()


async def test_its_folder_is_made_again(plain: World) -> None:
    photo = await relayed(plain, f"{FOLDER}/2026/11/x.jpg")
    for folder in (f"{FOLDER}/2026/11", f"{FOLDER}/2026"):
        plain.path("alice", folder).rmdir()
    await plain.restore.photo(photo.id)
    assert plain.standing() == {f"files/{FOLDER}/2026/11/x.jpg": shot(1)}


async def test_a_taken_place_is_left_alone_and_a_numbered_one_used(plain: World) -> None:
    photo = await relayed(plain)
    plain.put("alice", PATH, shot(2))
    assert await plain.restore.photo(photo.id) == f"{FOLDER}/IMG_1 (2).jpg"
    assert plain.standing() == {f"files/{PATH}": shot(2), f"files/{FOLDER}/IMG_1 (2).jpg": shot(1)}
    assert await plain.sweep() == {("alice", PATH)}, "the other one is new, the one put back is known"
    await plain.relay()
    assert plain.standing() == {f"files/{FOLDER}/IMG_1 (2).jpg": shot(1)}


async def test_an_original_that_was_kept_stands_there_already(make_world: MakeWorld) -> None:
    world = await make_world("folder", **OFF, users={"after": "keep"})
    [photo] = await world.deliver("alice", {PATH: shot(1)})
    await world.relay()
    inode = world.path("alice", PATH).stat().st_ino
    assert await world.restore.photo(photo.id) == PATH
    assert world.path("alice", PATH).stat().st_ino == inode
    assert len(world.standing()) == 1


async def test_what_somebody_moved_within_the_archive_is_found_by_its_bytes(plain: World) -> None:
    photo = await relayed(plain)
    elsewhere = plain.archive_root / "best of" / "moved.jpg"
    elsewhere.parent.mkdir()
    (plain.archive_root / photo.archived_as).rename(elsewhere)
    (plain.archive_root / photo.archived_as).write_bytes(b"something else")
    await plain.restore.photo(photo.id)
    assert plain.standing() == {f"files/{PATH}": shot(1)}
    assert elsewhere.exists()


async def test_what_the_archive_has_lost_needs_a_person(plain: World) -> None:
    photo = await relayed(plain)
    (plain.archive_root / photo.archived_as).unlink()
    with pytest.raises(NeedsPerson) as caught:
        await plain.restore.photo(photo.id)
    assert caught.value.code == "archive.absent"
    assert plain.standing() == {}
    assert (plain.photo(photo).state, plain.photo(photo).hidden) == (State.DONE, "")


async def test_unknown_photos_and_such_as_were_never_relayed(plain: World) -> None:
    with pytest.raises(NeedsPerson) as caught:
        await plain.restore.photo(77)
    assert caught.value.code == "restore.unknown"
    [photo] = await plain.deliver("alice", {PATH: shot(1)})
    with pytest.raises(NeedsPerson) as caught:
        await plain.restore.photo(photo.id)
    assert caught.value.code == "restore.not_relayed"


async def test_a_whole_batch_comes_back_and_what_could_not_is_named(plain: World) -> None:
    photos = await plain.deliver("alice", {f"{FOLDER}/IMG_{n}.jpg": shot(n) for n in range(3)})
    await plain.relay()
    lost = plain.photo(photos[1])
    (plain.archive_root / lost.archived_as).unlink()
    results = await plain.restore.batch(lost.batch_id or 0)
    assert [result if isinstance(result, str) else result.code for _, result in results] == [
        f"{FOLDER}/IMG_0.jpg", "archive.absent", f"{FOLDER}/IMG_2.jpg",
    ]  # fmt: skip
    assert len(plain.standing()) == 2


@pytest.mark.parametrize("point", ["_create", "_write", "_publish", "_give_name", "_ended"])
async def test_a_restore_that_is_killed_ends_as_an_undisturbed_one_or_as_if_it_had_not_begun(
    plain: World, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    photo = await relayed(plain)
    real = getattr(plain.restore, point)

    async def killed_later(*arguments: Any) -> None:
        await real(*arguments)
        raise KilledError

    def killed(*arguments: Any) -> None:
        if point == "_create":
            real(*arguments)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(plain.restore, point, killed_later if point == "_write" else killed)
        # A killed process sweeps nothing up.
        patch.setattr(plain.restore, "_drop", lambda *_: None)
        with pytest.raises(KilledError):
            await plain.restore.photo(photo.id)
    await plain.restart()
    again = plain.photo(photo)
    assert again.hidden == ""
    standing = plain.standing()
    if again.state is State.RESTORED:
        assert standing == {f"files/{PATH}": shot(1)}
        assert await plain.sweep() == set()
    else:
        assert again.state is State.DONE
        assert standing == {}
    assert await plain.restore.photo(photo.id) == PATH
    assert plain.standing() == {f"files/{PATH}": shot(1)}


async def test_a_copy_is_told_of_when_a_power_cut_cannot_take_it_any_more(
    plain: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes and its private name: what the ledger tells as restored is not brought once more."""
    photo = await relayed(plain)
    done: list[str] = []
    fsync, advance = os.fsync, plain.ledger.photos.advance

    def synced(fd: int) -> None:
        done.append("the copy" if stat.S_ISREG(os.fstat(fd).st_mode) else str(Path(f"/proc/self/fd/{fd}").readlink()))
        fsync(fd)

    def advanced(*arguments: Any, **more: Any) -> Any:
        done.append("told")
        return advance(*arguments, **more)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(plain.ledger.photos, "advance", advanced)
    assert await plain.restore.photo(photo.id) == PATH
    folder = str(plain.path("alice", FOLDER))
    before = done[: done.index("told")]
    assert "the copy" in before
    assert folder in before[before.index("the copy") :]


async def test_a_link_in_the_way_is_not_followed(plain: World) -> None:
    photo = await relayed(plain)
    outside = plain.root / "outside"
    outside.mkdir()
    folder = plain.path("alice", FOLDER)
    folder.rmdir()
    folder.symlink_to(outside)
    with pytest.raises(Exception, match="link"):
        await plain.restore.photo(photo.id)
    assert list(outside.iterdir()) == []


async def test_a_copy_that_could_not_get_its_name_is_not_left_hidden_by_the_next_try(
    make_world: MakeWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world("folder", nextcloud={"occ": {"via": "off"}})
    disk = Disk("tmpfs", world.path("alice", FOLDER), tmp_path)
    try:
        [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
        await world.relay()

        def renamed(*arguments: Any) -> None:
            disk.remount("ro")
            publish(*arguments)

        monkeypatch.setattr(restore_step, "publish", renamed)
        with pytest.raises(Transient) as caught:
            await world.restore.photo(photo.id)
        assert caught.value.code == "disk.read_only"
        monkeypatch.undo()
        disk.remount("rw")
        await world.restore.photo(photo.id)
        assert world.standing() == {f"files/{FOLDER}/IMG_1.jpg": shot(1)}
        assert world.photo(photo).hidden == ""
    finally:
        disk.close()


async def test_half_a_copy_is_never_shown_as_the_photo(plain: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while it was written, and the ledger lost: then hidden originals get their names back."""
    photo = await relayed(plain)

    def killed(fd: int, block: bytes) -> None:
        os.write(fd, block[:100])
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(restore_step, "_write_all", killed)
        patch.setattr(Restore, "_drop", lambda *_: None)
        with pytest.raises(BaseException) as caught:  # noqa: PT011 - out of a thread
            await plain.restore.photo(photo.id)
    assert caught.type is KilledError
    assert list(plain.standing().values()) == [shot(1)[:100]]
    await plain.close()
    shutil.rmtree(plain.root / "state")
    plain.build()
    keeper = Homekeeper(plain.ledger, plain.current, plain.issues, plain.bus, plain.clock)
    await keeper.seen(frozenset({"alice", "bob"}))
    assert not plain.path("alice", PATH).exists()
