"""Disks that fill up, turn read-only, are unmounted under way and mounted late: nothing is lost, and it goes on.

One daemon lives through a whole day of each disk. ``PHOTON_RELAY_TORTURE=all``: on every kind of file system.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.torture.disks import Disks, fill, fill_inodes
from tests.torture.fuse.mount import Mount
from tests.torture.house import FOLDER, House
from tests.torture.needs import LONG, needs_fuse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KINDS = ["ext4", *(["btrfs", "xfs", "tmpfs", "overlay"] if LONG else [])]
KEEP_WHAT_IS_ON_THEM = [kind for kind in KINDS if kind != "tmpfs"]


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Disks]:
    with Disks(tmp_path) as made:
        yield made


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", KEEP_WHAT_IS_ON_THEM)
def test_a_bad_day_of_the_archive(tmp_path: Path, disks: Disks, kind: str) -> None:
    disk = disks.give(kind, "originals")
    with House(tmp_path) as house:
        house.start()
        house.put("a.jpg", 1)
        house.until_relayed()
        if kind != "overlay":  # its space is the machine's own
            ballast = fill(house.originals)
            house.put("full.jpg", 2)
            house.until_said("disk.low")
            ballast.unlink()
            house.until_relayed()
        disk.remount("ro")
        house.put("read-only.jpg", 3)
        house.until_said("disk.read_only")
        house.nothing_lost()
        disk.remount("rw")
        house.until_relayed()
        disk.unmount()
        house.put("gone.jpg", 4)
        house.until_said("archive.empty")
        assert not list(house.originals.iterdir())
        disk.mount()
        house.until_relayed()
        assert house.stop() == 0
        house.well_spoken()
        house.in_order()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", KEEP_WHAT_IS_ON_THEM)
def test_a_bad_day_of_nextclouds_data(tmp_path: Path, disks: Disks, kind: str) -> None:
    """Mounted late, read-only while an original is to go, unmounted with a photo on it that has not settled."""
    disk = disks.give(kind, "data")
    with House(tmp_path) as house:
        house.put("before.jpg", 1)
        disk.unmount()
        house.start(ready=False)
        house.until_said("nextcloud.mount_missing")
        assert not list(house.data.iterdir())
        disk.mount()
        house.until_relayed()
        house.put("read-only.jpg", 2)
        disk.remount("ro")
        house.until_said("disk.read_only")
        house.nothing_lost()
        disk.remount("rw")
        house.until_relayed()
        house.put("gone.jpg", 3)
        disk.unmount()
        house.until(lambda: "nextcloud.mount_missing" in house.issues(), "an issue about the data directory")
        assert not list(house.data.iterdir())
        disk.mount()
        house.until_relayed()
        house.until(lambda: house.issues() == set(), "the issue is over", 45)
        assert house.stop() == 0
        house.well_spoken()
        house.in_order()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "overlay"])
def test_a_full_disk_of_the_state_folder(tmp_path: Path, disks: Disks, kind: str) -> None:
    """Nothing moves that cannot be written down; a ledger on a full disk is not called damaged."""
    disk = disks.give(kind, "state", options="size=20m" if kind == "tmpfs" else "")
    with House(tmp_path) as house:
        house.start()
        house.put("a.jpg", 1)
        house.until_relayed()
        ballast = fill(house.state)
        for number in range(30):
            house.put(f"full-{number}.jpg", 100 + number)
        house.until_said("ledger.unwritable")
        house.nothing_lost()
        ballast.unlink()
        house.until_relayed()
        assert house.stop() == 0
        house.well_spoken()
        house.in_order()
        if kind == "tmpfs":
            fill(house.state)
        else:
            disk.remount("ro")
        refused = house.run("sweep")
        assert refused.returncode == 1
        assert ("[ledger.unwritable]" if kind == "tmpfs" else "[disk.read_only]") in refused.stderr
        assert "Traceback" not in refused.stderr


@pytest.mark.long_form
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
def test_an_archive_without_a_free_inode(tmp_path: Path, disks: Disks, kind: str) -> None:
    """There is space by the gigabyte, and not one more file can be made."""
    if kind == "tmpfs":
        disks.give(kind, "originals", options="nr_inodes=40")
    else:
        disks.give(kind, "originals", make=("-N", "128"))
    with House(tmp_path) as house:
        house.start()
        house.put("a.jpg", 1)
        house.until_relayed()
        many = fill_inodes(house.originals)
        for number in range(5):
            house.put(f"{number}.jpg", 10 + number)
        house.until_said("disk.full")
        house.nothing_lost()
        shutil.rmtree(many)
        house.until_relayed()
        house.well_spoken()
        house.in_order()


@needs_fuse
@pytest.mark.timeout(300)
def test_the_archive_is_unmounted_in_the_middle_of_a_batch(tmp_path: Path, disks: Disks) -> None:
    """What were put below the bare mount point would count as archived, and vanish when the disk is back."""
    disk = disks.give("ext4", "originals")
    with Mount(tmp_path / "back", tmp_path / "data") as data, House(tmp_path) as house:
        house.put("first.jpg", 1)
        house.start()
        house.until_relayed()
        for number in range(8):
            house.put(f"{number}.jpg", 10 + number)
        data.fault("open", path="*.jpg", seconds=0.4)
        house.page("/api/v1/sweeps", {})
        house.until(lambda: len(list(house.originals.rglob("*.*"))) > 3, "a batch half copied", 20)
        disk.unmount()
        house.until(lambda: "archive.empty" in house.issues(), "the archive missed", 20)
        data.clear()
        assert list(house.originals.iterdir()) == []
        disk.mount()
        house.until_relayed()
        house.well_spoken()
        house.in_order()


@needs_fuse
@pytest.mark.long_form
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("error", ["ENOSPC", "EDQUOT"])
def test_the_archives_disk_is_full_at_every_write(tmp_path: Path, error: str) -> None:
    with Mount(tmp_path / "back", tmp_path / "originals") as disk, House(tmp_path) as house:
        house.start()
        for point in range(1, 25):
            tried = house.tried()
            rule = disk.fault("growing", errno=error, first=point)
            house.put(f"{point}.jpg", point)
            house.put(f"{point}.mov.jpg", 100 + point)
            house.until(lambda: house.tried() > tried or not house.in_place(), "a try", 15)  # noqa: B023
            acted = disk.acted(rule)
            disk.clear()
            house.until_relayed()
            if not acted:
                break
        else:
            raise AssertionError("no write came through")
        assert point > 4
        house.well_spoken()
        house.in_order()


@pytest.mark.long_form
@pytest.mark.timeout(1200)
def test_the_states_disk_is_full_at_every_page(tmp_path: Path, disks: Disks) -> None:
    disks.give("tmpfs", "state", options="size=20m")
    with House(tmp_path) as house:
        house.start()
        house.put("a.jpg", 1)
        house.until_relayed()
        for pages in range(24):
            ballast = fill(house.state, leave=4096 * pages)
            for number in range(3):
                house.put(f"{pages}-{number}.jpg", 100 + 10 * pages + number)
            house.until(lambda: not house.in_place() or "ledger.unwritable" in house.codes(), "an end", 15)
            house.nothing_lost()
            ballast.unlink()
            house.until_relayed()
        house.well_spoken()
        house.in_order()


@pytest.mark.long_form
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["ext4", "btrfs", "xfs"])
def test_originals_are_set_aside_on_a_disk_that_is_full(tmp_path: Path, disks: Disks, kind: str) -> None:
    disks.give(kind, "data/alice/files/Archived")
    with House(tmp_path, after="archive") as house:
        ballast = fill(house.data / "alice/files/Archived")
        house.put("a.jpg", 1, size=400_000)
        house.start()
        house.until_said("disk.full")
        house.nothing_lost()
        ballast.unlink()
        house.until_relayed()
        assert (house.data / f"alice/files/Archived/{FOLDER}/a.jpg").read_bytes() in house.given.values()
        house.well_spoken()
        house.in_order()


@pytest.mark.long_form
@pytest.mark.timeout(300)
def test_a_quota_of_the_archive(tmp_path: Path, disks: Disks) -> None:
    """A limit of btrfs: the disk has room, the folder has none (``EDQUOT``)."""
    disks.give("btrfs", "originals", megabytes=512)
    limit(tmp_path / "originals", "4M")
    with House(tmp_path) as house:
        house.start()
        house.put("a.jpg", 1)
        house.until_relayed()
        for number in range(4):
            house.put(f"{number}.jpg", 10 + number, size=3_000_000)
        house.until_said("disk.full", 30)
        house.nothing_lost()
        limit(tmp_path / "originals", "none")
        house.until_relayed(40)
        house.well_spoken()
        house.in_order()


def limit(folder: Path, size: str) -> None:
    for words in (("quota", "enable", folder), ("qgroup", "limit", size, folder)):
        done = subprocess.run(["btrfs", *map(str, words)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
