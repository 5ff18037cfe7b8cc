"""Users who mean harm: what they put into their folders harms nobody else, and nothing outside is touched.

One daemon meets all of it while another user's photos must go on. ``PHOTON_RELAY_TORTURE=all``: on every file system.
"""

from __future__ import annotations

import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from tests.e2e.world import digest
from tests.torture.disks import Disks
from tests.torture.house import FOLDER, House, photo
from tests.torture.needs import LONG

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Disks]:
    with Disks(tmp_path) as made:
        yield made


def endless(path: Path, size: int) -> None:
    """Make a sparse file that begins like a photo, as large as the file system lets it be but for ``size``."""
    path.write_bytes(photo(900))
    for wanted in ((1 << 63) - 1, (1 << 63) - 4096, 1 << 60, 1 << 50, 1 << 43):
        try:
            os.truncate(path, wanted - size)
        except OSError:
            continue
        return
    raise AssertionError("no sparse file can be made here")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["xfs", *(["btrfs", "tmpfs", "ext4"] if LONG else [])])
def test_what_is_no_photo_harms_nobody(tmp_path: Path, disks: Disks, kind: str) -> None:
    """FIFOs, devices, sockets, sparse files of exabytes, times of the year 3000, links, folders called ``x.jpg``."""
    disks.give(kind, "data", make=("-b", "4096") if kind == "ext4" else ())
    with House(tmp_path) as house:
        zoo = house.home("bob")
        zoo.mkdir(parents=True, exist_ok=True)
        os.mkfifo(zoo / "fifo.jpg")
        os.mknod(zoo / "zero.jpg", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
        os.mknod(zoo / "disk.jpg", 0o666 | stat.S_IFBLK, os.makedev(7, 200))
        folder = os.open(zoo, os.O_RDONLY | os.O_DIRECTORY)
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(f"/proc/self/fd/{folder}/socket.jpg")
        os.close(folder)
        for number in range(3):
            endless(zoo / f"endless-{number}.jpg", number)
        (zoo / "link.jpg").symlink_to(house.outside / "secret.jpg")
        (zoo / "folder").symlink_to(house.outside / FOLDER)
        (zoo / "up").symlink_to("../../../alice/files")
        (zoo / "loop").symlink_to("loop")
        (zoo / "empty.jpg").touch()
        (zoo / "text.jpg").write_text("no picture")
        (zoo / "no right.jpg").write_bytes(photo(901))
        far = house.put("far.jpg", 1, "bob")
        os.utime(far, (32_503_680_000, 32_503_680_000))  # the year 3000
        house.put("folder.jpg/inside.jpg", 2, "bob")
        house.put("folder.jpg/photo.jpg/deeper.jpg", 3, "bob")
        deep = house.home("bob") / "/".join(f"d{level}" for level in range(60))
        deep.mkdir(parents=True)
        house.put("/".join(["d0", "d1", "fine.jpg"]), 4, "bob")
        house.start()
        house.put("mine.jpg", 5)
        house.until(lambda: set(house.given) <= set(house.archived()), "the real photos in the archive", 20)
        house.until(lambda: house.photo("endless-0.jpg")["state"] == "refused", "the endless files refused", 20)
        refused = {os.fsdecode(row["path"]).rpartition("/")[2]: row["code"] for row in house.photos("bob")}
        assert {refused[f"endless-{number}.jpg"] for number in range(3)} == {"file.too_large"}
        assert refused["empty.jpg"] == "file.empty"
        assert refused["text.jpg"] == "media.mismatch"
        assert not {"fifo.jpg", "zero.jpg", "disk.jpg", "socket.jpg", "link.jpg", "secret.jpg"} & refused.keys()
        assert house.page("/api/v1/batches")["batches"]
        house.nothing_lost()
        assert digest(b"") not in house.archived()
        assert house.stop() == 0
        house.well_spoken()
        house.in_order()
