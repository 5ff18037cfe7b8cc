"""The watch is stopped, starved, refused, deafened and misled: all is found within one sweep, and it says so."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from daemon.clock import Clock
from daemon.watch.watcher import Watch
from tests import uploads
from tests.watch.sinks import QUICK, Memory, running, until

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
LONG = os.environ.get("PHOTON_RELAY_TORTURE") == "all"
FOLDERS = {"alice": ["InstantUpload"]}
QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    uploads.make_data_dir(root, ["alice", "bob"], samples_too=False)
    (root / "alice/files/InstantUpload").mkdir(exist_ok=True)
    return root


@contextlib.contextmanager
def watching(data: Path, count: int, *before: str) -> Iterator[subprocess.Popen[str]]:
    """Run the watch as a process, as soon as it watches."""
    words = [*before, sys.executable, "-m", "tests.torture.stopped_watch", str(data), str(count)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> Any:
    assert process.stdout is not None
    return json.loads(process.stdout.readline())


@pytest.mark.timeout(300)
def test_a_flood_while_the_process_is_stopped(data: Path) -> None:
    """The kernel's queue overflows without a word to anybody: what stands there is found by the sweep that follows."""
    count = 40_000 if LONG else 4_000
    # A file is made, closed, renamed (two events) and given its time.
    assert count * 5 > int(QUEUE.read_text()) or LONG, "this machine's queue is too long for the short form"
    for number in range(40):
        (data / f"alice/files/InstantUpload/{number}").mkdir()
    with watching(data, count) as process:
        process.send_signal(signal.SIGSTOP)
        for number in range(count):
            path = data / f"alice/files/InstantUpload/{number % 40}/{number}.jpg"
            part = path.with_suffix(".jpg.ocTransferId1.part")
            part.write_bytes(b"x")
            part.rename(path)
            os.utime(path, (1_700_000_000, 1_700_000_000))
        process.send_signal(signal.SIGCONT)
        told = said(process)
    assert (told["paths"], told["twice"]) == (count, 0)
    assert any("overflow" in reason for reason in told["reasons"]), told["reasons"]
    assert told["status"]["suspicions"] >= 1


