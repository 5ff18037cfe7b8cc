"""How many files at once a disk likes, by what the kernel says of the device behind a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from daemon.files.disks import spins, streams

if TYPE_CHECKING:
    from pathlib import Path

ATA = "devices/pci0000:00/ata1/host0/block"


class Machine:
    """A made-up ``/sys`` in which the device of the test's own folder is what the test wants."""

    def __init__(self, folder: Path) -> None:
        self.sys, self.here = folder / "sys", folder / "here"
        self.here.mkdir(parents=True)
        (self.sys / "dev/block").mkdir(parents=True)
        self.mounts = folder / "mountinfo"
        self.mounts.write_text("")
        device = self.here.stat().st_dev
        self.number = f"{os.major(device)}:{os.minor(device)}"

    def disk(self, place: str, rotational: int) -> Path:
        block = self.sys / place
        (block / "queue").mkdir(parents=True)
        (block / "queue/rotational").write_text(f"{rotational}\n")
        return block

    def device(self, number: str, block: Path) -> None:
        (self.sys / "dev/block" / number).symlink_to(block)

    def spins(self) -> bool | None:
        return spins(str(self.here), str(self.sys), str(self.mounts))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(("rotational", "expected"), [(1, True), (0, False)])
def test_a_partition_is_as_its_disk(machine: Machine, rotational: int, expected: bool) -> None:
    partition = machine.disk(f"{ATA}/sda", rotational) / "sda1"
    partition.mkdir()
    (partition / "partition").write_text("1\n")
    machine.device(machine.number, partition)
    assert machine.spins() is expected
    cores = min(4, os.cpu_count() or 1)
    assert streams(str(machine.here), str(machine.sys), str(machine.mounts)) == (1 if expected else cores)


def test_a_volume_is_as_what_it_is_made_of(machine: Machine) -> None:
    volume = machine.disk("devices/virtual/block/dm-0", 0)
    (volume / "slaves").mkdir()
    (volume / "slaves/sda").symlink_to(machine.disk(f"{ATA}/sda", 0))
    (volume / "slaves/sdb").symlink_to(machine.disk(f"{ATA}/sdb", 1))
    machine.device(machine.number, volume)
    assert machine.spins() is True


@pytest.mark.parametrize("place", ["devices/pci0000:00/virtio1/block/vda", "devices/virtual/block/loop0"])
def test_a_virtual_disk_only_says_that_it_spins(machine: Machine, place: str) -> None:
    machine.device(machine.number, machine.disk(place, 1))
    assert machine.spins() is False


def test_what_has_no_disk_is_not_known(machine: Machine) -> None:
    assert machine.spins() is None
    machine.mounts.write_text(f"1 0 0:50 / {machine.here} rw - tmpfs tmpfs rw\n")
    assert machine.spins() is None
    assert spins(str(machine.here / "nowhere"), str(machine.sys), str(machine.mounts)) is None


def test_btrfs_and_overlayfs_are_looked_behind(machine: Machine, tmp_path: Path) -> None:
    # A character device of this machine stands for the disk: it has a device number, and btrfs names it.
    number = os.stat("/dev/null").st_rdev  # noqa: PTH116
    disk = machine.disk(f"{ATA}/sda", 0)
    machine.device(f"{os.major(number)}:{os.minor(number)}", disk)
    machine.mounts.write_text(
        f"1 0 8:1 / / rw - ext4 /dev/sdz rw\n2 1 0:50 / {machine.here} rw - btrfs /dev/null rw,space_cache\n"
    )
    assert machine.spins() is False
    devices = machine.sys / "fs/btrfs/1234/devices"
    devices.mkdir(parents=True)
    (devices / "sda").symlink_to(disk)
    (devices / "sdb").symlink_to(machine.disk(f"{ATA}/sdb", 1))
    assert machine.spins() is True, "one of several spins"
    upper = tmp_path / "upper"
    upper.mkdir()
    machine.mounts.write_text(
        f"1 0 0:51 / {machine.here} rw - overlay overlay rw,lowerdir=/l,upperdir={upper},workdir=/w\n"
        f"2 1 0:50 / {upper} rw - btrfs /dev/null rw\n"
    )
    assert machine.spins() is True


PRIORITY = """
import os, threading
from daemon.files.priority import set_priority
stop = threading.Event()
thread = threading.Thread(target=stop.wait)
thread.start()
print(set_priority(7, "idle"))
for one in os.listdir("/proc/self/task"):
    print(os.getpriority(os.PRIO_PROCESS, int(one)))
os.system("ionice -p %d" % thread.native_id)
stop.set()
os.setuid(65534)
print(set_priority(0, "normal"))
"""


def test_every_thread_stands_back_and_what_is_refused_is_told() -> None:
    done = subprocess.run([sys.executable, "-c", PRIORITY], capture_output=True, text=True, timeout=60, check=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "[]", done.stderr
    assert lines[1:3] == ["7", "7"]
    if os.geteuid() == 0:
        assert lines[-1] == "['relay.nice']"
    assert "idle" in done.stdout or "not found" in done.stderr
