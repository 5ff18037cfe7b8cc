"""What may move, what is refused and why, what is waited for, and what the archive has already."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from daemon.demo.samples import live_pair
from daemon.ledger.model import Photo, State
from tests.relay.world import FOLDER, TAKEN, World, shot

if TYPE_CHECKING:
    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}
PATH = f"{FOLDER}/IMG_1.jpg"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">a recipe</x:xmpmeta>'


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world("folder", **OFF)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "file.empty"),
        (b"HBEGIN:oc_encryption_module:OC_DEFAULT_MODULE:cipher:AES-256-CTR:HEND" + bytes(9000), "file.encrypted"),
        (b"just words " * 100, "media.mismatch"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "media.mismatch"),
    ],
    ids=["empty", "encrypted", "words", "another kind"],
)
async def test_what_may_not_move_stays_with_a_reason(world: World, content: bytes, code: str) -> None:
    [photo] = await world.deliver("alice", {PATH: content})
    with world.bus.listen() as heard:
        await world.relay()
    refused = world.photo(photo)
    assert (refused.state, refused.code) == (State.REFUSED, code)
    assert "IMG_1.jpg of alice" in refused.message
    assert world.standing() == {f"files/{PATH}": content}
    assert world.archived() == {}
    assert [event.data["code"] for event in heard._queue if event.type == "photo.refused"] == [code]
    assert await world.sweep() == set(), "it is not taken up again and again"


@pytest.mark.parametrize("what", ["link", "fifo", "folder", "gone", "link on the way"])
async def test_what_is_no_file_any_more_is_not_followed(world: World, what: str) -> None:
    [photo] = await world.deliver("alice", {PATH: shot(1)})
    path, outside = world.path("alice", PATH), world.root / "outside.jpg"
    outside.write_bytes(shot(1))
    path.unlink()
    if what == "link":
        path.symlink_to(outside)
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "link on the way":
        path.parent.rmdir()
        elsewhere = world.root / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / path.name).write_bytes(shot(1))
        path.parent.symlink_to(elsewhere)
    await world.relay()
    assert world.photo(photo).state is State.REFUSED, world.said()
    assert world.archived() == {}
    assert outside.read_bytes() == shot(1)


async def test_what_changes_while_it_is_read_settles_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    [photo] = await world.deliver("alice", {PATH: shot(1)})
    world.put("alice", PATH, shot(2))
    await world.relay()
    assert world.looked_again == [("alice", PATH)]
    assert world.photo(photo).state is State.DONE
    assert list(world.archived().values()) == [shot(2)]


async def test_a_file_that_may_not_be_read_waits_with_its_group(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def no(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "IMG_1.jpg":
            raise PermissionError(13, "Permission denied")
        return real(path, flags, mode, dir_fd=dir_fd)

    photos = await world.deliver("alice", {PATH: shot(1), f"{FOLDER}/IMG_1.xmp": XMP})
    [other] = await world.deliver("bob", {PATH: shot(2)})
    world.path("bob", PATH).rename(world.path("bob", f"{FOLDER}/x.jpg"))
    [other] = await world.deliver("bob", {f"{FOLDER}/y.jpg": shot(3)})
    monkeypatch.setattr(os, "open", no)
    await world.relay()
    monkeypatch.undo()
    assert {(world.photo(photo).state, world.photo(photo).code) for photo in photos} == {
        (State.WAITING, "disk.permission")
    }
    assert world.photo(other).state is State.DONE
    await world.later(301)
    await world.relay()
    assert {world.photo(photo).state for photo in photos} == {State.DONE}


async def test_a_fault_of_the_program_in_one_file_holds_that_file_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = world.examine._look

    def fail(photo: Photo, **more: Any) -> Any:
        if photo.name == "odd.jpg":
            raise IndexError("a parser met what it did not expect")
        return look(photo, **more)

    monkeypatch.setattr(world.examine, "_look", fail)
    [odd] = await world.deliver("alice", {f"{FOLDER}/odd.jpg": shot(1)})
    [good] = await world.deliver("alice", {f"{FOLDER}/good.jpg": shot(2)})
    async with world.running():
        await world.until(lambda: world.photo(good).state is State.DONE)
    held = world.photo(odd)
    assert (held.state, held.code) == (State.HELD, "task.crashed")
    assert world.path("alice", f"{FOLDER}/odd.jpg").exists()


async def test_a_side_file_whose_photo_is_refused_stays(world: World) -> None:
    photos = await world.deliver("alice", {PATH: b"words", f"{FOLDER}/IMG_1.xmp": XMP})
    await world.relay()
    assert [world.photo(photo).code for photo in photos] == ["media.mismatch", "media.no_main"]
    assert len(world.standing()) == 2


async def test_both_halves_of_a_live_photo_know_one_another(world: World) -> None:
    still, film = live_pair(TAKEN, 3)
    photos = await world.deliver("alice", {f"{FOLDER}/IMG_1.HEIC": still, f"{FOLDER}/IMG_1.MOV": film})
    await world.relay()
    one, other = (world.photo(photo) for photo in photos)
    assert one.content_id == other.content_id != ""
    assert one.group_id == other.group_id
    assert one.archived_as.rpartition(".")[0] == other.archived_as.rpartition(".")[0]


@pytest.mark.parametrize("archive", ["photoprism", "folder"])
async def test_twins_in_one_batch_arrive_once(make_world: MakeWorld, archive: str) -> None:
    world = await make_world(archive, **OFF)
    photos = [
        (await world.deliver(user, {f"{FOLDER}/{name}.jpg": shot(1)}))[0]
        for user, name in (("alice", "a"), ("bob", "b"), ("alice", "c"))
    ]
    await world.relay()
    assert {world.photo(photo).state for photo in photos} == {State.DONE}, world.said()
    assert [world.photo(photo).duplicate_of for photo in photos] == [None, photos[0].id, photos[0].id]
    assert list(world.archived().values()) == [shot(1)]
    assert world.standing("alice") == world.standing("bob") == {}


async def test_what_photoprism_had_before_is_a_duplicate_and_not_brought(make_world: MakeWorld) -> None:
    world = await make_world("photoprism", **OFF)
    assert world.pp is not None
    there = world.archive_root / "2020" / "01" / "old.jpg"
    there.parent.mkdir(parents=True)
    there.write_bytes(shot(1))
    await world.client.index("2020/01", timeout=10)
    [photo] = await world.deliver("alice", {PATH: shot(1)})
    await world.relay()
    done = world.photo(photo)
    assert (done.state, done.duplicate_of, done.archived_as) == (State.DONE, 0, "2020/01/old.jpg")
    assert world.pp.imports == []
    assert world.standing() == {}


async def test_a_preview_says_what_would_be_done(world: World) -> None:
    [photo] = await world.deliver("alice", {PATH: shot(1)})
    assert await world.examine.preview(photo) == "would be relayed (jpg); then: delete"
    world.put("alice", PATH, b"")
    [empty] = await world.deliver("alice", {PATH: b""})
    assert "[file.empty]" in await world.examine.preview(empty)
