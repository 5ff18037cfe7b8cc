"""A plain folder as the archive: the template, collisions, adoption, late partners, and a disk that is full."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from blake3 import blake3

from daemon.demo.samples import live_pair
from daemon.files import placing
from daemon.files.hashing import hash_only_blake3
from daemon.fingerprint import Fingerprint
from daemon.ledger.model import State
from daemon.relay import originals
from daemon.relay.folder_place import FolderPlace
from tests.relay.world import FOLDER, MTIME, TAKEN, World, never_linked, shot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">a recipe</x:xmpmeta>'
STEM = "2026/11/20261105_100000_IMG_1"


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world("folder", **OFF)


async def test_the_template_names_it_and_the_ledger_says_where_the_date_is_from(world: World) -> None:
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.JPG": shot(1)})
    await world.relay()
    done = world.photo(photo)
    assert done.archived_as == f"{STEM}.jpg"
    assert done.taken == "2026-11-05T10:00:00"
    assert done.taken_from
    status = (world.archive_root / done.archived_as).stat()
    assert (status.st_mtime, status.st_mode & 0o7777, status.st_nlink) == (MTIME, 0o664, 1)
    for folder in ("2026", "2026/11"):
        assert (world.archive_root / folder).stat().st_mode & 0o7777 == 0o2775


async def test_nothing_is_overwritten_and_both_arrive(world: World) -> None:
    taken = world.archive_root / f"{STEM}.jpg"
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"somebody's own")
    [one] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    [other] = await world.deliver("bob", {f"{FOLDER}/IMG_1.jpg": shot(4)})
    await world.relay()
    assert world.archived() == {
        f"{STEM}.jpg": b"somebody's own",
        f"{STEM} (2).jpg": shot(1),
        f"{STEM} (3).jpg": shot(4),
    }
    assert world.photo(one).archived_as == f"{STEM} (2).jpg"
    assert world.photo(other).archived_as == f"{STEM} (3).jpg"


async def test_a_group_keeps_a_common_stem_where_one_of_its_names_is_taken(world: World) -> None:
    taken = world.archive_root / f"{STEM}.xmp"
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"somebody's own")
    await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1), f"{FOLDER}/IMG_1.xmp": XMP})
    await world.relay()
    assert world.archived() == {
        f"{STEM}.xmp": b"somebody's own", f"{STEM} (2).jpg": shot(1), f"{STEM} (2).xmp": XMP,
    }  # fmt: skip


async def test_the_same_content_that_stands_there_already_is_adopted(world: World) -> None:
    there = world.archive_root / f"{STEM}.jpg"
    there.parent.mkdir(parents=True)
    there.write_bytes(shot(1))
    inode = there.stat().st_ino
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    await world.relay()
    assert world.photo(photo).state is State.DONE
    assert world.archived() == {f"{STEM}.jpg": shot(1)}
    assert there.stat().st_ino == inode


async def test_duplicates_are_told_as_such_and_their_originals_go_too(world: World) -> None:
    [one] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    [twin] = await world.deliver("bob", {f"{FOLDER}/other.jpg": shot(1)})
    await world.relay()
    [late] = await world.deliver("bob", {f"{FOLDER}/late.jpg": shot(1)})
    await world.relay()
    assert [world.photo(photo).duplicate_of for photo in (one, twin, late)] == [None, one.id, one.id]
    assert world.archived() == {f"{STEM}.jpg": shot(1)}
    assert world.standing("alice") == world.standing("bob") == {}


async def test_a_duplicate_of_what_was_deleted_from_the_archive_is_brought_again(world: World) -> None:
    await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    await world.relay()
    (world.archive_root / f"{STEM}.jpg").unlink()
    [again] = await world.deliver("bob", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    await world.relay()
    assert world.photo(again).duplicate_of is None
    assert world.archived() == {f"{STEM}.jpg": shot(1)}


async def test_a_partner_that_came_too_late_is_put_beside_its_photo(world: World) -> None:
    still, film = live_pair(TAKEN, 3)
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.HEIC": still})
    await world.relay()
    await world.later(3 * 24 * 3600)
    [late] = await world.deliver("alice", {f"{FOLDER}/IMG_1.MOV": film})
    await world.relay()
    first, second = world.photo(photo), world.photo(late)
    assert second.state is State.DONE, world.said()
    assert first.archived_as.rpartition(".")[0] == second.archived_as.rpartition(".")[0]
    assert sorted(world.archived().values()) == sorted([still, film])


async def test_a_recipe_that_came_too_late_within_a_day_is_put_beside_its_photo(world: World) -> None:
    await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    await world.relay()
    await world.later(3600)
    [late] = await world.deliver("alice", {f"{FOLDER}/IMG_1.xmp": XMP})
    await world.relay()
    assert world.photo(late).state is State.DONE, world.said()
    assert world.archived() == {f"{STEM}.jpg": shot(1), f"{STEM}.xmp": XMP}


async def test_a_recipe_after_a_day_belongs_to_nobody_and_stays(world: World) -> None:
    await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    await world.relay()
    await world.later(25 * 3600)
    [late] = await world.deliver("alice", {f"{FOLDER}/IMG_1.xmp": XMP})
    await world.relay()
    assert world.photo(late).state is State.FOUND
    assert world.standing() == {f"files/{FOLDER}/IMG_1.xmp": XMP}


async def test_a_full_disk_is_a_sentence_and_everything_stays(world: World) -> None:
    world.change(**OFF, relay={"min_free": "500TiB"})
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    await world.relay()
    waiting = world.photo(photo)
    assert (waiting.state, waiting.code) == (State.WAITING, "disk.low")
    assert world.archived() == {}
    world.change(**OFF)
    await world.later(301)
    await world.relay()
    assert world.photo(photo).state is State.DONE


async def test_a_disk_that_fills_up_while_copying_leaves_nothing_half_made(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    never_linked(monkeypatch)
    calls, copy = 0, placing._copy

    def full(source: int, target: int, size: int, each_block: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            os.write(target, b"half")
            raise OSError(28, "No space left on device")
        return copy(source, target, size, each_block)

    monkeypatch.setattr(placing, "_copy", full)
    photos = await world.deliver("alice", {f"{FOLDER}/IMG_{n}.jpg": shot(n) for n in range(3)})
    await world.relay()
    assert {world.photo(photo).code for photo in photos} == {"disk.full"}
    assert not [path for path in world.archived() if ".photon" in path]
    assert len(world.standing()) == 3
    await world.later(301)
    await world.relay()
    assert {world.photo(photo).state for photo in photos} == {State.DONE}
    assert sorted(world.archived().values()) == sorted(shot(n) for n in range(3))


@pytest.mark.parametrize("point", ["copied", "published"])
async def test_a_killed_run_leaves_nothing_over_and_nothing_twice(
    world: World, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    class KilledError(BaseException):
        pass

    photos = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1), f"{FOLDER}/IMG_1.xmp": XMP})

    def killed(*_: Any) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        if point == "copied":
            patch.setattr(FolderPlace, "_publish", killed)
        else:
            patch.setattr("daemon.relay.filling.moved", killed)
        batch = world.pipeline.forming.open()
        assert batch is not None
        with pytest.raises(BaseException) as caught:  # noqa: PT011 - out of a thread
            await world.pipeline._batch(batch)
        assert caught.type is KilledError
    await world.restart()
    if point == "copied":
        # Its owner takes one away meanwhile: what was copied of it must not stay in the archive.
        world.path("alice", f"{FOLDER}/IMG_1.xmp").unlink()
    await world.relay()
    assert world.photo(photos[0]).state is State.DONE, world.said()
    expected = {f"{STEM}.jpg": shot(1)} | ({f"{STEM}.xmp": XMP} if point == "published" else {})
    assert world.archived() == expected


async def test_an_archive_that_is_not_mounted_is_waited_for_and_not_made(world: World) -> None:
    world.archive_root.rmdir()
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    await world.relay()
    assert world.photo(photo).code == "archive.no_folder"
    assert not world.archive_root.exists()
    world.archive_root.mkdir()
    await world.later(301)
    await world.relay()
    assert world.photo(photo).state is State.DONE


async def test_a_link_in_the_archive_is_not_followed(world: World) -> None:
    outside = world.root / "outside"
    outside.mkdir()
    (world.archive_root / "2026").symlink_to(outside)
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    await world.relay()
    assert world.photo(photo).state is not State.DONE
    assert list(outside.iterdir()) == []
    assert world.standing() == {f"files/{FOLDER}/IMG_1.jpg": shot(1)}


async def test_a_file_changed_while_it_is_copied_settles_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    never_linked(monkeypatch)
    copy = placing.copy_into
    changed: list[bool] = []

    def change_first(*arguments: Any, **more: Any) -> Any:
        if not changed:
            changed.append(True)
            world.put("alice", f"{FOLDER}/IMG_1.jpg", shot(7))
        return copy(*arguments, **more)

    monkeypatch.setattr("daemon.relay.folder_place.copy_into", change_first)
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    await world.relay()
    assert world.looked_again == [("alice", f"{FOLDER}/IMG_1.jpg")]
    assert list(world.archived().values()) == [shot(7)]
    assert world.photo(photo).state is State.DONE


async def test_a_second_name_that_goes_while_the_archive_is_read_does_not_make_it_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Letting a linked original go moves the archived file's change time: its bytes are as they were."""
    content = shot(1)
    (tmp_path / "a.jpg").write_bytes(content)
    (tmp_path / "second.jpg").hardlink_to(tmp_path / "a.jpg")
    real, reads = hash_only_blake3, 0

    def reading(fd: int, **more: Any) -> str:
        nonlocal reads
        reads += 1
        if reads == 1:
            (tmp_path / "second.jpg").unlink()
        return real(fd, **more)

    monkeypatch.setattr("daemon.relay.originals.hash_only_blake3", reading)
    digest = blake3(content).digest()
    found = originals.same_bytes(str(tmp_path), "a.jpg", len(content), digest)
    assert found == Fingerprint.of((tmp_path / "a.jpg").stat())
    assert reads == 2
