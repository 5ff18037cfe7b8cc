"""Every row of what confirm can find, with the real client against PhotoPrism's stand-in."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from daemon.errors import NeedsPerson, Transient
from daemon.ledger.model import Photo, State
from daemon.relay import originals
from daemon.relay.failures import MOST_BROUGHT
from daemon.relay.photoprism_archive import UNSYNCED
from tests.relay.world import FOLDER, World, shot

if TYPE_CHECKING:
    from tests.relay.conftest import MakeWorld
    from tests.standins.photoprism import PhotoPrismStandIn

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}
PATH = f"{FOLDER}/IMG_1.jpg"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">a recipe</x:xmpmeta>'


def sha1(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world("photoprism", **OFF)


@pytest.fixture
async def unmounted(make_world: MakeWorld) -> World:
    return await make_world("photoprism", **OFF, photoprism={"originals": ""})


def prism(world: World) -> PhotoPrismStandIn:
    assert world.pp is not None
    return world.pp


async def upload(world: World, content: bytes | None = None, path: str = PATH, user: str = "alice") -> Photo:
    [photo] = await world.deliver(user, {path: content or shot(1)})
    return photo


def kept(world: World, photo: Photo) -> bool:
    path = world.path(photo.user, photo.path)
    return path.exists()


async def test_proved(world: World) -> None:
    photo = await upload(world)
    await world.relay()
    done = world.photo(photo)
    assert done.state is State.DONE
    assert done.proved_at is not None
    assert done.archive_fingerprint is not None
    assert not kept(world, photo)
    content = world.ledger.contents.find(done.blake3 or b"")
    assert content is not None
    assert content.path == done.archived_as


@pytest.mark.parametrize("how", ["archive", "hide"])
async def test_archived_or_hidden_in_photoprism_keeps_the_original_and_asks(world: World, how: str) -> None:
    await upload(world)
    await world.relay()
    getattr(prism(world), how)(sha1(shot(1)))
    again = await upload(world, user="bob")
    await world.relay()
    held = world.photo(again)
    assert (held.state, held.code) == (State.HELD, "archive.hidden")
    assert "PhotoPrism" in held.hint
    assert kept(world, again)


async def test_hidden_by_the_import_itself_keeps_the_original(world: World) -> None:
    prism(world).traps.hide = ["*.jpg"]
    photo = await upload(world)
    await world.relay()
    assert (world.photo(photo).state, world.photo(photo).code) == (State.HELD, "archive.hidden")
    assert kept(world, photo)


async def test_bytes_without_a_row_are_proved_after_an_index_of_just_that_folder(world: World) -> None:
    prism(world).traps.unindexed = ["IMG_1.jpg"]
    photo = await upload(world)
    await world.relay()
    done = world.photo(photo)
    assert done.state is State.DONE, world.said()
    assert [call["path"] for call in prism(world).indexes] == [done.archived_as.rpartition("/")[0]]
    assert not kept(world, photo)


async def test_what_is_never_indexed_is_asked_for_twice_and_then_kept(world: World) -> None:
    prism(world).traps.never_indexed = ["IMG_1.jpg"]
    photo = await upload(world)
    await world.relay()
    held = world.photo(photo)
    assert (held.state, held.code) == (State.HELD, "archive.unindexed")
    assert len(prism(world).indexes) == 2
    assert kept(world, photo)


async def test_a_row_with_an_error_is_indexed_anew_and_else_kept(world: World) -> None:
    prism(world).traps.row_error = ["IMG_1.jpg"]
    photo = await upload(world)
    await world.relay()
    held = world.photo(photo)
    assert (held.state, held.code) == (State.HELD, "archive.unindexed")
    assert "could not be read" in held.message
    assert kept(world, photo)


async def test_an_index_that_was_not_done_since_photoprism_was_busy_does_not_count(world: World) -> None:
    prism(world).traps.unindexed = ["IMG_1.jpg"]
    photo = await upload(world)
    async with world.running():
        await world.until(lambda: world.photo(photo).state is State.IMPORTED)
        prism(world).traps.busy = True
        for attempt in range(4):
            await world.until(
                lambda attempt=attempt: any(b.attempts > attempt for b in world.ledger.batches.unfinished())  # type: ignore[misc]
            )
            assert world.photo(photo).code == "photoprism.busy"
            await world.later(301)
        prism(world).traps.busy = False
        await world.later(301)
        await world.until(lambda: world.photo(photo).state is State.DONE)
    assert world.photo(photo).indexings == 1


async def test_an_index_that_a_proxy_cuts_off_each_time_is_not_asked_for_without_end(world: World) -> None:
    prism(world).traps.set({"never_indexed": ["IMG_1.jpg"], "proxy_cuts_after": 0.0})
    photo = await upload(world)
    async with world.running():
        for _ in range(6):
            await world.until(lambda: any(b.attempts for b in world.ledger.batches.unfinished()) or held(world, photo))
            await world.later(301)
            await anyio.sleep(0.1)
        await world.until(lambda: held(world, photo))
        assert world.photo(photo).code == "archive.unindexed", world.said()
        assert len(prism(world).indexes) == 2
        prism(world).traps.clear()
        other = await upload(world, shot(2), f"{FOLDER}/IMG_2.jpg")
        await world.until(lambda: world.photo(other).state is State.DONE)
    assert kept(world, photo)


def held(world: World, photo: Photo) -> bool:
    return world.photo(photo).state is State.HELD


async def test_a_row_whose_file_is_missing_is_brought_again(world: World) -> None:
    first = await upload(world)
    await world.relay()
    prism(world).delete_original(sha1(shot(1)))
    again = await upload(world, user="bob")
    await world.relay()
    await world.later(301)
    await world.relay()
    done = world.photo(again)
    assert done.state is State.DONE, world.said()
    assert list(world.archived().values()) == [shot(1)]
    assert world.photo(first).state is State.DONE


async def test_a_row_whose_file_differs_keeps_the_original_while_it_lasts(world: World) -> None:
    await upload(world)
    await world.relay()
    prism(world).alter_original(sha1(shot(1)))
    again = await upload(world, user="bob")
    for _ in range(3):
        await world.relay()
        waiting = world.photo(again)
        assert (waiting.state, waiting.code) == (State.WAITING, "archive.broken"), world.said()
        assert kept(world, again)
        await world.later(301)
    for path in world.archive_root.rglob("*.jpg"):
        path.unlink()
    for _ in range(3):
        await world.relay()
        await world.later(301)
    assert world.photo(again).state is State.DONE, world.said()


async def test_what_two_imports_do_not_bring_is_kept_and_a_person_is_asked(world: World) -> None:
    prism(world).traps.swallowed = ["IMG_1.jpg"]
    photo = await upload(world)
    for _ in range(3):
        await world.relay()
        assert kept(world, photo)
        await world.later(301)
    held = world.photo(photo)
    assert (held.state, held.code) == (State.HELD, "archive.absent")
    assert len(prism(world).imports) == 2
    assert held.hint


async def test_what_photoprism_leaves_lying_is_swept_and_the_original_is_kept(world: World) -> None:
    prism(world).traps.move_fails = ["IMG_1.jpg"]
    photo = await upload(world)
    other = await upload(world, shot(2), f"{FOLDER}/IMG_2.jpg")
    for _ in range(3):
        await world.relay()
        await world.later(301)
    assert world.photo(other).state is State.DONE
    assert (world.photo(photo).state, world.photo(photo).code) == (State.HELD, "archive.absent"), world.said()
    assert kept(world, photo)
    assert list(world.imports.iterdir()) == []


async def test_without_originals_the_bytes_are_fetched_and_compared(unmounted: World) -> None:
    world = unmounted
    photo = await upload(world)
    async with world.running():
        await world.until(lambda: world.photo(photo).state is State.ARCHIVED)
        assert kept(world, photo), "the kernel there has a minute to write it to the disk"
        await world.later(61)
        await world.until(lambda: world.photo(photo).state is State.DONE)
    assert not kept(world, photo)
    assert [path for _, path in prism(world).calls if "/dl/" in path]


async def test_without_originals_the_original_stays_until_the_copy_must_be_on_the_disk(unmounted: World) -> None:
    photo = await upload(unmounted)
    async with unmounted.running():
        await unmounted.until(lambda: unmounted.photo(photo).state is State.ARCHIVED)
    proved = unmounted.photo(photo)
    assert proved.next_try is not None
    assert proved.next_try - unmounted.clock.wall() >= UNSYNCED - 1
    assert kept(unmounted, photo)


async def test_without_originals_other_bytes_prove_nothing(unmounted: World) -> None:
    prism(unmounted).traps.dl_damaged = True
    photo = await upload(unmounted)
    await unmounted.relay()
    assert unmounted.photo(photo).code == "archive.broken"
    assert kept(unmounted, photo)


async def test_without_originals_a_download_that_breaks_off_waits(unmounted: World) -> None:
    prism(unmounted).traps.dl_cut = True
    photo = await upload(unmounted)
    async with unmounted.running():
        await unmounted.until(lambda: unmounted.photo(photo).state is State.WAITING)
        assert kept(unmounted, photo)
        prism(unmounted).traps.clear()
        await unmounted.later(301)
        await unmounted.until(lambda: unmounted.photo(photo).state is State.ARCHIVED)
        await unmounted.later(61)
        await unmounted.until(lambda: unmounted.photo(photo).state is State.DONE)


async def test_without_originals_one_file_that_is_cut_off_each_time_keeps_no_other_waiting(unmounted: World) -> None:
    world = unmounted
    whole = prism(world).traps
    whole.dl_cut = True
    photo = await upload(world)
    async with world.running():
        await world.until(lambda: world.photo(photo).code == "photoprism.download_cut")
        for number in (2, 3):
            # The batch is over, and the next one's file comes whole.
            await world.until(lambda: not world.ledger.batches.unfinished())
            whole.dl_cut = False
            other = await upload(world, shot(number), f"{FOLDER}/IMG_{number}.jpg")
            await world.until(lambda other=other: world.photo(other).state is State.ARCHIVED)  # type: ignore[misc]
            whole.dl_cut = True
            await world.later(301)
            await world.until(lambda: world.photo(photo).state is State.WAITING)
    assert world.photo(photo).imports == 1
    assert kept(world, photo)


async def test_without_originals_a_side_file_cannot_be_proved_and_its_group_stays(unmounted: World) -> None:
    photos = await unmounted.deliver("alice", {PATH: shot(1), f"{FOLDER}/IMG_1.xmp": XMP})
    await unmounted.relay()
    assert {unmounted.photo(photo).code for photo in photos} == {"archive.unprovable"}
    assert all(kept(unmounted, photo) for photo in photos)


async def test_a_side_file_is_proved_beside_its_photo(world: World) -> None:
    photos = await world.deliver("alice", {PATH: shot(1), f"{FOLDER}/IMG_1.xmp": XMP})
    await world.relay()
    main, side = (world.photo(photo) for photo in photos)
    assert (main.state, side.state) == (State.DONE, State.DONE), world.said()
    assert side.archived_as == main.archived_as.replace(".jpg", ".xmp")
    assert sorted(world.archived().values()) == sorted([shot(1), XMP])


async def test_a_side_file_that_did_not_arrive_keeps_its_whole_group(world: World) -> None:
    prism(world).traps.swallowed = ["IMG_1.xmp"]
    photos = await world.deliver("alice", {PATH: shot(1), f"{FOLDER}/IMG_1.xmp": XMP})
    for _ in range(3):
        await world.relay()
        await world.later(301)
    assert {world.photo(photo).state for photo in photos} == {State.HELD}, world.said()
    assert all(kept(world, photo) for photo in photos)


async def test_a_side_file_that_cannot_be_read_in_the_archive_is_not_imported_without_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_: object) -> None:
        raise NeedsPerson("disk.permission", "nobody may read it")

    monkeypatch.setattr(originals, "beside", unreadable)
    photos = await world.deliver("alice", {PATH: shot(1), f"{FOLDER}/IMG_1.xmp": XMP})
    for _ in range(MOST_BROUGHT + 3):
        await world.relay()
        await world.later(301)
    assert {world.photo(photo).code for photo in photos} == {"archive.in_vain"}, world.said()
    assert "nobody may read it [disk.permission]" in world.photo(photos[0]).message
    assert len(prism(world).imports) == MOST_BROUGHT
    assert all(kept(world, photo) for photo in photos)


async def test_what_was_proved_only_at_a_second_look_is_shown_to_nextcloud_too(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world("photoprism")
    real = originals.same_bytes

    def fails(*_: object) -> None:
        raise Transient("disk.error", "the disk says no")

    monkeypatch.setattr(originals, "same_bytes", fails)
    photo = await upload(world)
    async with world.running():
        await world.until(lambda: world.photo(photo).code == "disk.error")
        monkeypatch.setattr(originals, "same_bytes", real)
        await world.later(301)
        await world.until(lambda: world.photo(photo).state is State.DONE)
    assert f"Album/{world.photo(photo).archived_as}" in world.nextcloud.known("alice")


async def test_a_group_is_released_only_when_every_member_is_proved(world: World) -> None:
    prism(world).traps.never_indexed = ["IMG_1.png"]
    from daemon.demo.samples import png
    from tests.relay.world import TAKEN

    photos = await world.deliver("alice", {PATH: shot(1), f"{FOLDER}/IMG_1.png": png(TAKEN, 5)})
    await world.relay()
    assert {world.photo(photo).state for photo in photos} == {State.HELD}, world.said()
    assert all(kept(world, photo) for photo in photos)


async def test_a_held_photo_goes_on_when_a_person_has_mended_it(world: World) -> None:
    await upload(world)
    await world.relay()
    prism(world).archive(sha1(shot(1)))
    again = await upload(world, user="bob")
    await world.relay()
    prism(world).archive(sha1(shot(1)), archived=False)
    world.ledger.photos.leave_batch([again.id])
    world.ledger.photos.advance([again.id], State.SETTLED, world.clock.time, imports=0, indexings=0)
    await world.relay()
    assert world.photo(again).state is State.DONE
    assert len(world.archived()) == 1


async def test_a_restart_in_the_middle_of_an_import_loses_nothing_and_doubles_nothing(world: World) -> None:
    prism(world).traps.crash_after = 2
    photos = await world.deliver("alice", {f"{FOLDER}/IMG_{n}.jpg": shot(n) for n in range(4)})
    for _ in range(3):
        await world.relay()
        await world.later(301)
    assert {world.photo(photo).state for photo in photos} == {State.DONE}, world.said()
    assert sorted(world.archived().values()) == sorted(shot(n) for n in range(4))


async def test_a_proxy_that_cuts_a_long_import_off_is_no_failure(world: World) -> None:
    prism(world).traps.proxy_cuts_after = 0.2
    prism(world).traps.seconds_per_photo = 0.15
    photos = await world.deliver("alice", {f"{FOLDER}/IMG_{n}.jpg": shot(n) for n in range(4)})
    for _ in range(6):
        await world.relay()
        if all(world.photo(photo).state is State.DONE for photo in photos):
            break
        await world.later(301)
    assert {world.photo(photo).state for photo in photos} == {State.DONE}, world.said()
    assert sorted(world.archived().values()) == sorted(shot(n) for n in range(4))


async def test_what_is_half_copied_under_its_final_name_is_no_proof(world: World) -> None:
    prism(world).traps.exdev = True
    prism(world).traps.copy_pause = 0.2
    photo = await upload(world)
    await world.relay()
    done = world.photo(photo)
    assert done.state is State.DONE
    assert list(world.archived().values()) == [shot(1)]


def test_a_file_of_the_archive_is_the_same_only_with_the_same_bytes(tmp_path: Any) -> None:
    from blake3 import blake3

    (tmp_path / "a.jpg").write_bytes(b"bytes")
    digest = blake3(b"bytes").digest()
    assert originals.same_bytes(str(tmp_path), "a.jpg", 5, digest) is not None
    assert originals.same_bytes(str(tmp_path), "a.jpg", 4, digest) is None
    assert originals.same_bytes(str(tmp_path), "a.jpg", 5, blake3(b"other").digest()) is None
    assert originals.same_bytes(str(tmp_path), "b.jpg", 5, digest) is None
    (tmp_path / "link.jpg").symlink_to(tmp_path / "a.jpg")
    assert originals.same_bytes(str(tmp_path), "link.jpg", 5, digest) is None
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "a.jpg").rename(tmp_path / "deep" / "er" / "x.jpg")
    found = originals.search(str(tmp_path), 5, digest)
    assert found is not None
    assert found[0] == "deep/er/x.jpg"
    assert originals.search(str(tmp_path), 5, blake3(b"other").digest()) is None
