"""Which step next, for which photos: retries, what blocks what, pausing, dry runs, and what must never happen."""

from __future__ import annotations

import hashlib
import logging
import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from daemon.errors import NeedsPerson, Transient
from daemon.files import placing
from daemon.ledger.model import BatchState, State
from daemon.relay import batch_folder
from daemon.relay.failures import MOST_BROUGHT
from daemon.service.again import try_again
from tests.relay.world import FOLDER, World, never_linked, shot

if TYPE_CHECKING:
    from daemon.ledger.model import Photo
    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world("photoprism", **OFF)


@pytest.fixture
async def folder_world(make_world: MakeWorld) -> World:
    return await make_world("folder", **OFF)


async def test_while_photoprism_is_away_photos_stay_with_their_owners_and_pauses_grow(world: World) -> None:
    assert world.pp is not None
    world.pp.traps.outage = "reset"
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    began = world.clock.time
    pauses, attempts = [], -1
    async with world.running():
        for _ in range(9):
            await world.until(lambda seen=attempts: _waits(world) > seen)  # type: ignore[misc]
            [batch] = world.ledger.batches.unfinished()
            attempts = batch.attempts
            assert batch.next_try is not None
            pauses.append(batch.next_try - world.clock.time)
            await world.later(pauses[-1] + 0.01)
        assert batch.since == pytest.approx(began, abs=2)
        assert batch.code == "photoprism.unreachable" or batch.code.startswith("photoprism.")
        assert pauses[0] <= 5
        assert pauses == sorted(pauses) or pauses[-1] > 100
        assert max(pauses) <= 300
        held = world.photo(photo)
        assert world.standing() == {f"files/{FOLDER}/IMG_1.jpg": shot(1)}
        assert held.state in {State.WAITING, State.SETTLED, State.EXAMINED}
        assert held.since is not None
        assert held.since == pytest.approx(began, abs=2), "since when it waits, not since the last try"
        world.pp.traps.clear()
        await world.later(301)
        await world.until(lambda: world.photo(photo).state is State.DONE)
    lines = [line["state"] for line in world.ledger.photos.history(photo.id)]
    assert len(lines) < 15, f"an outage does not fill the history: {lines}"


def _waits(world: World) -> int:
    return max((batch.attempts for batch in world.ledger.batches.unfinished() if batch.next_try), default=-1)


def _tried(world: World, photo: Photo, least: int) -> bool:
    now = world.photo(photo)
    return now.attempts >= least and now.state is State.WAITING


async def test_an_outage_does_not_read_the_photos_again_and_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert world.pp is not None
    world.pp.traps.outage = "503"
    looked: list[str] = []
    look = world.examine._look

    def count(photo: Any, **more: Any) -> Any:
        looked.append(photo.path)
        return look(photo, **more)

    monkeypatch.setattr(world.examine, "_look", count)
    await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    async with world.running():
        for attempt in range(4):
            await world.until(lambda attempt=attempt: _waits(world) > attempt)  # type: ignore[misc]
            await world.later(301)
        world.pp.traps.clear()
        await world.later(301)
        await world.until(lambda: world.ledger.photos.counts()["done"] == 1)
    assert len(looked) <= 2


