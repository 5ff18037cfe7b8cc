"""Names that are hard, on every kind of file system at once, and disks that are several, or one seen twice.

Each home is a disk of its own kind, and the archive lies on yet another; renames between them are refused.
"""

from __future__ import annotations

import os
import unicodedata
from typing import TYPE_CHECKING

import pytest

from tests.e2e.world import digest
from tests.torture.disks import Disks
from tests.torture.house import FOLDER, WHEN, House, photo
from tests.torture.needs import LONG

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KINDS = ("ext4", "btrfs", "xfs", "tmpfs", "overlay")
NAMES = [
    b"x" * 251 + b".jpg",
    "ü".encode() * 125 + b".jpg",
    b"broken \xff\xfe.jpg",
    unicodedata.normalize("NFC", "Zoë.jpg").encode(),
    unicodedata.normalize("NFD", "Zoë.jpg").encode(),
    b"two\nlines.jpg",
    b"tab\tand\rreturn.jpg",
    b"-rf.jpg",
    b"--output=x.jpg",
    b" lead and trail .jpg",
    b"back\\slash.jpg",
    b"$(reboot).jpg",
    b"%s%n.jpg",
    "\u202egpj.exe.jpg".encode(),
    b"CON.jpg",
    b"case.jpg",
    b"CASE.jpg",
    b".hidden.jpg",
]
"""The last one is a client's own and is left alone."""


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Disks]:
    with Disks(tmp_path) as made:
        yield made


def names_in(folder: Path) -> list[bytes]:
    return [os.fsencode(path.name) for path in folder.iterdir()]


def put_raw(house: House, user: str, name: bytes, seed: int) -> None:
    """Put a photo under a name of any bytes; what is hidden need not come."""
    content = photo(seed)
    path = os.fsencode(house.home(user)) + b"/" + name
    with open(path, "wb") as file:  # noqa: PTH123  a name of any bytes
        file.write(content)
    os.utime(path, (WHEN.timestamp(), WHEN.timestamp()))
    if not name.startswith(b"."):
        house.given[digest(content)] = content


@pytest.mark.timeout(300)
@pytest.mark.parametrize("after", ["delete", *(["archive", "keep"] if LONG else [])])
def test_hard_names_on_every_file_system(tmp_path: Path, disks: Disks, after: str) -> None:
    archive = "overlay" if LONG else "ext4"
    for kind in KINDS:
        disks.give(kind, f"data/{kind}")
    disks.give(archive, "originals")
    with House(tmp_path, after=after, users=KINDS) as house:
        for place, kind in enumerate(KINDS):
            house.home(kind).mkdir(parents=True, exist_ok=True)
            for number, name in enumerate(NAMES):
                put_raw(house, kind, name, 1000 * place + number)
        house.start()
        house.until(lambda: set(house.given) <= set(house.archived()), "all names in the archive", 40)
        house.until_done(len(house.given))
        house.nothing_lost()
        assert sorted(house.given) == house.archived()
        for path in house.originals.rglob("*.jpg"):
            assert path.name.isprintable()
            assert path.name == unicodedata.normalize("NFC", path.name)
        for kind in KINDS:
            left = {name for name in names_in(house.home(kind)) if name.endswith(b".jpg")}
            assert left == ({b".hidden.jpg"} if after != "keep" else set(NAMES))
        if after == "archive":
            aside = {name for kind in KINDS for name in names_in(house.data / kind / "files/Archived" / FOLDER)}
            assert aside == set(NAMES) - {b".hidden.jpg"}
        house.well_spoken()
        house.in_order()


@pytest.mark.long_form
@pytest.mark.timeout(300)
@pytest.mark.parametrize("after", ["archive", "delete"])
def test_one_disk_that_is_mounted_at_every_place(tmp_path: Path, disks: Disks, after: str) -> None:
    """``st_dev`` is equal everywhere, and every rename and link between two of the places is refused (``EXDEV``)."""
    disks.give("xfs", "disk")
    for part in ("data", "originals", "state", "aside"):
        (tmp_path / "disk" / part).mkdir()
    for part in ("data", "originals", "state"):
        disks.bind(tmp_path / "disk" / part, part)
    with House(tmp_path, after=after) as house:
        disks.bind(tmp_path / "disk/aside", "data/alice/files/Archived")
        for number in range(6):
            house.put(f"{number}.jpg", number)
        house.put("0.jpg", 50, "bob")
        house.start()
        house.until_relayed()
        if after == "archive":
            aside = tmp_path / "disk/aside" / FOLDER
            assert {path.name for path in aside.iterdir()} == {f"{number}.jpg" for number in range(6)}
            assert {digest(path.read_bytes()) for path in aside.iterdir()} < set(house.given)
        house.well_spoken()
        house.in_order()
