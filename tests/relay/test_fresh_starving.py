"""One bad file must not stop the others: errors that concern one photo leave its batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from blake3 import blake3

from daemon.errors import NeedsPerson, Transient
from daemon.ledger.model import State
from daemon.relay import originals, room
from tests.relay.world import FOLDER, shot

if TYPE_CHECKING:
    import pytest

    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}


async def test_an_archived_file_that_cannot_be_read_keeps_only_its_own_photo_waiting(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world("photoprism", **OFF)
    look = originals.same_bytes
    bad: set[bytes] = set()

    def reading(root: str, path: str, size: int, digest: bytes) -> Any:
        if digest in bad:
            raise NeedsPerson("disk.permission", "may not do this: opening it")
        return look(root, path, size, digest)

    monkeypatch.setattr(originals, "same_bytes", reading)
    photos = await world.deliver("alice", {f"{FOLDER}/IMG_{n}.jpg": shot(n) for n in (1, 2, 3)})
    bad.add(blake3(shot(2)).digest())
    async with world.running():
        await world.until(lambda: all(world.photo(photos[n]).state is State.DONE for n in (0, 2)), 5)
        await world.until(lambda: world.photo(photos[1]).state is State.WAITING, 5)
        [more] = await world.deliver("bob", {f"{FOLDER}/IMG_9.jpg": shot(9)})
        await world.until(lambda: world.photo(more).state is State.DONE, 5)
        assert world.photo(photos[1]).code == "disk.permission"
        assert world.path("alice", f"{FOLDER}/IMG_2.jpg").exists()
        bad.clear()
        await world.later(301)
        await world.until(lambda: world.photo(photos[1]).state is State.DONE, 5)


async def test_a_known_file_that_cannot_be_read_keeps_only_its_own_photo_waiting(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive has had the bytes from before, and its disk cannot read them."""
    world = await make_world("folder", **OFF)
    [first] = await world.deliver("bob", {f"{FOLDER}/IMG_2.jpg": shot(2)})
    await world.relay()
    assert world.photo(first).state is State.DONE
    look, bad = originals.same_bytes, blake3(shot(2)).digest()

    def reading(root: str, path: str, size: int, digest: bytes) -> Any:
        if digest == bad:
            raise Transient("disk.error", "The disk answered EIO")
        return look(root, path, size, digest)

    monkeypatch.setattr(originals, "same_bytes", reading)
    photos = await world.deliver("alice", {f"{FOLDER}/IMG_{n}.jpg": shot(n) for n in (2, 3)})
    async with world.running():
        await world.until(lambda: world.photo(photos[1]).state is State.DONE, 5)
        await world.until(lambda: world.photo(photos[0]).state is State.WAITING, 5)
        assert world.photo(photos[0]).code == "disk.error"


async def test_a_film_that_does_not_fit_waits_alone(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await make_world("folder", **OFF)
    free = 100_000
    monkeypatch.setattr(room, "free_bytes", lambda _path: free)
    small, large = shot(1), shot(2, 200_000)
    photos = await world.deliver("alice", {f"{FOLDER}/IMG_2.jpg": large, f"{FOLDER}/IMG_1.jpg": small})
    async with world.running():
        await world.until(lambda: world.photo(photos[1]).state is State.DONE, 5)
        await world.until(lambda: world.photo(photos[0]).state is State.WAITING, 5)
        assert world.photo(photos[0]).code == "disk.low"
        free = 1_000_000
        await world.later(301)
        await world.until(lambda: world.photo(photos[0]).state is State.DONE, 5)


async def test_a_newcomer_overtakes_a_backlog(make_world: MakeWorld) -> None:
    """A user's own new photo as well as another user's; and the oldest are not left behind either."""
    world = await make_world("folder", **OFF, watch={"batch": 8})
    many = await world.deliver("alice", {f"{FOLDER}/A{n:02}.jpg": shot(n) for n in range(40)})
    [bobs] = await world.deliver("bob", {f"{FOLDER}/new.jpg": shot(98)})
    [own] = await world.deliver("alice", {f"{FOLDER}/new.jpg": shot(99)})
    batch = world.pipeline.forming.open()
    assert batch is not None
    members = {photo.id for photo in world.ledger.photos.of_batch(batch.id)}
    assert len(members) == 8
    assert {bobs.id, own.id} <= members
    assert members - {bobs.id, own.id} == {photo.id for photo in many[:6]}
    await world.relay()
    assert all(world.photo(photo).state is State.DONE for photo in [*many, bobs, own])


async def test_a_batch_ends_before_its_bytes_take_long(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await make_world("folder", **OFF)
    monkeypatch.setattr(world.archive, "most_bytes", 300_000)
    films = await world.deliver("alice", {f"{FOLDER}/A{n}.jpg": shot(n, 200_000) for n in range(3)})
    batch = world.pipeline.forming.open()
    assert batch is not None
    assert [photo.id for photo in world.ledger.photos.of_batch(batch.id)] == [films[0].id], "one at least"
    await world.relay()
    assert all(world.photo(photo).state is State.DONE for photo in films)
