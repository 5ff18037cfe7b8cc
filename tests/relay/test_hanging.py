"""A disk that hangs after a photo was read: while it is placed, recognised or let go it holds up its user alone."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from daemon.files import opening, releasing
from daemon.ledger.model import State
from daemon.relay import batch_folder, folder_place, folder_stock, refresh, releases, removals, slow
from daemon.relay.abreast import Halted, abreast, stay
from tests.relay.world import FOLDER, World, shot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from daemon.ledger.model import Photo
    from tests.relay.conftest import MakeWorld

OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}


class Disk:
    """Hangs at calls for files of this name until it answers."""

    def __init__(self, name: str = "hung.jpg") -> None:
        self.name = name
        self.answers = threading.Event()
        self.calls = 0

    def over(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*arguments: Any, **more: Any) -> Any:
            if any(isinstance(one, str) and one.endswith(self.name) for one in arguments):
                self.calls += 1
                self.answers.wait(60)
            return call(*arguments, **more)

        return asked


@pytest.fixture
def disk() -> Iterator[Disk]:
    one = Disk()
    yield one
    one.answers.set()


async def until_done(world: World, photos: list[Any]) -> None:
    for _ in range(100):
        await world.later(30)
        await anyio.sleep(0.1)
        if all(world.photo(photo).state is State.DONE for photo in photos):
            return
    raise AssertionError(world.said())


@pytest.mark.parametrize("archive", ["folder", "photoprism"])
async def test_photos_whose_disk_hangs_when_they_are_placed_leave_the_batch(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, disk: Disk, archive: str
) -> None:
    world = await make_world(archive, **OFF)
    module, name = (folder_place, "open_regular") if archive == "folder" else (batch_folder, "file_below")
    monkeypatch.setattr(module, name, disk.over(getattr(module, name)))
    hers = {f"{FOLDER}/{one}.jpg": shot(n) for n, one in enumerate(["hung", "other", "third"])}
    alices = await world.deliver("alice", hers)
    bobs = await world.deliver("bob", {f"{FOLDER}/{n}.jpg": shot(10 + n) for n in range(3)})
    async with world.running():
        await world.until(lambda: all(world.photo(one).state is State.DONE for one in bobs), 20)
        assert disk.calls == 1
        # Others of hers may have been opened before, beside it.
        assert world.photo(alices[0]).state in {State.SETTLED, State.WAITING}, world.said()
        assert shot(0) not in world.archived().values()
        [later] = await world.deliver("bob", {f"{FOLDER}/later.jpg": shot(20)})
        world.wake.set()
        await world.until(lambda: world.photo(later).state is State.DONE, 5)
        disk.answers.set()
        await until_done(world, alices)
    assert sorted(world.archived().values()) == sorted([*hers.values(), *(shot(10 + n) for n in range(3)), shot(20)])


async def test_a_disk_that_hangs_when_the_archives_own_files_are_compared_holds_up_its_user_alone(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, disk: Disk
) -> None:
    world = await make_world("folder", **OFF)
    # Another file of that size, so that the upload's beginning is looked at.
    (world.archive_root / "old.jpg").write_bytes(bytes(len(shot(0))))
    monkeypatch.setattr(folder_stock, "open_regular", disk.over(opening.open_regular))
    alices = await world.deliver("alice", {f"{FOLDER}/hung.jpg": shot(0)})
    bobs = await world.deliver("bob", {f"{FOLDER}/his.jpg": shot(1)})
    async with world.running():
        await world.until(lambda: all(world.photo(one).state is State.DONE for one in bobs), 20)
        assert disk.calls == 1
        disk.answers.set()
        await until_done(world, alices)


async def test_originals_whose_disk_hangs_are_let_go_in_a_lane_of_their_own(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, disk: Disk
) -> None:
    world = await make_world("folder", **OFF)
    monkeypatch.setattr(slow, "HUNG", 0.3)
    monkeypatch.setattr(removals, "hide", disk.over(releasing.hide))
    alices = await world.deliver("alice", {f"{FOLDER}/{name}.jpg": shot(n) for n, name in enumerate(["hung", "b"])})
    bobs = await world.deliver("bob", {f"{FOLDER}/his.jpg": shot(10)})
    async with world.running():
        await world.until(lambda: world.photo(bobs[0]).state is State.DONE, 20)
        bobs += await world.deliver("bob", {f"{FOLDER}/more.jpg": shot(11)})
        alices += await world.deliver("alice", {f"{FOLDER}/c.jpg": shot(3)})
        await world.later(60)
        await world.until(lambda: world.photo(bobs[1]).state is State.DONE, 20)
        await world.until(lambda: world.photo(alices[2]).state is State.ARCHIVED, 20)
        await world.until(lambda: any(one.code == "disk.unanswered" for one in world.issues.all()), 5)
        [said] = [one for one in world.issues.all() if one.code == "disk.unanswered"]
        assert "the disk of alice does not answer: hung.jpg is in the archive" in said.message
        assert said.subject == "alice"
        # Galleries do not wait for a disk that hangs.
        await world.until(lambda: not world.pipeline.originals.busy, 5)
        assert disk.calls == 1
        assert all(world.photo(one).state is State.ARCHIVED for one in alices)
        disk.answers.set()
        await until_done(world, alices)
        assert not world.issues.all()
    assert world.standing("alice") == {}


async def test_no_more_lanes_than_threads_are_granted(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, disk: Disk
) -> None:
    world = await make_world("folder", **OFF)
    monkeypatch.setattr(releases, "LANES", 1)
    monkeypatch.setattr(removals, "hide", disk.over(releasing.hide))
    alices = await world.deliver("alice", {f"{FOLDER}/hung.jpg": shot(0)})
    async with world.running():
        await world.until(lambda: disk.calls == 1, 20)
        bobs = await world.deliver("bob", {f"{FOLDER}/his.jpg": shot(10)})
        await world.later(1)
        await world.until(lambda: world.photo(bobs[0]).state is State.ARCHIVED, 20)
        disk.answers.set()
        await until_done(world, [*alices, *bobs])


async def test_what_is_left_does_no_deed_and_what_does_one_is_not_left() -> None:
    answers, deeds = threading.Event(), list[str]()

    def work(item: str) -> str:
        if item == "hangs before":
            answers.wait(60)
        stay()
        if item == "hangs after":
            answers.wait(60)
        deeds.append(item)
        return item

    async def answer() -> None:
        await anyio.sleep(2.0)
        answers.set()

    asked: list[str] = []

    def leave(item: str, silent: float) -> Exception | None:
        asked.append(item)
        return ValueError("left") if silent > 1.0 else None

    left = threading.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(answer)
        found = await abreast(work, ["hangs before", "hangs after", "well"], 2, leave=leave, at_end=left.set)
    assert [type(one) for one in found] == [ValueError, str, str]
    assert await anyio.to_thread.run_sync(left.wait, 10)
    assert sorted(deeds) == ["hangs after", "well"]
    assert "hangs after" not in asked
    assert isinstance(Halted(), Exception)


async def test_whose_disk_was_left_just_as_it_answered_counts_as_hanging_no_longer(world: World) -> None:
    """Left between the answer and the end of the work: what says that it hangs must go with the work."""
    [photo] = await world.deliver("bob", {f"{FOLDER}/his.jpg": shot(1)})
    known = slow.Slow()

    def work(one: Photo) -> None:
        with known.opening(one, patient=False):
            pass
        time.sleep(slow.PATIENCE + 2)  # a folder's closing, say

    ended = threading.Event()
    leave = partial(known.not_opened, patient=False)
    [why] = await abreast(work, [photo], 2, leave=leave, back=known.back, at_end=ended.set)
    assert isinstance(why, Exception)
    assert known._hung
    assert await anyio.to_thread.run_sync(ended.wait, 10)
    assert not known._hung


async def test_where_a_disk_hangs_while_originals_go_the_rest_goes_by_the_rules_of_then(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, disk: Disk
) -> None:
    world = await make_world("folder", **OFF)
    monkeypatch.setattr(removals, "_LONGEST", 0.5)
    monkeypatch.setattr(removals, "hide", disk.over(releasing.hide))
    names = ["hung", "b", "c"]
    photos = await world.deliver("alice", {f"{FOLDER}/{name}.jpg": shot(n) for n, name in enumerate(names)})
    async with world.running():
        await world.until(lambda: disk.calls == 1)
        world.change(**OFF, users={"after": "keep"})
        await anyio.sleep(0.6)
        disk.answers.set()
        await until_done(world, photos)
    assert set(world.standing("alice")) == {f"files/{FOLDER}/{name}.jpg" for name in ["b", "c"]}


async def test_galleries_do_not_wait_for_a_disk_whose_files_are_to_be_counted(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, disk: Disk
) -> None:
    world = await make_world("folder")
    disk.name = "alice/files"
    monkeypatch.setattr(refresh, "COUNTING", 0.5)
    monkeypatch.setattr(refresh, "_count_below", disk.over(refresh._count_below))
    photos = await world.deliver("alice", {f"{FOLDER}/{n}/x.jpg": shot(n) for n in range(12)})
    photos += await world.deliver("bob", {f"{FOLDER}/his.jpg": shot(20)})
    async with world.running():
        await world.until(lambda: all(world.photo(one).state is State.DONE for one in photos), 30)
    assert disk.calls == 1
