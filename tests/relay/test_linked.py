"""On one file system the folder archive's copy is the original itself under a second name, until that one goes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from daemon.errors import NeedsPerson, Transient
from daemon.files import releasing
from daemon.ledger.model import Photo, State
from tests.relay.world import FOLDER, MTIME, World, shot

if TYPE_CHECKING:
    from pathlib import Path

    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}
PATH = f"{FOLDER}/IMG_1.jpg"
OLD, NEW = shot(1), shot(2)
EDITED = OLD[:-12] + b"0123456789" + OLD[-2:]


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    """A folder as the archive on the users' file system, no occ, after: delete."""
    return await make_world("folder", **OFF)


async def proved(world: World, content: bytes = OLD, path: str = PATH) -> Photo:
    """Bring a photo as far as the proof: only its release is still to come."""
    [photo] = await world.deliver("alice", {path: content})
    while await world.pipeline._round():
        pass
    photo = world.photo(photo)
    assert photo.state is State.ARCHIVED, world.said()
    return photo


def archived(world: World, photo: Photo) -> Path:
    return world.archive_root / photo.archived_as


def is_linked(world: World, photo: Photo) -> bool:
    return archived(world, photo).samefile(world.path("alice", photo.path))


async def test_no_byte_is_written_and_the_archive_has_the_very_file(world: World) -> None:
    inode = world.put("alice", PATH, OLD).fingerprint.inode
    photo = await proved(world)
    assert is_linked(world, photo)
    assert archived(world, photo).stat().st_mode & 0o7777 == 0o664, "what a copy would have"
    await world.relay()
    assert world.photo(photo).state is State.DONE
    assert (archived(world, photo).stat().st_ino, archived(world, photo).stat().st_nlink) == (inode, 1)
    assert archived(world, photo).read_bytes() == OLD
    assert world.standing() == {}
    known = world.photo(photo).archive_fingerprint
    assert known is not None
    assert known.ctime_ns == archived(world, photo).stat().st_ctime_ns, "the ledger knows it as it is now"


@pytest.mark.parametrize("one_by_one", [False, True])
async def test_a_thousand_go_like_one(world: World, monkeypatch: pytest.MonkeyPatch, one_by_one: bool) -> None:
    if one_by_one:
        world.one_by_one(monkeypatch)
    photos = await world.deliver("alice", {f"{FOLDER}/IMG_{n}.jpg": shot(n) for n in range(8)})
    await world.relay()
    assert {world.photo(photo).state for photo in photos} == {State.DONE}
    assert sorted(world.archived().values()) == sorted(shot(n) for n in range(8))
    assert world.standing() == {}
    assert [line["deed"] for line in world.ledger.audit.lines()] == ["removed"] * 8


@pytest.mark.parametrize(
    "users",
    [{"after": "keep"}, {"after": "archive"}, {"after": "delete", "release_after": "1h"}],
    ids=lambda users: "-".join(users.values()),
)
async def test_an_original_that_stays_a_while_is_copied(make_world: MakeWorld, users: dict[str, str]) -> None:
    """Its owner may write to it; the archive's bytes must not follow."""
    world = await make_world("folder", **OFF, users=users)
    photo = await proved(world)
    assert not is_linked(world, photo)
    with world.path("alice", PATH).open("r+b") as file:
        file.write(NEW[:100])
    assert archived(world, photo).read_bytes() == OLD


async def test_an_original_in_the_bin_is_copied(make_world: MakeWorld) -> None:
    """From there it can be restored, and then written to."""
    world = await make_world("folder", users={"after": "trash"})
    assert not is_linked(world, await proved(world))


async def test_an_original_with_another_name_already_is_copied(world: World) -> None:
    world.put("alice", PATH, OLD)
    os.link(world.path("alice", PATH), world.root / "somebody's")
    await world.settle("alice", [PATH])
    while await world.pipeline._round():
        pass
    [photo] = world.ledger.photos.by_state(State.ARCHIVED)
    assert not is_linked(world, photo)
    (world.root / "somebody's").write_bytes(NEW)
    assert archived(world, photo).read_bytes() == OLD


# -- written to in between -----------------------------------------------------------------------------------------


async def test_what_is_written_between_proof_and_release_is_found_and_brought_as_it_is(world: World) -> None:
    """The old bytes are their owner's loss; the archive must not hold the new ones as if they were those."""
    photo = await proved(world)
    name = archived(world, photo)
    world.path("alice", PATH).write_bytes(NEW)
    await world.pipeline.originals.round([photo])
    assert (world.photo(photo).state, world.photo(photo).code) == (State.WAITING, "archive.broken")
    assert world.standing() == {f"files/{PATH}": NEW}
    assert not name.exists(), "no wrong bytes under a right name"
    await world.later(301)
    await world.relay()
    assert world.photo(photo).state is State.DONE, world.said()
    assert list(world.archived().values()) == [NEW]
    assert world.standing() == {}