def limited() -> list[str]:
    """Give the words before a command that may have 60 watches only; nothing changes for the rest of the machine."""
    limit = 'echo 60 > /proc/sys/user/max_inotify_watches && exec "$@"'
    before = ["unshare", "--user", "--map-root-user", "sh", "-c", limit, "sh"]
    if subprocess.run([*before, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs user namespaces: sysctl -w kernel.unprivileged_userns_clone=1, or run as root")
    return before


def test_watches_that_the_kernel_refuses(data: Path) -> None:
    """In a user namespace of its own the process may have 60 watches, while the machine's limit says plenty."""
    before = limited()
    for number in range(10):
        (data / f"alice/files/InstantUpload/{number}").mkdir()
    with watching(data, 100, *before) as process:
        for number in range(100):
            folder = data / f"alice/files/InstantUpload/later{number}"
            folder.mkdir()
            # The first listing is over by the time that the photo comes; only a watch, or a sweep, would see it.
            (folder / "notes.dat").write_text("x")
        assert process.stdin is not None
        time.sleep(1.5)
        for number in range(100):
            (data / f"alice/files/InstantUpload/later{number}/a.jpg").write_bytes(b"x")
        process.stdin.write("\n")
        process.stdin.flush()
        told = said(process)
    assert (told["paths"], told["twice"]) == (100, 0)
    assert told["status"]["mode"] == "poll"
    assert "grants no more watches" in told["status"]["why"]
    assert any("grants no more watches" in reason for reason in told["reasons"])


def test_fewer_watches_than_folders_at_the_start(data: Path) -> None:
    before = limited()
    for number in range(100):
        (data / f"alice/files/InstantUpload/{number}").mkdir()
    with watching(data, 100, *before) as process:
        for number in range(100):
            (data / f"alice/files/InstantUpload/{number}/a.jpg").write_bytes(b"x")
        told = said(process)
    assert (told["paths"], told["twice"]) == (100, 0)
    assert told["status"]["mode"] == "poll"
    assert "grants no more watches" in told["status"]["why"]


def deafen() -> int:
    """Take every inotify watch of this process away from it, behind its back; gives how many."""
    libc = ctypes.CDLL(None, use_errno=True)
    taken = 0
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if str(entry.readlink()).startswith("anon_inode:inotify"):
                for line in Path(f"/proc/self/fdinfo/{entry.name}").read_text().splitlines():
                    if line.startswith("inotify wd:"):
                        taken += libc.inotify_rm_watch(int(entry.name), int(line.split()[1][3:], 16)) == 0
    return taken


async def test_a_watch_that_went_deaf_is_noticed(data: Path) -> None:
    """All its watches are gone and it reports nothing: it is told, all is found, and it hears again."""
    sink = Memory()
    watch = Watch(replace(QUICK, prove_every=0.3), str(data), sink, lambda: FOLDERS)
    async with running(watch):
        await until(lambda: watch.status().verified_at is not None)
        assert watch.status().mode == "inotify"
        assert deafen() > 0
        uploads.put(data / "alice", "InstantUpload/unheard.jpg", b"x")
        await until(lambda: any("its watch was lost" in reason for reason in sink.reasons), 30)
        await until(lambda: sink.paths == ["alice/InstantUpload/unheard.jpg"])
        await until(lambda: watch.status().mode == "inotify", 30)
        uploads.put(data / "alice", "InstantUpload/heard.jpg", b"x")
        await until(lambda: len(sink.paths) == 2)
    assert watch.status().suspicions >= 1


class Jumping(Clock):
    """The machine's clocks, which a test may set."""

    def __init__(self) -> None:
        self.on_the_wall = self.monotone = 0.0

    def wall(self) -> float:
        return super().wall() + self.on_the_wall

    def monotonic(self) -> float:
        return super().monotonic() + self.monotone


@pytest.mark.parametrize("wall", [86_400.0, -86_400.0, 30.0], ids=["suspended for a day", "set back a day", "set"])
async def test_clocks_that_jump(data: Path, wall: float) -> None:
    """In suspend, and where the clock is set, nobody knows what was missed: it is looked for at once."""
    sink, clock = Memory(), Jumping()
    watch = Watch(replace(QUICK, prove_every=3600), str(data), sink, lambda: FOLDERS, clock=clock)
    async with running(watch):
        await until(lambda: watch.status().verified_at is not None)
        deafen()
        uploads.put(data / "alice", "InstantUpload/2026/11/unheard.jpg", b"x")
        clock.on_the_wall = wall
        await until(lambda: sink.paths == ["alice/InstantUpload/2026/11/unheard.jpg"])
    assert any("wall clock moved" in reason for reason in sink.reasons), sink.reasons
    assert watch.status().suspicions >= 1


@pytest.mark.parametrize("what", ["the folder", "the home", "the data directory"])
async def test_a_root_that_is_replaced(data: Path, what: str) -> None:
    """Somebody puts another folder in its place, as a restored backup or a new mount does."""
    sink = Memory()
    watch = Watch(QUICK, str(data), sink, lambda: FOLDERS)
    place = {
        "the folder": data / "alice/files/InstantUpload", "the home": data / "alice", "the data directory": data,
    }[what]  # fmt: skip
    async with running(watch):
        uploads.put(data / "alice", "InstantUpload/first.jpg", b"1")
        await until(lambda: len(sink.paths) == 1)
        fresh = data.parent / "fresh"
        shutil.copytree(place, fresh)
        (fresh / (data / "alice/files/InstantUpload").relative_to(place) / "there before.jpg").write_bytes(b"2")
        place.rename(data.parent / "old")
        fresh.rename(place)
        await until(lambda: len(set(sink.paths)) == 2, 20)
        uploads.put(data / "alice", "InstantUpload/after.jpg", b"3")
        await until(lambda: len(set(sink.paths)) == 3, 20)
    assert set(sink.paths) == {f"alice/InstantUpload/{name}.jpg" for name in ("first", "there before", "after")}
    assert any("not the directory it was" in reason or "is back" in reason for reason in sink.reasons), sink.reasons


UNREADABLE = """
import os, sys
import anyio
from daemon.watch.watcher import Watch
from tests.watch.sinks import QUICK, Memory, running, until

async def main(root):
    await anyio.to_thread.run_sync(os.getpid)
    os.setgid(65534); os.setuid(65534)
    sink = Memory()
    folders = {"alice": ["InstantUpload"]}
    inner = f"{root}/alice/files/InstantUpload/inner"
    watch = Watch(QUICK, root, sink, lambda: folders)
    async with running(watch):
        with open(f"{inner}/shut.jpg", "wb") as file:
            os.chmod(inner, 0)
            file.write(b"x")
        with open(f"{root}/alice/files/InstantUpload/b.jpg", "wb") as file:
            file.write(b"x")
        await until(lambda: "alice/InstantUpload/b.jpg" in sink.paths)
        swept = await watch.sweep()
        assert [path for path, _ in swept.unreadable] == ["alice/files/InstantUpload/inner"], swept.unreadable
        assert watch.status().unreadable == ("alice/files/InstantUpload/inner: Permission denied",)
        os.chmod(inner, 0o700)
        await watch.sweep()
        await until(lambda: "alice/InstantUpload/inner/shut.jpg" in sink.paths)
        assert watch.status().unreadable == ()
    print("well")

anyio.run(main, sys.argv[1])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become a user who may not read everything")
def test_a_folder_that_becomes_unreadable_and_readable_again(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("shut") / "data"
    (root / "alice/files/InstantUpload/inner").mkdir(parents=True)
    (root / ".ncdata").touch()
    for path in [root, *root.rglob("*")]:
        os.chown(path, 65534, 65534)
    for parent in [root.parent, *root.parent.parents]:
        if str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    done = subprocess.run(
        [sys.executable, "-c", UNREADABLE, str(root)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "well\n", done.stderr
