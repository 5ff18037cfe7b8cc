"""The two kinds of watcher by themselves: what they report, what makes them suspicious, that nothing falls between."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest

from daemon.watch import engine, tree
from daemon.watch.inotify import Watcher
from daemon.watch.model import Change, Suspicion
from daemon.watch.polling import Poller
from tests.watch.sinks import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from daemon.watch.inotify import Item


class Heard:
    def __init__(self) -> None:
        self.items: list[Item] = []

    async def __call__(self, items: list[Item]) -> None:
        self.items.extend(items)

    @property
    def present(self) -> set[str]:
        return {item.path for item in self.items if isinstance(item, Change) and item.kind == "present"}

    @property
    def gone(self) -> set[str]:
        return {item.path for item in self.items if isinstance(item, Change) and item.kind == "gone"}

    @property
    def suspicions(self) -> list[Suspicion]:
        return [item for item in self.items if isinstance(item, Suspicion)]


async def looking(watcher: Watcher) -> None:
    while True:
        await anyio.sleep(0.1)
        watcher.compare(await anyio.to_thread.run_sync(watcher.look))


@asynccontextmanager
async def running(watcher: Watcher | Poller, heard: Heard) -> AsyncIterator[None]:
    async with anyio.create_task_group() as group:
        group.start_soon(watcher.run, heard)
        if isinstance(watcher, Watcher):
            group.start_soon(looking, watcher)
        await until(lambda: watcher.standing)
        yield
        group.cancel_scope.cancel()


def watcher(base: Path, *roots: str) -> Watcher:
    one = Watcher(str(base), step=0.02)
    one.set_roots(roots)
    return one


async def test_roots_are_announced_and_changes_reported(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    heard = Heard()
    async with running(watcher(tmp_path, "a"), heard):
        await until(lambda: heard.items == [Suspicion("these folders are now watched", ("a",), expected=True)])
        (tmp_path / "a/x.jpg.part").write_bytes(b"x")
        (tmp_path / "a/x.jpg.part").rename(tmp_path / "a/x.jpg")
        await until(lambda: heard.present == {"a/x.jpg"} and heard.gone == {"a/x.jpg.part"})
        (tmp_path / "a/x.jpg").unlink()
        await until(lambda: "a/x.jpg" in heard.gone)
    assert len(heard.suspicions) == 1


async def test_the_new_watch_stands_before_the_old_one_ends(tmp_path: Path) -> None:
    """Files are made all the time while roots come and go; none may fall between two watches."""
    for name in "abcd":
        (tmp_path / name).mkdir()
    heard, stop = Heard(), threading.Event()
    made: list[str] = []

    def make() -> None:
        while not stop.is_set():
            path = f"a/{len(made)}.jpg"
            (tmp_path / path).write_bytes(b"x")
            made.append(path)
            time.sleep(0.002)

    one = watcher(tmp_path, "a")
    async with running(one, heard):
        thread = threading.Thread(target=make)
        thread.start()
        try:
            for roots in (["a", "b"], ["a", "b", "c"], ["a", "d"], ["a"]):
                one.set_roots(roots)
                await until(lambda: one.standing)
                await anyio.sleep(0.1)
        finally:
            stop.set()
            thread.join()
        await until(lambda: heard.present >= set(made))
    assert [item.roots for item in heard.suspicions] == [("a",), ("b",), ("c",), ("d",)]
    assert all(item.expected for item in heard.suspicions)


async def test_a_replaced_watch_is_read_to_its_end(tmp_path: Path) -> None:
    """What the old watch had gathered while its listener was busy is not dropped with it."""
    for name in "ab":
        (tmp_path / name).mkdir()
    heard, busy, go_on = Heard(), anyio.Event(), anyio.Event()

    async def slow(items: list[Item]) -> None:
        if any(isinstance(item, Change) for item in items) and not busy.is_set():
            busy.set()
            await go_on.wait()
        await heard(items)

    one = watcher(tmp_path, "a")
    async with anyio.create_task_group() as group:
        group.start_soon(one.run, slow)
        await until(lambda: one.standing)
        (tmp_path / "a/first.jpg").write_bytes(b"x")
        await busy.wait()
        (tmp_path / "a/second.jpg").write_bytes(b"x")
        await anyio.sleep(0.1)
        one.set_roots(["a", "b"])
        await anyio.sleep(0.2)
        go_on.set()
        await until(lambda: heard.present == {"a/first.jpg", "a/second.jpg"}, within=3)
        group.cancel_scope.cancel()


async def test_a_directory_known_by_other_names_is_reported_by_its_own(tmp_path: Path) -> None:
    """The library knows a directory by the last way in which it got there, which may be a link."""
    (tmp_path / "a/real").mkdir(parents=True)
    for number in range(12):
        (tmp_path / f"a/{number}").symlink_to("real")
    heard = Heard()
    async with running(watcher(tmp_path, "a"), heard):
        (tmp_path / "a/real/x.jpg").write_bytes(b"x")
        await until(lambda: heard.present == {"a/real/x.jpg"})


async def test_what_comes_while_nobody_takes_it_is_told_and_folders_stand_for_a_flood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "MOST_NAMED", 20)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    class Busy(Heard):
        def __init__(self) -> None:
            super().__init__()
            self.go = anyio.Event()
            self.calls = 0

        async def __call__(self, items: list[Item]) -> None:
            self.calls += 1
            await self.go.wait()
            await super().__call__(items)

    def flood() -> None:
        for number in range(60):
            (tmp_path / f"a/{number}.jpg").write_bytes(b"x")

    def beside() -> set[str]:
        return {path for path in heard.present if path.startswith("b/")}

    def is_told() -> bool:
        return any(one.roots == ("a",) and "too much" in one.reason for one in heard.suspicions)

    heard = Busy()
    async with running(watcher(tmp_path, "a", "b"), heard):
        await until(lambda: heard.calls == 1)
        (tmp_path / "b/1.jpg").touch()
        await until(lambda: heard.calls == 2)
        (tmp_path / "b/2.jpg").touch()
        await anyio.sleep(0.2)  # so that it is read by itself
        flood()
        await anyio.sleep(0.2)
        heard.go.set()
        await until(lambda: beside() == {"b/1.jpg", "b/2.jpg"} and is_told())
        heard.items.clear()
        heard.go, heard.calls = anyio.Event(), 0
        (tmp_path / "b/3.jpg").touch()
        await until(lambda: heard.calls == 1)
        flood()  # and nothing beside it
        await anyio.sleep(0.2)
        heard.go.set()
        await until(lambda: beside() == {"b/3.jpg"} and is_told())
        assert all(one.expected for one in heard.suspicions), "nothing is missing"


async def test_a_moved_root_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    heard = Heard()
    async with running(watcher(tmp_path, "a"), heard):
        (tmp_path / "a").rename(tmp_path / "b")
        (tmp_path / "a").mkdir()
        await until(lambda: any("not the directory it was" in item.reason for item in heard.suspicions))
        (tmp_path / "a/x.jpg").write_bytes(b"x")
        (tmp_path / "b/y.jpg").write_bytes(b"y")
        await until(lambda: "a/x.jpg" in heard.present)
    assert not any("y.jpg" in path for path in heard.present)


async def test_a_root_that_comes_later_is_watched_when_it_comes(tmp_path: Path) -> None:
    heard = Heard()
    async with running(watcher(tmp_path, "a"), heard):
        (tmp_path / "a").mkdir()
        await until(lambda: len(heard.suspicions) == 2)
        (tmp_path / "a/x.jpg").write_bytes(b"x")
        await until(lambda: heard.present == {"a/x.jpg"})


async def test_links_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "outside/deep").mkdir(parents=True)
    (tmp_path / "base/a/real").mkdir(parents=True)
    (tmp_path / "base/a/out").symlink_to(tmp_path / "outside")
    (tmp_path / "base/a/alias").symlink_to("real")
    heard = Heard()
    async with running(watcher(tmp_path / "base", "a"), heard):
        (tmp_path / "outside/deep/secret.jpg").write_bytes(b"x")
        (tmp_path / "base/a/link.jpg").symlink_to(tmp_path / "outside/deep/secret.jpg")
        (tmp_path / "base/a/later").symlink_to(tmp_path / "outside/deep")
        (tmp_path / "base/a/real/x.jpg").write_bytes(b"x")
        await until(lambda: bool(heard.present))
        (tmp_path / "outside/deep/secret.jpg").unlink()
        await anyio.sleep(0.4)
    assert heard.present == {"a/real/x.jpg"}
    assert heard.gone == set()


async def test_the_canary_is_heard_and_seen_by_nobody(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    heard = Heard()
    one = watcher(tmp_path, "a", "b")
    async with running(one, heard):
        before = (tmp_path / "a").stat()
        await until(lambda: len(heard.items) == 1)
        assert await one.prove()
        after = (tmp_path / "a").stat()
        assert (before.st_mtime_ns, before.st_mode, before.st_uid) == (after.st_mtime_ns, after.st_mode, after.st_uid)
        assert len(heard.items) == 1
    assert await one.prove() is None


async def test_a_deaf_watch_is_found_out(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()

    class Deaf(Watcher):
        async def _took(self, standing: object, batch: object) -> None:
            pass

    one = Deaf(str(tmp_path), step=0.02)
    one.set_roots(["a"])
    async with running(one, Heard()):
        assert await one.prove(within=0.3) is False


async def test_a_flat_watch_reports_directories(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    heard = Heard()
    one = Watcher(str(tmp_path), recursive=False, step=0.02)
    one.set_roots(["", "a"])
    async with running(one, heard):
        (tmp_path / "new/inner").mkdir(parents=True)
        (tmp_path / "a/in").mkdir()
        await until(lambda: {i.path for i in heard.items if isinstance(i, Change)} >= {"new", "a/in"})
        (tmp_path / "new/inner/x.jpg").write_bytes(b"x")
        await anyio.sleep(0.2)
    assert {i.path: i.kind for i in heard.items if isinstance(i, Change)} == {"new": "directory", "a/in": "directory"}


async def test_polling_sees_what_comes_changes_and_goes(tmp_path: Path) -> None:
    (tmp_path / "a/old").mkdir(parents=True)
    (tmp_path / "a/old/stood.jpg").write_bytes(b"x")
    past = time.time() - 1000
    os.utime(tmp_path / "a/old", (past, past))
    heard = Heard()
    one = Poller(str(tmp_path), interval=0.03)
    one.set_roots(["a"])
    async with running(one, heard):
        (tmp_path / "a/new/deep").mkdir(parents=True)
        (tmp_path / "a/new/deep/x.jpg").write_bytes(b"x")
        await until(lambda: heard.present == {"a/new/deep/x.jpg"})
        (tmp_path / "a/old/stood.jpg").write_bytes(b"written in place, which its directory does not show")
        await until(lambda: "a/old/stood.jpg" in heard.present)
        (tmp_path / "a/new/deep/x.jpg").unlink()
        await until(lambda: heard.gone == {"a/new/deep/x.jpg"})
        (tmp_path / "a/link.jpg").symlink_to(tmp_path / "a/old/stood.jpg")
        (tmp_path / "a/link").symlink_to(tmp_path / "a/old")
        await anyio.sleep(0.2)
    assert heard.present == {"a/new/deep/x.jpg", "a/old/stood.jpg"}
    assert [item.expected for item in heard.suspicions] == [True]
    assert one.directories == 4


async def test_polling_looks_closely_where_something_happened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that grows in place does not change its directory, so a directory stays under watch for some passes."""
    monkeypatch.setattr("daemon.watch.polling.FULL", 10**9)
    monkeypatch.setattr("daemon.watch.polling.RACY", 0.0)
    monkeypatch.setattr("daemon.watch.polling.HOT", 50)
    (tmp_path / "a").mkdir()
    heard = Heard()
    one = Poller(str(tmp_path), interval=0.02)
    one.set_roots(["a"])
    async with running(one, heard):
        with (tmp_path / "a/x.jpg").open("wb", buffering=0) as file:
            for size in (1, 2, 3):
                file.write(b"x")
                await until(lambda size=size: size in sizes(heard))  # type: ignore[misc]


