"""Users whose disk is slow: how that is told, and that their photos hold up nobody else's."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from daemon.errors import Transient
from daemon.files.pace import PACE
from daemon.ledger.model import State
from daemon.relay import slow
from daemon.relay.slow import Slow, TooSlow
from tests.relay.world import FOLDER, World, shot

if TYPE_CHECKING:
    from daemon.ledger.model import Photo
    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}
MIB = 1 << 20


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    return await make_world("folder", **OFF)


class Watch:
    """Time as a test wants it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        patch.setattr(slow, "time", SimpleNamespace(monotonic=lambda: self.now))

    def read(self, one: Slow, photo: Photo, seconds: float, size: int, *, patient: bool = False) -> None:
        """Read a photo in blocks of a MiB."""
        with one.reading(photo, lambda _: None, patient=patient) as block:
            blocks = max(1, size // MIB)
            for number in range(blocks):
                self.now += seconds / blocks
                block(min(size, (number + 1) * MIB))


@pytest.fixture
async def alices(world: World) -> Photo:
    [photo] = await world.deliver("alice", {f"{FOLDER}/a.jpg": shot(1)})
    return photo


@pytest.fixture
async def bobs(world: World) -> Photo:
    [photo] = await world.deliver("bob", {f"{FOLDER}/b.jpg": shot(2)})
    return photo


async def test_what_takes_long_for_its_size_is_slow(
    alices: Photo, bobs: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, one = Watch(monkeypatch), Slow()
    watch.read(one, alices, 60.0, 600 * MIB)  # a film
    for _ in range(1000):
        watch.read(one, alices, 0.2, 1000)
    assert one.users() == ()
    watch.read(one, bobs, 1.5, 1000)
    with pytest.raises(TooSlow):
        watch.read(one, bobs, 1.5, 1000)
    assert one.users() == ("bob",)
    began = watch.now
    with pytest.raises(TooSlow):
        watch.read(one, bobs, 1.5, 1000)
    assert watch.now == began, "not even begun"
    watch.read(one, alices, 1.5, 1000)
    for _ in range(16):
        assert one.users() == ("bob",)
        watch.read(one, bobs, 0.1, 1000, patient=True)
    assert one.users() == ()


async def test_one_long_read_is_enough_and_a_film_is_left_in_its_middle(
    alices: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch, one = Watch(monkeypatch), Slow()
    with pytest.raises(TooSlow):
        watch.read(one, alices, 4000.0, 1000 * MIB)
    assert watch.now < 10
    watch.read(one, alices, 4000.0, 1000 * MIB, patient=True)
    assert one.users() == ("alice",)


async def test_the_programs_own_rests_make_no_disk_slow(alices: Photo, monkeypatch: pytest.MonkeyPatch) -> None:
    watch, one, waited = Watch(monkeypatch), Slow(), 0.0
    monkeypatch.setattr(PACE, "waited", lambda: waited)
    with one.reading(alices, lambda _: None, patient=False) as block:
        watch.now += 100.0
        waited += 99.9
        block(1000)
    assert one.users() == ()


async def test_only_the_slow_go_beside(world: World) -> None:
    world.examine.slow._look("bob", 99.0)
    bobs = await world.deliver("bob", {f"{FOLDER}/{n:02}.jpg": shot(n) for n in range(20)})
    [alices] = await world.deliver("alice", {f"{FOLDER}/mine.jpg": shot(50)})
    forming = world.pipeline.forming
    opened, beside = forming.open(), forming.open_aside()
    assert opened is not None
    assert beside is not None
    assert [photo.id for photo in world.ledger.photos.of_batch(opened.id)] == [alices.id]
    members = {photo.id for photo in world.ledger.photos.of_batch(beside.id)}
    assert len(members) == 8
    assert {bobs[0].id, bobs[-1].id} <= members, "the oldest, and the newest"
    assert forming.unfinished() == [opened], "it is nobody else's while it is filled"
    assert forming.open_aside() is None, "one at a time"
    assert forming.open() is None
    forming.aside.discard(beside.id)
    await world.relay()
    assert {photo.state for photo in world.ledger.photos.by_state(*State)} == {State.DONE}
    assert len(world.archived()) == 21
    assert world.examine.slow.users() == (), "it was quick by now"


@pytest.mark.parametrize("archive", ["folder", "photoprism"])
async def test_nobody_waits_and_equal_photos_come_once(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, archive: str
) -> None:
    """Bob's disk answers nothing for a while; what alice has goes, one photo that bob has too among it."""
    world = await make_world(archive, **OFF)
    look, opened = world.examine._look, threading.Event()

    def waits(photo: Photo, **more: Any) -> Any:
        if photo.user == "bob" and more["patient"]:
            opened.wait(30)
        return look(photo, **more)

    monkeypatch.setattr(world.examine, "_look", waits)
    world.examine.slow._look("bob", 99.0)
    bobs = await world.deliver("bob", {f"{FOLDER}/{n}.jpg": shot(n) for n in range(10)})
    try:
        async with world.running():
            await world.until(lambda: len(world.pipeline.forming.aside) == 1)
            mine = await world.deliver("alice", {f"{FOLDER}/{n}.jpg": shot(n) for n in (0, 60, 61)})
            world.wake.set()
            await world.until(lambda: all(world.photo(one).state is State.DONE for one in mine))
            assert not any(world.photo(one).state is State.DONE for one in bobs)
            opened.set()
            await world.until(world.quiet)
    finally:
        opened.set()
    assert {world.photo(one).state for one in bobs} == {State.DONE}
    assert sorted(world.archived().values()) == sorted(shot(n) for n in (*range(10), 60, 61))


async def test_a_batch_goes_on_without_what_turns_out_slow(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    look = world.examine._look
    slowly: list[str] = []

    def reads(photo: Photo, **more: Any) -> Any:
        if photo.user == "bob" and not more["patient"]:
            slowly.append(photo.path)
            world.examine.slow._look("bob", 99.0)
            raise TooSlow
        return look(photo, **more)

    monkeypatch.setattr(world.examine, "_look", reads)
    bobs = await world.deliver("bob", {f"{FOLDER}/{n}.jpg": shot(n) for n in range(3)})
    [alices] = await world.deliver("alice", {f"{FOLDER}/mine.jpg": shot(50)})
    await world.relay()
    assert len(slowly) == 3
    assert {world.photo(one).state for one in (*bobs, alices)} == {State.DONE}
    assert world.photo(alices).batch_id != world.photo(bobs[0]).batch_id


async def test_a_rest_that_cannot_be_cleared_away_keeps_no_slow_user_waiting(world: World) -> None:
    """Only photos that wait for the archive do."""
    rest = world.ledger.batches.open("a" * 14, world.clock.wall())
    world.ledger.batches.wait(rest.id, Transient("disk.error", "EIO"), world.clock.wall(), world.clock.wall() + 300)
    world.examine.slow._look("bob", 99.0)
    bobs = await world.deliver("bob", {f"{FOLDER}/{n}.jpg": shot(n) for n in range(3)})
    async with world.running():
        await world.until(lambda: all(world.photo(one).state is State.DONE for one in bobs))


async def test_while_the_archive_is_away_a_slow_users_photos_stay_where_they_are(world: World) -> None:
    [mine] = await world.deliver("alice", {f"{FOLDER}/mine.jpg": shot(50)})
    world.archive_root.rename(world.root / "away")
    async with world.running():
        await world.until(lambda: world.photo(mine).state is State.WAITING)
        world.examine.slow._look("bob", 99.0)
        [bobs] = await world.deliver("bob", {f"{FOLDER}/1.jpg": shot(1)})
        world.wake.set()
        await anyio.sleep(0.3)
        assert world.photo(bobs).batch_id is None
        (world.root / "away").rename(world.archive_root)
        await world.later(600)
        await world.until(lambda: world.photo(bobs).state is State.DONE)


async def test_of_equal_photos_examined_side_by_side_one_goes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    write_down, known = world.examine._write_down, world.archive.known
    both = threading.Barrier(2, timeout=20)

    def at_once(*arguments: Any) -> Any:
        left = write_down(*arguments)
        both.wait()
        return left

    async def slowly(photos: Any) -> Any:
        await anyio.sleep(0.1)
        return await known(photos)

    monkeypatch.setattr(world.examine, "_write_down", at_once)
    monkeypatch.setattr(world.archive, "known", slowly)
    [one] = await world.deliver("alice", {f"{FOLDER}/a.jpg": shot(1)})
    [other] = await world.deliver("bob", {f"{FOLDER}/b.jpg": shot(1)})
    async with anyio.create_task_group() as group:
        group.start_soon(world.examine.groups, [[one]])
        group.start_soon(world.examine.groups, [[other]])
    twins = [world.photo(photo).duplicate_of for photo in (one, other)]
    assert sorted(twins, key=str) in ([one.id, None], [other.id, None]), twins


@pytest.mark.parametrize("archive", ["folder", "photoprism"])
async def test_equal_names_filled_side_by_side_all_arrive(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, archive: str
) -> None:
    """Both want the same names in the archive at the same time, and some have the same bytes."""
    world = await make_world(archive, **OFF)
    monkeypatch.setattr(world.examine.slow, "users", lambda: ("bob",))
    async with world.running():
        for start in range(0, 24, 12):
            names = [f"{FOLDER}/IMG_{n}.jpg" for n in range(start, start + 12)]
            mine = {name: shot(n, 200_000) for n, name in enumerate(names, start)}
            his = {name: shot(n if n % 4 == 0 else n + 500, 200_000) for n, name in enumerate(names, start)}
            await world.deliver("bob", his)
            await world.deliver("alice", mine)
            world.wake.set()
        for _ in range(40):
            await world.later(60)
            await anyio.sleep(0.1)
            if world.quiet():
                break
        await world.until(world.quiet)
    assert {photo.state for photo in world.ledger.photos.by_state(*State)} == {State.DONE}, world.said()
    contents = {shot(n, 200_000) for n in range(24)} | {shot(n + 500, 200_000) for n in range(24) if n % 4}
    assert sorted(world.archived().values()) == sorted(contents)


async def test_a_disk_that_never_answers_keeps_all_of_its_user_waiting_until_it_does(
    world: World, bobs: Photo, alices: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread hangs there, whatever is tried meanwhile; what is said names the file that hangs."""
    [other] = await world.deliver("bob", {f"{FOLDER}/other.jpg": shot(3)})
    one, answers, hangs = Slow(), threading.Event(), threading.Event()

    def read() -> None:
        with suppress(TooSlow), one.reading(bobs, lambda _: None, patient=False) as block:
            hangs.set()
            assert answers.wait(60)
            block(1000)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        assert hangs.wait(10)
        assert one.left(bobs, 2.0, patient=False) is None
        assert isinstance(one.left(bobs, 2.5, patient=False), TooSlow)
        assert one.users() == ("bob",)
        with one.reading(alices, lambda _: None, patient=True):
            pass
        monkeypatch.setattr(slow, "HUNG", 3.0)
        began = time.monotonic()
        with (
            pytest.raises(Transient, match=r"the disk of bob does not answer: b\.jpg is being read"),
            one.reading(other, lambda _: None, patient=True),
        ):
            pass
        assert 0.2 < time.monotonic() - began < 3, "first it may only be slow"
        for _ in range(2):  # the very one that hangs is tried again, and hangs once
            with (
                pytest.raises(Transient, match=r"b\.jpg is being read"),
                one.reading(bobs, lambda _: None, patient=True),
            ):
                pass
        assert isinstance(one.left(other, 2.9, patient=True), type(None))
        told = one.left(other, 3.1, patient=True)
        assert isinstance(told, Transient)
        assert "other.jpg" in told.message
    finally:
        answers.set()
        thread.join()
    monkeypatch.setattr(slow, "HUNG", 30.0)
    one.back(other)
    with one.reading(other, lambda _: None, patient=True):
        pass
