"""Disks that fill up, turn read-only, are unmounted under way and mounted late: nothing is lost, and it goes on.

One daemon lives through a whole day of each disk. ``PHOTON_RELAY_TORTURE=all``: on every kind of file system.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.torture.disks import Disks, fill, fill_inodes
from tests.torture.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG = os.environ.get("PHOTON_RELAY_TORTURE") == "all"
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
        assert house.issues() == set()
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


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["tmpfs", *(["ext4"] if LONG else [])])
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
