"""A disk that hangs, or takes seconds, while its folders are looked at: nobody else's photos wait for it."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from daemon.watch import digest as digests
from daemon.watch import doubts, lookouts, questions, tree
from daemon.watch.model import Change, Suspicion
from daemon.watch.polling import Poller
from daemon.watch.questions import Questions
from daemon.watch.watcher import Watch
from tests import uploads
from tests.watch.sinks import QUICK, Memory, running, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

USERS = ("alice", "bob")
FOLDERS = {user: ["InstantUpload", "Camera"] for user in USERS}


class Disk:
    """Hangs at calls that have to do with alice until it answers."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.calls = 0

    def over(self, call: Callable[..., Any], at: slice = slice(None)) -> Callable[..., Any]:
        def asked(*arguments: Any, **more: Any) -> Any:
            if "alice" in repr(arguments[at]):
                self.calls += 1
                self.answers.wait(60)
            return call(*arguments, **more)

        return asked


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    monkeypatch.setattr(questions, "HUNG", 1.0)
    monkeypatch.setattr(doubts, "_AGAIN", 0.2)
    one = Disk()
    yield one
    one.answers.set()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    uploads.make_data_dir(root, USERS, samples_too=False)
    for user in USERS:
        (root / user / "files/InstantUpload").mkdir(exist_ok=True)
    return root


async def test_a_sweep_of_a_disk_that_hangs_ends_and_keeps_nobody_waiting(
    data: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk
) -> None:
    sink = Memory()
    watch = Watch(QUICK, str(data), sink, lambda: FOLDERS)
    async with running(watch):
        await until(lambda: watch.status().verified_at is not None)
        before = threading.active_count()
        monkeypatch.setattr(tree, "parts", disk.over(tree.parts))
        for number in range(3):
            uploads.bulk(data / "alice", f"InstantUpload/{number}.jpg", b"x")
        uploads.bulk(data / "bob", "InstantUpload/his.jpg", b"x")
        began = time.monotonic()
        swept = await watch.sweep()
        assert time.monotonic() - began < 5
        assert swept.unanswered == ["alice"]
        assert any("its disk does not answer" in why for _, why in swept.unreadable)
        assert "alice/files/InstantUpload: its disk does not answer" in watch.status().unreadable
        for _ in range(3):
            assert (await watch.sweep()).unanswered == ["alice"]
            watch.suspect("somebody said so")
            await anyio.sleep(0.3)
        await until(lambda: "bob/InstantUpload/his.jpg" in sink.paths)
        assert disk.calls == 1
        assert threading.active_count() <= before + 3
        disk.answers.set()
        await until(lambda: len(sink.paths) == 4)
        assert len(set(sink.paths)) == 4
        await until(lambda: not watch.status().unreadable)