async def test_what_cannot_be_cleared_away_keeps_nobody_waiting(
    folder_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of a batch is proved, and a rest of it cannot be removed: its photos end, and the next batch goes."""
    world = folder_world
    clear, well = world.archive.clear, False

    async def stuck(batch: Any) -> None:
        if not well:
            raise NeedsPerson("disk.permission", "a rest may not be removed")
        await clear(batch)

    monkeypatch.setattr(world.archive, "clear", stuck)
    [first] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    async with world.running():
        await world.until(lambda: world.photo(first).state is State.DONE)
        [second] = await world.deliver("bob", {f"{FOLDER}/IMG_2.jpg": shot(2)})
        await world.later(1)
        await world.until(lambda: world.photo(second).state is State.DONE)
        assert [issue.code for issue in world.issues.all()] == ["disk.permission"]
        assert len(world.ledger.batches.unfinished()) == 2
        well = True
        await world.later(400)
        await world.until(lambda: not world.ledger.batches.unfinished())
        assert world.issues.all() == []


async def test_while_the_archive_is_away_no_further_batch_is_opened(world: World) -> None:
    assert world.pp is not None
    world.pp.traps.outage = "503"
    await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    async with world.running():
        await world.until(lambda: _waits(world) > 0)
        [late] = await world.deliver("bob", {f"{FOLDER}/IMG_2.jpg": shot(2)})
        await world.later(1)
        await world.later(400)
        await world.until(lambda: _waits(world) > 1)
        assert len(world.ledger.batches.unfinished()) == 1
        assert world.photo(late).state is State.SETTLED
        world.pp.traps.clear()
        await world.later(400)
        await world.until(lambda: world.photo(late).state is State.DONE)


async def test_one_unreadable_photo_holds_nobody_up(folder_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = folder_world
    look = world.examine._look

    def fail(photo: Any, **more: Any) -> Any:
        if photo.name == "bad.jpg":
            raise Transient("disk.error", "the disk says no")
        return look(photo, **more)

    monkeypatch.setattr(world.examine, "_look", fail)
    [bad] = await world.deliver("alice", {f"{FOLDER}/bad.jpg": shot(1)})
    [good] = await world.deliver("alice", {f"{FOLDER}/good.jpg": shot(2)})
    async with world.running():
        await world.until(lambda: world.photo(good).state is State.DONE)
        assert world.photo(bad).code == "disk.error"
        pauses = []
        for attempt in range(1, 9):
            await world.until(lambda least=attempt: _tried(world, bad, least))  # type: ignore[misc]
            pauses.append((world.photo(bad).next_try or 0.0) - world.clock.time)
            await world.later(max(0.0, pauses[-1]) + 0.01)
        assert pauses[0] < 10 < 100 < pauses[-1] <= 300
        monkeypatch.setattr(world.examine, "_look", look)
        await world.later(301)
        await world.until(lambda: world.photo(bad).state is State.DONE)


async def test_what_is_changed_in_the_archive_each_time_is_brought_with_growing_pauses_and_then_held(
    world: World,
) -> None:
    assert world.pp is not None
    world.pp.traps.altered = ["*.jpg"]
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    async with world.running():
        pauses = []
        for attempt in range(1, MOST_BROUGHT):
            await world.until(lambda least=attempt: _tried(world, photo, least))  # type: ignore[misc]
            waiting = world.photo(photo)
            assert waiting.code == "archive.broken"
            pauses.append((waiting.next_try or 0.0) - world.clock.time)
            await world.later(max(0.0, pauses[-1]) + 0.01)
        await world.until(lambda: world.photo(photo).state is State.HELD)
        assert pauses[0] < 5 < 10 < pauses[1] < 50 < pauses[2] < 200 < pauses[3] < 299 < pauses[4], pauses
        await world.later(3600)
    held = world.photo(photo)
    assert (held.state, held.code) == (State.HELD, "archive.in_vain"), world.said()
    assert "6 times" in held.message
    assert "Try again" in held.hint
    assert len(world.pp.imports) == MOST_BROUGHT
    assert world.standing() == {f"files/{FOLDER}/IMG_1.jpg": shot(1)}
    world.pp.traps.clear()
    for path in world.archive_root.rglob("*.jpg"):
        path.unlink()
    assert try_again(world.ledger, photo.id, world.clock.time)
    await world.relay()
    assert world.photo(photo).state is State.DONE, world.said()
    assert list(world.archived().values()) == [shot(1)]


@pytest.mark.parametrize("archive", ["photoprism", "folder"])
async def test_what_is_changed_between_each_proof_and_the_release_is_held_some_day(
    make_world: MakeWorld, archive: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = await make_world(archive, **OFF, users={"release_after": "60s"})
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    [other] = await world.deliver("bob", {f"{FOLDER}/IMG_1.jpg": shot(2)})
    proofs = 0
    async with world.running():
        while world.photo(photo).state is not State.HELD:
            await world.until(lambda: world.photo(photo).state in {State.ARCHIVED, State.HELD, State.WAITING})
            if world.photo(photo).state is State.ARCHIVED:
                proofs += 1
                assert proofs <= MOST_BROUGHT
                path = world.archive_root / world.photo(photo).archived_as
                path.write_bytes(path.read_bytes() + b"a tool has written here")
                await world.later(61)
                await world.until(lambda: world.photo(photo).state is not State.ARCHIVED)
            else:
                await world.later(301)
        await world.until(lambda: "[archive.in_vain]" in caplog.text)
    assert world.photo(photo).code == "archive.in_vain", world.said()
    assert world.photo(other).state is State.DONE, world.said()
    assert world.standing() == {f"files/{FOLDER}/IMG_1.jpg": shot(1)}
    assert try_again(world.ledger, photo.id, world.clock.time)
    async with world.running():
        await world.until(lambda: world.photo(photo).state in {State.ARCHIVED, State.WAITING})


async def test_a_busy_photoprism_is_waited_for_however_long_it_takes(world: World) -> None:
    assert world.pp is not None
    world.pp.traps.busy = True
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    async with world.running():
        for attempt in range(10):
            await world.until(lambda attempt=attempt: _waits(world) > attempt)  # type: ignore[misc]
            waiting = world.photo(photo)
            assert (waiting.state, waiting.code) == (State.WAITING, "photoprism.busy"), world.said()
            await world.later(301)
        world.pp.traps.clear()
        await world.later(301)
        await world.until(lambda: world.photo(photo).state is State.DONE)


async def test_groups_are_never_parted_by_the_size_of_a_batch(make_world: MakeWorld) -> None:
    world = await make_world("folder", **OFF, watch={"batch": 4})
    names = [f"IMG_{number}" for number in range(80)]
    for extension in ("jpg", "xmp"):
        # All pictures first, then all recipes: a directory lists its names in any order.
        await world.intake.found(
            [world.put("alice", f"{FOLDER}/{name}.{extension}", _content(name, extension)) for name in names]
        )
    await world.settle("alice", [f"{FOLDER}/{name}.{extension}" for name in names for extension in ("jpg", "xmp")])
    opened = []
    while (batch := world.pipeline.forming.open()) is not None:
        photos = world.ledger.photos.of_batch(batch.id)
        assert len(photos) == 4
        opened += photos
        by_name: dict[str, int] = {}
        for photo in photos:
            by_name[photo.name.partition(".")[0]] = by_name.get(photo.name.partition(".")[0], 0) + 1
        assert set(by_name.values()) == {2}, by_name
    assert len(opened) == 160


def _content(name: str, extension: str) -> bytes:
    return shot(int(name[4:])) if extension == "jpg" else f"<x:xmpmeta>{name}</x:xmpmeta>".encode()


async def test_a_group_larger_than_a_batch_still_goes_as_one(make_world: MakeWorld) -> None:
    world = await make_world("folder", **OFF, watch={"batch": 1})
    photos = await world.deliver("alice", {f"{FOLDER}/A.jpg": shot(1), f"{FOLDER}/A.xmp": b"<x:xmpmeta/>"})
    await world.relay()
    assert {world.photo(photo).state for photo in photos} == {State.DONE}
    assert len({world.photo(photo).batch_id for photo in photos}) == 1


async def test_paused_means_nothing_moves_and_nothing_spins(
    folder_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = folder_world
    world.change(**OFF, users={"include": {"alice": {}}, "release_after": "1h"})
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    asked = 0
    releasable = world.ledger.photos.releasable

    def count(now: float, limit: int, **more: Any) -> Any:
        nonlocal asked
        asked += 1
        return releasable(now, limit, **more)

    async with world.running():
        await world.until(lambda: world.photo(photo).state is State.ARCHIVED)
        world.pipeline.paused = True
        monkeypatch.setattr(world.ledger.photos, "releasable", count)
        await world.later(4000)
        [other] = await world.deliver("alice", {f"{FOLDER}/IMG_2.jpg": shot(2)})
        await world.until(lambda: asked > 0)
        for _ in range(3):
            await world.later(0)
        before = asked
        await anyio.sleep(0.6)
        assert asked - before < 5, "it waits to be woken"
        assert world.photo(photo).state is State.ARCHIVED
        assert world.photo(other).state is State.SETTLED
        world.pipeline.paused = False
        world.wake.set()
        await world.until(lambda: world.photo(photo).state is State.DONE)


async def test_a_dry_run_says_what_it_would_do_and_touches_nothing(
    make_world: MakeWorld, caplog: pytest.LogCaptureFixture
) -> None:
    world = await make_world("folder", **OFF, relay={"dry_run": True})
    caplog.set_level(logging.INFO)
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    async with world.running():
        await world.until(lambda: "dry run" in caplog.text)
        await world.later(40)
        await world.later(40)
    assert caplog.text.count("dry run: InstantUpload/IMG_1.jpg of alice: would be relayed (jpg); then: delete") == 1
    assert world.photo(photo).state is State.SETTLED
    assert world.standing() == {f"files/{FOLDER}/IMG_1.jpg": shot(1)}
    assert world.archived() == {}


async def test_a_dry_run_lets_no_original_go_that_was_proved_before(folder_world: World) -> None:
    world = folder_world
    world.change(**OFF, users={"include": {"alice": {}}, "after": "delete", "release_after": "1h"})
    [photo] = await world.deliver("alice", {f"{FOLDER}/IMG_1.jpg": shot(1)})
    async with world.running():
        await world.until(lambda: world.photo(photo).state is State.ARCHIVED)
        world.change(**OFF, users={"include": {"alice": {}}, "after": "delete"}, relay={"dry_run": True})
        await world.later(4000)
        await anyio.sleep(0.3)
        assert world.photo(photo).state is State.ARCHIVED
        assert world.standing() == {f"files/{FOLDER}/IMG_1.jpg": shot(1)}
        world.change(**OFF, users={"include": {"alice": {}}, "after": "delete"})
        await world.later(1)
        await world.until(lambda: world.photo(photo).state is State.DONE)


async def test_a_refused_member_is_told_though_its_group_goes_on(
    folder_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world = folder_world
    photos = await world.deliver("alice", {f"{FOLDER}/A.jpg": shot(1), f"{FOLDER}/A.mov": b"no film at all" * 30})
    with world.bus.listen() as heard:
        await world.relay()
    assert [world.photo(photo).state for photo in photos] == [State.DONE, State.REFUSED]
    told = [event.data["id"] for event in heard._queue if event.type == "photo.refused"]
    assert told == [photos[1].id]
    assert "media.mismatch" in caplog.text


async def test_what_is_held_at_its_release_is_told(
    folder_world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = folder_world
    [photo] = await world.deliver("alice", {f"{FOLDER}/A.jpg": shot(1)})

    async def no(_: Any) -> bool:
        raise NeedsPerson("some.fault", "a person must look")

    world.one_by_one(monkeypatch)
    monkeypatch.setattr(world.release, "photo", no)
    with world.bus.listen() as heard:
        async with world.running():
            await world.until(lambda: [e.data["id"] for e in heard._queue if e.type == "photo.held"] == [photo.id])
    assert world.photo(photo).state is State.HELD
    assert "a person must look" in caplog.text


async def test_events_are_told_from_the_loop_alone(folder_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = folder_world
    where: set[int] = set()
    tell = world.bus.tell

    def note(type_: str, **data: Any) -> None:
        where.add(threading.get_ident())
        tell(type_, **data)

    monkeypatch.setattr(world.bus, "tell", note)
    real, failures = world.release.photo, [True]

    async def first_fails(photo: Any) -> bool:
        if failures:
            failures.pop()
            raise Transient("disk.error", "not now")
        return await real(photo)

    world.one_by_one(monkeypatch)
    monkeypatch.setattr(world.release, "photo", first_fails)
    [photo] = await world.deliver("alice", {f"{FOLDER}/A.jpg": shot(1)})
    async with world.running():
        await world.until(lambda: world.photo(photo).code == "disk.error")
        await world.later(301)
        await world.until(lambda: world.photo(photo).state is State.DONE)
    assert where == {threading.get_ident()}


async def test_a_member_that_cannot_be_copied_now_takes_its_group_along(
    folder_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = folder_world
    never_linked(monkeypatch)
    copy = placing.copy_into

    def fail(*arguments: Any, **more: Any) -> Any:
        if more["size"] == len(b"<x:xmpmeta/>"):
            raise Transient("disk.error", "one bad sector")
        return copy(*arguments, **more)

    monkeypatch.setattr("daemon.relay.folder_place.copy_into", fail)
    photos = await world.deliver("alice", {f"{FOLDER}/A.jpg": shot(1), f"{FOLDER}/A.xmp": b"<x:xmpmeta/>"})
    async with world.running():
        await world.until(lambda: world.photo(photos[1]).state is State.WAITING)
        await world.later(0)
        assert {world.photo(photo).state for photo in photos} == {State.WAITING}
        monkeypatch.setattr("daemon.relay.folder_place.copy_into", copy)
        await world.later(301)
        await world.until(lambda: world.photo(photos[1]).state is State.DONE)
    done = [world.photo(photo) for photo in photos]
    assert {photo.state for photo in done} == {State.DONE}
    assert done[0].archived_as.rpartition(".")[0] == done[1].archived_as.rpartition(".")[0]


async def test_a_photo_replaced_while_its_batch_waited_leaves_no_row_behind(world: World) -> None:
    assert world.pp is not None
    world.pp.traps.outage = "503"
    [old] = await world.deliver("alice", {f"{FOLDER}/A.jpg": shot(1)})
    async with world.running():
        await world.until(lambda: _waits(world) > 0)
        path = world.path("alice", f"{FOLDER}/A.jpg")
        with path.open("rb"):  # held, so that the other file is not given the same inode
            path.unlink()
            [new] = await world.deliver("alice", {f"{FOLDER}/A.jpg": shot(2)})
        assert new.id != old.id
        world.pp.traps.clear()
        await world.later(301)
        await world.until(lambda: world.photo(new).state is State.DONE)
    assert list(world.archived().values()) == [shot(2)]
    assert world.photo(old).state is State.REFUSED, "its bytes are no more; nothing of it is under way"
    assert world.photo(old).ended_at is not None


async def test_what_vanished_while_the_program_was_down_leaves_no_row_behind(folder_world: World) -> None:
    world = folder_world
    await world.intake.found([world.put("alice", f"{FOLDER}/A.jpg", shot(1))])
    await world.intake.found([world.put("alice", f"{FOLDER}/B.jpg", shot(2))])
    world.path("alice", f"{FOLDER}/A.jpg").unlink()
    await world.restart()
    assert world.ledger.photos.latest("alice", f"{FOLDER}/A.jpg") is None
    assert world.ledger.photos.latest("alice", f"{FOLDER}/B.jpg") is not None


async def test_a_ledger_that_fails_after_placing_does_not_stop_the_relay(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    move, failures = world.ledger.batches.move, [1]

    def fail(identity: int, state: BatchState, now: float) -> None:
        if state is BatchState.PLACED and failures:
            failures.pop()
            raise Transient("ledger.unwritable", "the disk is full")
        move(identity, state, now)

    monkeypatch.setattr(world.ledger.batches, "move", fail)
    [photo] = await world.deliver("alice", {f"{FOLDER}/A.jpg": shot(1)})
    async with world.running():
        await world.until(lambda: _waits(world) > 0)
        await world.later(301)
        await world.until(lambda: world.photo(photo).state is State.DONE)
    assert list(world.archived().values()) == [shot(1)]
    assert [path.name for path in world.imports.iterdir()] == []


async def test_a_half_made_batch_folder_is_swept_at_the_start(world: World) -> None:
    [photo] = await world.deliver("alice", {f"{FOLDER}/A.jpg": shot(1)})
    batch = world.pipeline.forming.open()
    assert batch is not None
    half = world.imports / f"{batch_folder.HIDDEN}{batch.name}" / "abcdefgh"
    half.mkdir(parents=True)
    (half / "A.jpg").write_bytes(shot(1)[:100])
    await world.restart()
    assert [path.name for path in world.imports.iterdir()] == []
    await world.relay()
    assert world.photo(photo).state is State.DONE


async def test_a_batch_that_had_become_visible_is_imported_and_not_placed_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    [photo] = await world.deliver("alice", {f"{FOLDER}/A.jpg": shot(1)})

    class CrashError(BaseException):
        pass

    def crash(*_: Any) -> None:
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr("daemon.relay.filling.moved", crash)
        with pytest.raises(BaseException) as caught:  # noqa: PT011 - a group of one
            await world.relay()
        assert caught.group_contains(CrashError) or isinstance(caught.value, CrashError)
    [visible] = [path.name for path in world.imports.iterdir()]
    placed = next((world.imports / visible).rglob("A.jpg")).stat().st_ino
    await world.restart()
    assert world.photo(photo).state is State.PLACED
    await world.relay()
    assert world.photo(photo).state is State.DONE
    [stored] = world.archive_root.rglob("*.jpg")
    assert stored.stat().st_ino == placed
    assert [path.name for path in world.imports.iterdir()] == []


async def test_a_fault_of_the_program_with_one_photo_is_that_photos_alone(
    folder_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = folder_world
    real = world.release.photo

    async def fail(photo: Any) -> bool:
        if photo.name == "bad.jpg":
            raise RuntimeError("a fault")
        return await real(photo)

    world.one_by_one(monkeypatch)
    monkeypatch.setattr(world.release, "photo", fail)
    [bad] = await world.deliver("alice", {f"{FOLDER}/bad.jpg": shot(1)})
    [good] = await world.deliver("alice", {f"{FOLDER}/good.jpg": shot(2)})
    async with world.running():
        await world.until(lambda: world.photo(good).state is State.DONE)
        await world.until(lambda: world.photo(bad).state is State.WAITING)
    assert f"files/{FOLDER}/bad.jpg" in world.standing()


async def test_a_restore_in_the_moment_of_the_last_scan_stays_a_restore(folder_world: World) -> None:
    from daemon.relay.refresh import finish

    world = folder_world
    [photo] = await world.deliver("alice", {f"{FOLDER}/A.jpg": shot(1)})
    await world.relay()
    await world.restore.photo(photo.id)
    finish(world.ledger, [photo.id], world.clock.time)
    assert world.photo(photo).state is State.RESTORED


async def test_what_changed_is_seen_to_though_the_archive_goes_away_in_the_same_moment(make_world: MakeWorld) -> None:
    """Another file has its name, as a row of its own: what was found changed would stay "found" for ever."""
    world = await make_world("photoprism", **OFF)
    assert world.pp is not None
    path = f"{FOLDER}/IMG_1.jpg"
    world.pp.traps.swallowed = ["IMG_1.jpg"]
    [photo] = await world.deliver("alice", {path: shot(1)})
    await world.relay()
    assert world.photo(photo).code == "archive.not_yet"
    world.path("alice", path).unlink()
    [another] = await world.deliver("alice", {path: shot(2)})
    assert another.id != photo.id
    sha1 = hashlib.sha1(shot(2)).hexdigest()

    def goes_away(_method: str, asked: str) -> None:
        assert world.pp is not None
        world.pp.traps.outage = "503" if sha1 in asked else ""

    world.pp.whim = goes_away
    await world.later(301)
    async with world.running():
        await world.until(lambda: world.photo(another).code == "photoprism.busy")
        await world.until(lambda: world.photo(photo).state is State.REFUSED)
    assert world.photo(photo).code == "file.replaced", world.said()
    world.pp.whim = lambda _method, _path: None
    world.pp.become_well()
    await world.later(301)
    await world.relay()
    assert world.photo(another).state is State.DONE, world.said()
