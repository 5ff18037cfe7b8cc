"""Folders and files swapped for links, pipes and devices at every moment: by racing threads, and between two calls.

What the links lead to is watched by its access times: the program must not even list it.
``PHOTON_RELAY_TORTURE=all``: the race lasts minutes, and the swap is tried at every call that the program makes.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.torture.fuse.mount import Mount
from tests.torture.house import FOLDER, House, photo
from tests.torture.needs import LONG, needs_fuse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RACE = 120.0 if LONG else 6.0
_libc = ctypes.CDLL(None, use_errno=True)


def exchange(folder: int, one: str, other: str) -> None:
    """Let two names of an open folder change places in one step (``RENAME_EXCHANGE``)."""
    done = _libc.renameat2(folder, os.fsencode(one), folder, os.fsencode(other), 2)
    if done:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), one)


class Swapper(threading.Thread):
    """Puts one after the other in the place of a folder as fast as it can, by the descriptor of the folder above."""

    def __init__(self, place: Path, make: list[Callable[[int, str], None]]) -> None:
        super().__init__(daemon=True)
        self.name_, self.aside = place.name, f"{place.name}.aside"
        self.fd = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY)
        self.make = make
        self.turns = 0
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.is_set():
            self.swap()
            if self.turns % 7 == 0:
                time.sleep(0.05)  # a link that stands for a while
            self.back()
            if self.turns % 5 == 0:
                time.sleep(0.02)

    def swap(self) -> None:
        self.make[self.turns % len(self.make)](self.fd, self.aside)
        exchange(self.fd, self.aside, self.name_)
        self.turns += 1

    def back(self) -> None:
        # In one step: with nothing under the name for a moment, the program may rightly make a folder of its own there.
        exchange(self.fd, self.aside, self.name_)
        os.unlink(self.aside, dir_fd=self.fd)

    def end(self) -> None:
        self.over.set()
        self.join(10)
        os.close(self.fd)


def link_to(target: Path | str) -> Callable[[int, str], None]:
    return lambda fd, name: os.symlink(target, name, dir_fd=fd)


def pipe(fd: int, name: str) -> None:
    os.mkfifo(name, dir_fd=fd)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("after", ["delete", *(["archive"] if LONG else [])])
def test_folders_are_swapped_while_the_program_relays(tmp_path: Path, after: str) -> None:
    with House(tmp_path, after=after) as house:
        names = [f"{number}.jpg" for number in range(25)]
        for number, name in enumerate(names):
            house.put(name, number)
            house.put(f"Trip/{name}", 100 + number)
            house.put(name, 200 + number, "bob")
        outside, bobs = house.outside / FOLDER, f"../../bob/files/{FOLDER}"
        (house.data / "alice/files/Archived").mkdir(exist_ok=True)
        swappers = [
            Swapper(house.home(), [link_to(outside), pipe, link_to(bobs), link_to("/dev")]),
            Swapper(house.home() / "Trip", [link_to(outside), link_to("../../../bob/files"), pipe]),
            Swapper(house.home() / "3.jpg", [link_to(outside / "IMG_1.jpg"), link_to("/dev/zero"), pipe]),
            Swapper(house.data / "alice/files/Archived", [link_to(house.outside), link_to("/dev/shm")]),
        ]
        # Before the program: a fast one would have let the single photo go by now.
        for swapper in swappers:
            swapper.start()
        house.start()
        until = time.monotonic() + RACE
        more = 300
        while time.monotonic() < until and all(swapper.is_alive() for swapper in swappers):
            more += 1
            house.put(f"more-{more}.jpg", more, "bob")
            time.sleep(0.3)
        for swapper in swappers:
            swapper.end()
        assert all(swapper.turns > 20 for swapper in swappers), [swapper.turns for swapper in swappers]
        house.until_relayed(40)
        assert house.stop() == 0
        house.well_spoken()
        house.in_order()


@needs_fuse
@pytest.mark.long_form
@pytest.mark.timeout(1200)
def test_a_folder_is_swapped_between_any_two_calls(tmp_path: Path) -> None:
    """The disk holds one call back; meanwhile the folder becomes a link, then the call is let go on."""
    with Mount(tmp_path / "back", tmp_path / "data") as disk, House(tmp_path) as house:
        house.configure(watch={"mode": "poll"})  # no events tell of what happens below the layer
        house.put("warm.jpg", 1)
        house.start()
        house.until_relayed()
        below = f"alice/files/{FOLDER}*"
        house.put("count.jpg", 2)
        counted = disk.fault("any", path=below)  # does nothing but count
        house.page("/api/v1/sweeps", {})
        house.until_relayed()
        calls = disk.acted(counted)
        disk.clear()
        assert calls > 15
        real = tmp_path / "back/alice/files"
        tried = 0
        for number, point in enumerate(range(1, calls, 4)):
            house.put(f"swap-{point}.jpg", 10 + number)
            rule = disk.fault("any", path=below, first=point, times=1, seconds=0.3)
            house.page("/api/v1/sweeps", {})
            held = time.monotonic() + 6
            while not disk.acted(rule) and time.monotonic() < held:
                time.sleep(0.005)
            if disk.acted(rule):
                tried += 1
                (real / FOLDER).rename(real / "aside")
                (real / FOLDER).symlink_to(house.outside / FOLDER)
                time.sleep(0.6)
                (real / FOLDER).unlink()
                (real / "aside").rename(real / FOLDER)
            disk.clear()
            house.page("/api/v1/sweeps", {})
            house.until_relayed(15)
        print(f"swapped between calls: {tried} of {calls} points")
        assert tried > 15
        house.until_relayed(40)
        house.well_spoken()
        assert photo(77) not in [path.read_bytes() for path in house.originals.rglob("*.jpg")]
