"""What may have been missed is looked for: each user's by itself, in their order, as often as there is doubt."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest

from daemon.clock import Clock
from daemon.watch.doubts import Doubts
from daemon.watch.model import Suspicion
from daemon.watch.watcher import Watch
from tests import uploads
from tests.watch.sinks import QUICK, Memory, running, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from daemon.watch.remembered import Target

USERS = [f"user{number:02}" for number in range(30)]


class Swept:
    """Doubts about thirty users with two folders each; their sweeps go on until they are told to end."""

    def __init__(self) -> None:
        self.began: list[list[Target]] = []
        self.go = anyio.Event()
        self.told: list[str] = []
        self.all_swept = 0
        self.doubts = Doubts(
            lambda: {user: ["Camera", "Up"] for user in USERS},
            lambda path: (path.split("/")[0], path.split("/")[2]),
            tell=self._tell,
            sweep=self._sweep,
            all_swept=self._all,
        )

    async def _tell(self, reason: str) -> None:
        self.told.append(reason)

    async def _sweep(self, targets: list[Target]) -> bool:
        self.began.append(targets)
        await self.go.wait()
        return True

    async def _all(self) -> None:
        self.all_swept += 1

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(self.doubts.run)
            yield
            group.cancel_scope.cancel()

    async def doubt(self, reason: str, *roots: str) -> None:
        """Have some roots doubted, as it was to be expected, or everything; returns when all goes on that can."""
        self.doubts.add(Suspicion(reason, roots or None, expected=bool(roots)))
        await anyio.wait_all_tasks_blocked()


async def test_nobody_waits_until_another_one_is_swept() -> None:
    """One whose folders changed just now is looked at for seconds, to see whether they change once more."""
    swept = Swept()
    async with swept.running():
        await swept.doubt("an overflow")
        assert swept.began == [[(user, "Camera"), (user, "Up")] for user in USERS], "each, and in their order"
        assert (swept.told, swept.all_swept) == (["an overflow"], 0)
        swept.go.set()
        await anyio.wait_all_tasks_blocked()
        assert swept.all_swept == 1


async def test_who_is_doubted_while_they_are_swept_is_swept_again() -> None:
    """What came where the sweep had been already is found by the next one; two at a time would be no better."""
    swept = Swept()
    async with swept.running():
        for folder in ("Up", "Up", "Camera", "Up"):
            await swept.doubt("a flood", f"user01/files/{folder}")
        assert swept.began == [[("user01", "Up")]]
        swept.go.set()
        await anyio.wait_all_tasks_blocked()
        assert swept.began == [[("user01", "Up")], [("user01", "Camera"), ("user01", "Up")]]
        assert (swept.told, swept.all_swept) == ([], 0), "it was expected, and is no doubt about everything"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    uploads.make_data_dir(root, ["alice", "bob", "carol"], samples_too=False)
    for user in ("alice", "bob", "carol"):
        uploads.put(root / user, "InstantUpload/x.jpg", b"x")
    return root


FOLDERS = {user: ["InstantUpload"] for user in ("alice", "bob", "carol")}


async def test_users_come_in_their_order_however_long_it_takes_to_ask_for_the_data(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who comes first decides who gets which number where names in the archive clash."""
    sink, pauses = Memory(), iter([0.2, 0.1])
    watch = Watch(QUICK, str(data), sink, lambda: FOLDERS)
    there = watch._there

    async def late() -> bool:
        await anyio.sleep(next(pauses, 0))
        return await there()

    monkeypatch.setattr(watch, "_there", late)
    async with running(watch):
        await until(lambda: len(sink.offered) >= 3)
        assert [one.user for one in sink.offered[:3]] == ["alice", "bob", "carol"]


class Waiting(Clock):
    """A clock on which nobody's pause is over until it is told so."""

    def __init__(self) -> None:
        self.asleep = 0
        self.go = anyio.Event()

    async def sleep(self, seconds: float) -> None:
        del seconds
        self.asleep += 1
        await self.go.wait()


async def test_who_waits_for_a_folder_that_changed_just_now_takes_nobodys_turn(data: Path) -> None:
    sink, clock = Memory(), Waiting()
    watch = Watch(QUICK, str(data), sink, lambda: FOLDERS, clock=clock)
    watch.set_folders(FOLDERS)
    sweeping = watch._sweeping
    sweeping._walks = anyio.Semaphore(1)
    for user in FOLDERS:
        uploads.put(data / user, "InstantUpload/y.jpg", b"y")
    async with anyio.create_task_group() as group:
        for user in FOLDERS:
            group.start_soon(partial(sweeping.run, [(user, "InstantUpload")], full=True))
        await until(lambda: clock.asleep == 3)
        assert {one.user for one in sink.offered} == {"alice", "bob", "carol"}
        for user in FOLDERS:
            uploads.put(data / user, "InstantUpload/z.jpg", b"z")
        clock.go.set()
    assert sum(one.path == "InstantUpload/z.jpg" for one in sink.offered) == 3, "they are looked at once more"