async def test_a_slow_walk_loses_its_turn_and_is_taken_in_all_the_same(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parts(*arguments: Any, **more: Any) -> Any:
        if "alice" in repr(arguments):
            time.sleep(0.8)
        return list(real(*arguments, **more))

    real = tree.parts
    for number in range(4):
        uploads.bulk(data / "alice", f"InstantUpload/{number}/x.jpg", b"x")
    uploads.bulk(data / "bob", "InstantUpload/his.jpg", b"x")
    sink = Memory()
    watch = Watch(QUICK, str(data), sink, lambda: FOLDERS)
    async with running(watch):
        await until(lambda: len(sink.paths) == 5)
        monkeypatch.setattr(tree, "parts", parts)
        sink.taken.clear()
        sink.groups.clear()
        began = time.monotonic()
        watch.suspect("somebody said so")
        await until(lambda: sink.paths == ["bob/InstantUpload/his.jpg"])
        assert time.monotonic() - began < 2.5
        await until(lambda: len(sink.paths) == 5)


@pytest.mark.parametrize("name", ["digest", "look_again", "look"])
async def test_events_and_questions_of_one_disk_that_hangs_keep_nobody_waiting(
    data: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk, name: str
) -> None:
    sink = Memory()
    watch = Watch(QUICK, str(data), sink, lambda: FOLDERS)
    async with running(watch):
        await until(lambda: watch.status().verified_at is not None)
        if name == "digest":
            monkeypatch.setattr(digests, "digest", disk.over(digests.digest, slice(2, 3)))
        elif name == "look":
            monkeypatch.setattr(tree, "names_in", disk.over(tree.names_in))
        else:
            monkeypatch.setattr(tree, "fingerprints", disk.over(tree.fingerprints))
            began = time.monotonic()
            await watch.look_again("alice", "InstantUpload/hers.jpg")
            assert time.monotonic() - began < 4
        uploads.bulk(data / "alice", "InstantUpload/hers.jpg", b"x")
        for number in range(3):
            uploads.bulk(data / "bob", f"InstantUpload/{number}.jpg", b"x")
            await until(lambda: f"bob/InstantUpload/{number}.jpg" in sink.paths, within=8)  # noqa: B023  asked now
        assert disk.calls <= 2
        disk.answers.set()
        await until(lambda: "alice/InstantUpload/hers.jpg" in sink.paths)


async def test_new_folders_are_watched_while_the_disk_of_somebody_else_hangs(
    data: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk
) -> None:
    sink, seen = Memory(), list[frozenset[str]]()

    async def homes_seen(homes: frozenset[str]) -> None:
        seen.append(homes)

    watch = Watch(replace(QUICK, mode="poll"), str(data), sink, lambda: FOLDERS, homes_seen=homes_seen)
    async with running(watch):
        await until(lambda: watch.status().verified_at is not None)
        monkeypatch.setattr(tree, "stat_directory", disk.over(tree.stat_directory))
        await until(lambda: disk.calls > 0)
        uploads.bulk(data / "bob", "Camera/new.jpg", b"x")
        await until(lambda: sink.paths == ["bob/Camera/new.jpg"], within=15)
        uploads.bulk(data / "alice", "InstantUpload/hers.jpg", b"x")
        disk.answers.set()
        await until(lambda: len(sink.paths) == 2)
        uploads.bulk(data / "alice", "Camera/hers.jpg", b"x")
        await until(lambda: len(sink.paths) == 3)
    assert all("alice" in homes for homes in seen), seen


async def test_polling_goes_on_beside_a_root_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk
) -> None:
    for root in ("alice", "bob"):
        (tmp_path / root).mkdir()
    items: list[Any] = []

    async def out(told: list[Any]) -> None:
        items.extend(told)

    one = Poller(str(tmp_path), interval=0.05)
    one.set_roots(["alice", "bob"])
    async with anyio.create_task_group() as group:
        group.start_soon(one.run, out)
        await until(lambda: one.standing)
        monkeypatch.setattr(tree, "listing", disk.over(tree.listing))
        (tmp_path / "alice/hers.jpg").write_bytes(b"x")
        await until(lambda: disk.calls > 0)
        for name in ("his.jpg", "other.jpg"):
            (tmp_path / "bob" / name).write_bytes(b"x")
            await until(lambda: f"bob/{name}" in paths(items), within=5)  # noqa: B023  asked within this turn
        assert disk.calls == 1
        assert "alice/hers.jpg" not in paths(items)
        disk.answers.set()
        await until(lambda: "alice/hers.jpg" in paths(items))
        one.set_roots(["alice", "bob", "carol"])
        await until(lambda: one.standing)
        group.cancel_scope.cancel()
    assert [item.roots for item in items if isinstance(item, Suspicion)] == [("alice", "bob"), ("carol",)]


def paths(items: list[Any]) -> set[str]:
    return {item.path for item in items if isinstance(item, Change)}


async def test_one_question_hangs_at_a_time_and_what_it_raises_is_raised() -> None:
    answers, asked = threading.Event(), Questions()
    for _ in range(3):
        with pytest.raises(TimeoutError, match="does not answer"):
            await asked.answer("alice", answers.wait, 0.1)
    assert await asked.answer("bob", lambda: 1, 5) == 1
    with pytest.raises(ZeroDivisionError):
        await asked.answer("bob", lambda: 1 // 0, 5)
    answers.set()
    assert await asked.answer("alice", lambda: 2, 5) == 2


async def test_many_may_wait_for_one_healthy_disk() -> None:
    asked, found = Questions(), list[int]()

    def slowly(number: int) -> int:
        time.sleep(0.1)
        return number

    async def one(number: int) -> None:
        found.append(await asked.answer("bob", partial(slowly, number), 5))

    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(one, number)
    assert sorted(found) == [0, 1, 2, 3, 4]


async def test_who_hangs_no_more_is_looked_at_though_another_one_hangs(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that hangs at alice's is given up; going on, it would hang at bob's, and alice with it for ever."""
    answers = {user: threading.Event() for user in USERS}
    real, asked = tree.stat_directory, list[str]()

    def stat(base: str, path: str) -> Any:
        for user in USERS:
            if path.startswith(user):
                asked.append(user)
                answers[user].wait(60)
        return real(base, path)

    sink = Memory()
    watch = Watch(replace(QUICK, mode="poll"), str(data), sink, lambda: FOLDERS)
    async with running(watch):
        await until(lambda: watch.status().verified_at is not None)
        monkeypatch.setattr(lookouts, "SOON", 0.2)
        monkeypatch.setattr(questions, "SOON", 0.2)
        lookout = watch._lookouts
        monkeypatch.setattr(tree, "stat_directory", stat)
        monkeypatch.setattr(tree, "identity", lambda base, path: stat(base, path) and path)
        await until(lambda: set(lookout._hanging) == set(USERS), within=15)
        answers["alice"].set()
        await until(lambda: lookout._hanging["alice"].over, within=5)
        answers["bob"].set()