def sizes(heard: Heard) -> set[int]:
    return {item.fingerprint.size for item in heard.items if isinstance(item, Change) and item.fingerprint}


def test_nothing_is_opened_through_a_link_or_upwards(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "base/real/deep").mkdir(parents=True)
    (tmp_path / "base/link").symlink_to(tmp_path / "outside")
    base = str(tmp_path / "base")
    for path in ("link", "real/../../outside", ".."):
        with pytest.raises(OSError, match=r"Not a directory|Invalid argument"):
            tree.open_directory(base, path)
    assert tree.identity(base, "real/deep") is not None
    assert [found.path for found in tree.walk(base, "")] == ["", "real", "real/deep"]


def test_a_walk_that_is_broken_off_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    for most in (1, 2, 3, 4):
        before = set(Path("/proc/self/fd").iterdir())
        assert len(list(islice(tree.walk(str(tmp_path), ""), most))) == most
        assert set(Path("/proc/self/fd").iterdir()) <= before


def test_a_very_deep_tree_is_not_entered_for_ever(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(150):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    before = len(list(Path("/proc/self/fd").iterdir()))
    found = list(tree.walk(str(tmp_path), ""))
    assert len(found) == tree.DEEPEST + 1
    assert found[-1].error is not None
    # Fewer, where others let go of something meanwhile.
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


UNPRIVILEGED = """
import os, sys
import anyio
from dataclasses import replace
from daemon.watch.watcher import Watch
from tests.watch.sinks import QUICK, Memory, running, until

async def main(root):
    await anyio.to_thread.run_sync(os.getpid)
    os.setgid(65534); os.setuid(65534)
    sink = Memory()
    folders = {"alice": ["Open", "Mixed"]}
    watch = Watch(QUICK, root, sink, lambda: folders)
    async with running(watch):
        await until(lambda: watch.status().mode == "mixed")
        for path in ("Open/a.jpg", "Mixed/after/b.jpg"):
            with open(f"{root}/alice/files/{path}", "wb") as file:
                file.write(b"x")
        await until(lambda: len(sink.paths) == 2)
        swept = await watch.sweep()
        status = watch.status()
    assert [path for path, _ in swept.unreadable] == ["alice/files/Mixed/closed"], swept.unreadable
    assert "Permission denied" in status.why, status.why
    assert status.unreadable == ("alice/files/Mixed/closed: Permission denied",), status.unreadable
    print("well")

anyio.run(main, sys.argv[1])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become a user who may not read everything")
def test_a_directory_that_may_not_be_read_hides_no_other(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("closed") / "data"
    for folder in ("Open", "Mixed/closed/inner", "Mixed/after", "Mixed/before"):
        (root / "alice/files" / folder).mkdir(parents=True)
    (root / ".ncdata").touch()
    for path in [root, *root.rglob("*")]:
        os.chown(path, 65534, 65534)
    os.chown(root / "alice/files/Mixed/closed", 0, 0)
    (root / "alice/files/Mixed/closed").chmod(0o700)
    for parent in [root.parent, *root.parent.parents]:
        if str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    done = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED, str(root)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "well\n", done.stderr
