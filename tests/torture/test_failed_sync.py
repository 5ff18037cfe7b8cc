"""A disk that fails to write once, and says so once: nobody believes the next sync, nor what is read from memory.

A real file system on a loop device over the layer of ``tests/torture/fuse``, which fails one write: the kernel then
calls the pages clean that it could not write, and the next ``fsync`` succeeds (ext4, XFS and btrfs, Linux 6.18).
"""

from __future__ import annotations

import ctypes
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from blake3 import blake3

from daemon.errors import Transient
from daemon.files.syscalls import syncfs
from daemon.ledger.model import State
from daemon.relay import originals
from tests.relay.conftest import a_world
from tests.relay.world import FOLDER, World, shot
from tests.torture.disks import Disks
from tests.torture.fuse.mount import Mount
from tests.torture.needs import needs_fuse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

pytestmark = [needs_fuse, pytest.mark.timeout(300)]
OFF: dict[str, Any] = {"nextcloud": {"occ": {"via": "off"}}}
SIZE = 40_000
"""Bytes of a photo: more than btrfs keeps beside a name, so that they are written by themselves."""
MONTH = "2026/11"
QUIET: dict[str, dict[str, Any]] = {
    "ext4": {"make": ("-E", "lazy_itable_init=0,lazy_journal_init=0"), "options": "commit=600"},
    "btrfs": {"options": "commit=600"},
}
"""Disks that write nothing by themselves, which would meet the fault in a photo's place on a slow machine."""


class FailingDisk:
    """A disk of some kind, mounted at ``point``, of which a write can fail."""

    def __init__(self, layer: Mount, point: Path) -> None:
        self.point = point
        self._layer = layer

    def fail_once(self) -> None:
        """Have the next write fail that reaches the disk; all that is dirty by now is written before."""
        with opened(self.point) as fd:
            syncfs(fd)
        self._layer.fault("write", errno="EIO", times=1)

    def write_back(self, files: Iterable[Path]) -> None:
        """Have the kernel write these files back by itself, and fail; nobody hears of it."""
        for path in files:
            with opened(path) as fd:
                start_writing(fd)
        until = time.monotonic() + 20
        while not self.has_failed():
            assert time.monotonic() < until, "nothing is written"
            time.sleep(0.01)

    def tell_somebody(self) -> None:
        """Have the kernel tell somebody of what failed on this disk: it tells of each failure once only."""
        with opened(self.point) as fd, pytest.raises(OSError, match="Input/output"):
            syncfs(fd)

    def has_failed(self) -> bool:
        """Tell whether it has failed."""
        return self._layer.acted() == 1


@contextmanager
def failing_disk(folder: Path, kind: str) -> Iterator[FailingDisk]:
    with Mount(folder / "backing", folder / "layer") as layer, Disks(folder) as disks:
        disks.images = layer.path
        yield FailingDisk(layer, disks.give(kind, "disk", **QUIET.get(kind, {})).point)


@contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


def start_writing(fd: int) -> None:
    """Begin to write a file back, as the kernel does by itself after some seconds; it waits for nothing."""
    # linux/fs.h: SYNC_FILE_RANGE_WRITE
    ctypes.CDLL(None).sync_file_range(ctypes.c_int(fd), ctypes.c_int64(0), ctypes.c_int64(0), ctypes.c_uint(2))


def on_the_disk(path: Path) -> bytes:
    """Give what the disk has of a file, whatever is in memory of it."""
    with opened(path) as fd:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        return os.pread(fd, 1 << 20, 0)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs"])
def test_after_a_failed_sync_the_disk_is_read_and_not_the_memory(tmp_path: Path, kind: str) -> None:
    content = shot(1, SIZE)
    with failing_disk(tmp_path, kind) as disk:
        disk.fail_once()
        (disk.point / "a.jpg").write_bytes(content)
        for _ in range(3):
            with suppress(Transient):
                found = originals.same_bytes(str(disk.point), "a.jpg", len(content), blake3(content).digest())
                assert found is None, "proved by what is in memory only"
        assert disk.has_failed()
        assert on_the_disk(disk.point / "a.jpg") != content, "else nothing was tried"


async def test_what_photoprism_could_not_write_is_not_proved(tmp_path: Path) -> None:
    """PhotoPrism copies onto its disk and syncs nothing; the disk fails when we do."""
    name, content = f"{FOLDER}/IMG_1.jpg", shot(1, SIZE)
    with failing_disk(tmp_path, "ext4") as disk:
        (tmp_path / "world").mkdir()
        async with a_world(tmp_path / "world", "photoprism", **OFF) as world:
            originals_of(world, disk)
            assert world.pp is not None
            world.pp.traps.set({"exdev": True})
            disk.fail_once()
            [photo] = await world.deliver("alice", {name: content})
            await world.relay()
            assert disk.has_failed()
            assert on_the_disk(next(disk.point.rglob("*.jpg"))) != content, "else nothing was tried"
            assert world.photo(photo).code == "disk.error", world.said()
            for _ in range(4):
                await world.later(400)
                await world.relay()
            assert world.path("alice", name).read_bytes() == content, world.said()
            assert world.photo(photo).code == "archive.half_copy"


def originals_of(world: World, disk: FailingDisk) -> None:
    """Let PhotoPrism's originals lie on this disk."""
    world.archive_root.rmdir()
    world.archive_root.symlink_to(disk.point)


@contextmanager
def homes_and_archive_on(disk: FailingDisk, root: Path) -> Iterator[World]:
    """Let Nextcloud's data and the folder archive lie on this disk, where an original may be linked."""
    root.mkdir()
    for name in ("data", "archive"):
        (disk.point / name).mkdir()
        (root / name).symlink_to(disk.point / name)
    # Made before, since making them is synced: what fails is to be a photo's bytes, and not the disk's journal.
    (disk.point / f"archive/{MONTH}").mkdir(parents=True)
    world = World(root, prism=None, settings=OFF)
    yield world
    world.ledger.close()


@pytest.mark.parametrize("when", ["before", "before, and told to others", "at the sync"])
@pytest.mark.parametrize("many", [1, 6])
async def test_an_original_that_the_disk_did_not_take_is_copied_and_not_linked(
    tmp_path: Path, when: str, many: int
) -> None:
    """Its bytes are whole in memory alone: the archive's copy saves them from there, and only then it goes."""
    files = {f"{FOLDER}/IMG_{number}.jpg": shot(number, SIZE) for number in range(many)}
    with failing_disk(tmp_path, "ext4") as disk, homes_and_archive_on(disk, tmp_path / "world") as world:
        disk.fail_once()
        photos = await world.deliver("alice", files)
        if when != "at the sync":
            disk.write_back(world.path("alice", name) for name in files)
        if "told" in when:
            disk.tell_somebody()
        await world.relay()
        # Where the sync of all has failed, all wait, and are tried again.
        await world.later(60)
        await world.relay()
        assert disk.has_failed()
        assert {path.parent for path in (tmp_path / "world/archive").rglob("*.jpg")} == {
            tmp_path / "world/archive" / MONTH
        }
        assert [world.photo(photo).state for photo in photos] == [State.DONE] * many, world.said()
        assert world.standing() == {}
        archived = [on_the_disk(path) for path in (tmp_path / "world/archive").rglob("*.jpg")]
        assert sorted(archived) == sorted(files.values()), "what the disk has is what was relayed"