async def test_a_write_in_the_moment_of_the_release_is_found_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the last look at the archive, with size and mtime as before."""
    photo = await proved(world)
    real = world.archive.untouched

    def written(photos: Any) -> set[int]:
        found = real(photos)
        with world.path("alice", PATH).open("r+b") as file:
            file.write(EDITED)
        os.utime(world.path("alice", PATH), (MTIME, MTIME))
        return found

    monkeypatch.setattr(world.archive, "untouched", written)
    await world.pipeline.originals.round([photo])
    assert world.photo(photo).state is State.WAITING
    assert world.standing() == {f"files/{PATH}": EDITED}
    monkeypatch.setattr(world.archive, "untouched", real)
    await world.later(301)
    await world.relay()
    assert world.photo(photo).state is State.DONE, world.said()
    assert list(world.archived().values()) == [EDITED]


async def test_a_write_between_the_single_look_and_the_rename_is_found_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = await proved(world)
    world.one_by_one(monkeypatch)
    still = world.archive.still

    async def written(one: Photo) -> bool:
        found = await still(one)
        world.path("alice", PATH).write_bytes(NEW)
        return found

    monkeypatch.setattr(world.archive, "still", written)
    await world.pipeline.originals.round([photo])
    assert world.standing() == {f"files/{PATH}": NEW}
    assert world.photo(photo).state is State.WAITING
    monkeypatch.setattr(world.archive, "still", still)
    await world.later(301)
    await world.pipeline.originals.round([world.photo(photo)])
    await world.later(301)
    await world.relay()
    assert list(world.archived().values()) == [NEW]


async def test_an_original_that_somebody_still_writes_to_is_not_let_go(world: World) -> None:
    """Through that open file he would write to the archive."""
    photo = await proved(world)
    with world.path("alice", PATH).open("r+b"):
        await world.pipeline.originals.round([photo])
        assert (world.photo(photo).state, world.photo(photo).code) == (State.WAITING, "file.busy")
        assert world.standing() == {f"files/{PATH}": OLD}
    await world.later(301)
    await world.relay()
    assert world.photo(photo).state is State.DONE
    assert world.standing() == {}


async def test_what_is_written_between_link_and_proof_is_brought_as_it_is(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = world.archive.place

    async def then_write(*arguments: Any) -> Any:
        answer = await place(*arguments)
        world.path("alice", PATH).write_bytes(NEW)
        return answer

    monkeypatch.setattr(world.archive, "place", then_write)
    [photo] = await world.deliver("alice", {PATH: OLD})
    while await world.pipeline._round():
        pass
    assert (world.photo(photo).state, world.photo(photo).code) == (State.WAITING, "archive.broken")
    assert world.archived() == {}
    monkeypatch.setattr(world.archive, "place", place)
    await world.later(301)
    await world.relay()
    assert list(world.archived().values()) == [NEW]
    assert world.standing() == {}


async def test_a_new_upload_under_the_name_leaves_the_archive_its_file(world: World) -> None:
    """Nextcloud replaces by a rename: the old file keeps its other name."""
    photo = await proved(world)
    world.put("alice", f"{FOLDER}/new.part", NEW)
    world.path("alice", f"{FOLDER}/new.part").rename(world.path("alice", PATH))
    await world.pipeline.originals.round([photo])
    assert world.standing() == {f"files/{PATH}": NEW}
    assert archived(world, photo).read_bytes() == OLD
    assert world.photo(photo).state is State.RELEASED


# -- rules that change, names that are one ---------------------------------------------------------------------------


async def test_an_original_that_is_to_stay_after_all_is_brought_again_as_a_copy(world: World) -> None:
    photo = await proved(world)
    assert is_linked(world, photo)
    world.change(**OFF, users={"after": "keep"})
    await world.pipeline.originals.round([photo])
    assert world.photo(photo).code == "archive.linked"
    await world.later(301)
    await world.relay()
    assert world.photo(photo).state is State.DONE, world.said()
    assert not is_linked(world, world.photo(photo))
    assert world.standing() == {f"files/{PATH}": OLD}
    assert list(world.archived().values()) == [OLD]


async def test_a_folder_seen_twice_is_no_second_name(world: World) -> None:
    """One name of one file: taking it away would take the photo away, before the rename and after it."""
    photo = await proved(world)
    folder = world.path("alice", FOLDER)
    archived(world, photo).unlink()
    archived(world, photo).parent.rmdir()
    archived(world, photo).parent.symlink_to(folder)
    world.ledger.photos.put(photo.id, archived_as=f"{photo.archived_as.rpartition('/')[0]}/IMG_1.jpg")
    photo = world.photo(photo)
    await world.pipeline.originals.round([photo])
    assert world.standing() == {f"files/{PATH}": OLD}
    fd = os.open(folder, os.O_RDONLY)
    try:
        found = os.stat("IMG_1.jpg", dir_fd=fd)
        with pytest.raises((NeedsPerson, Transient)):
            world.release.hiding.linked(fd, photo, found)
        os.link(folder / "IMG_1.jpg", folder / "other.jpg")
        assert not releasing.second_name(found, found, fd, fd)
    finally:
        os.close(fd)


async def test_an_archived_name_that_is_gone_keeps_the_original(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at the archive and the deletion: the original is the last name."""
    photo = await proved(world)
    real = world.archive.untouched

    def then_gone(photos: Any) -> set[int]:
        found = real(photos)
        archived(world, photo).unlink()
        return found

    monkeypatch.setattr(world.archive, "untouched", then_gone)
    await world.pipeline.originals.round([photo])
    assert world.standing() == {f"files/{PATH}": OLD}
    assert world.photo(photo).state is State.WAITING


# -- killed ----------------------------------------------------------------------------------------------------------


async def test_killed_between_link_and_ledger_it_ends_as_if_undisturbed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise KilledError

    [photo] = await world.deliver("alice", {PATH: OLD})
    with monkeypatch.context() as patch:
        patch.setattr("daemon.relay.folder_place.FolderPlace._sync_names", killed)
        batch = world.pipeline.forming.open()
        assert batch is not None
        with pytest.raises(BaseException) as caught:  # noqa: PT011 - out of a thread
            await world.pipeline._batch(batch)
        assert caught.type is KilledError
    await world.restart()
    await world.relay()
    assert world.photo(photo).state is State.DONE, world.said()
    assert list(world.archived().values()) == [OLD]
    assert world.standing() == {}
