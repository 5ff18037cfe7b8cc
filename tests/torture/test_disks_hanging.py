"""A user's disk that hangs in other calls than reads, at each step: it holds up its user and nobody else.

``PHOTON_RELAY_TORTURE=all``: PhotoPrism too, and for longer.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.torture.fuse.mount import Mount
from tests.torture.house import FOLDER, House
from tests.torture.needs import LONG, needs_fuse
from tests.torture.test_disks_slow import has_ended, threads_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [needs_fuse, pytest.mark.timeout(600)]

WITHIN = 12.0
"""Seconds in which a photo of somebody else must be in the archive, gone from its folder and in the galleries."""
MOMENTS: dict[str, tuple[list[str], dict[str, Any]]] = {
    # Opened the first time it is hashed, the second time copied.
    "examine-open": (["open"], {"path": "*hung*.jpg"}),
    "place-open": (["open"], {"path": "*hung0.jpg", "first": 2}),
    "release-rename": (["rename"], {"path": "*.jpg"}),
    "release-unlink": (["unlink"], {"path": "*"}),
    "release-fsync": (["fsyncdir"], {"path": "*"}),
    "sweep-list": (["readdir"], {"path": "*"}),
    "sweep-open": (["open"], {"path": ""}),
    "sweep-stat": (["getattr"], {"path": "*"}),
    "all": (["any"], {"path": "*"}),
}


@contextlib.contextmanager
def house_with_a_disk_of_alices(folder: Path, archive: str = "folder") -> Iterator[tuple[House, Mount]]:
    with (
        Mount(folder / "back", folder / f"data/alice/files/{FOLDER}") as disk,
        House(folder) as house,
        contextlib.ExitStack() as at_end,
    ):
        at_end.callback(disk.clear)
        if archive == "photoprism":
            house.with_photoprism()
        house.configure(
            nextcloud={
                "occ": {"via": "command", "command": house.occ.command},
                "album": {"folder": "/Album", "seen_by": "admin"},
            },
            watch={"settle": "300ms", "partner": "0s"},
        )
        house.start(environment={"HASTY_HUNG": "5"})
        house.put("warm.jpg", 100)
        house.put("warm-too.jpg", 101, "bob")
        house.until_relayed()
        yield house, disk


def go_through(house: House, name: str, seed: int, ends: tuple[str, ...] = ("done",)) -> float:
    """Put a photo of bob's, and give the seconds until all is done with it: let go, and shown in the galleries."""
    began = time.monotonic()
    house.put(name, seed, "bob")

    def done() -> bool:
        return any(row["state"] in ends for row in house.photos("bob", f"%{name}"))

    house.until(done, f"bob's {name} relayed, let go and shown", 60)
    assert not (house.home("bob") / name).exists()
    return time.monotonic() - began


@pytest.mark.parametrize("archive", ["folder", "photoprism"] if LONG else ["folder"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_call_that_never_returns_holds_up_its_user_alone(tmp_path: Path, moment: str, archive: str) -> None:
    calls, where = MOMENTS[moment]
    with house_with_a_disk_of_alices(tmp_path, archive) as (house, disk):
        threads = threads_of(house)
        rule = 0
        if moment.startswith("sweep") or moment == "all":
            rule = disk.fault(calls, seconds=3600.0, **where)
        # Behind the kernel's back, since the calls of whoever puts a photo there would hang, too.
        for number in range(3):
            if not rule:
                house.put(f"hung{number}.jpg", 10 + number)
        rule = rule or disk.fault(calls, seconds=3600.0, **where)
        house.page("/api/v1/sweeps", {})
        house.until(lambda: disk.acted(rule) > 0, "something that hangs", 60)
        # A process cannot begin while a file is open that FUSE does not let go: there occ waits for that disk.
        ends = ("released", "done") if moment in {"release-rename", "release-unlink"} else ("done",)
        waited = [go_through(house, f"his{number}.jpg", 20 + number, ends) for number in range(3)]
        house.page("/api/v1/sweeps", {})
        waited += [go_through(house, f"his{number}.jpg", 20 + number, ends) for number in range(3, 6)]
        print(f"{moment}: bob waited {', '.join(f'{one:.1f}' for one in waited)} s; {disk.acted(rule)} calls hang")
        assert max(waited) < WITHIN, waited
        assert threads_of(house) <= threads + 16
        house.until(lambda: {"disk.unanswered", "watch.unreadable"} & house.codes(), "the word on the page", 60)
        said = house.said("disk.unanswered")
        assert not said or "alice" in said, said
        disk.clear()
        if moment.startswith("sweep") or moment == "all":
            house.put("after.jpg", 50)
        house.until_relayed(120)
        assert house.stop() == 0
        house.well_spoken()
        house.in_order()


@pytest.mark.parametrize("call", ["rename", "readdir"])
def test_a_stop_is_a_stop_while_a_call_hangs(tmp_path: Path, call: str) -> None:
    with house_with_a_disk_of_alices(tmp_path) as (house, disk):
        house.put("hung.jpg", 10)
        rule = disk.fault([call], seconds=3600.0)
        house.page("/api/v1/sweeps", {})
        house.until(lambda: disk.acted(rule) > 0, "something that hangs", 60)
        assert house.process is not None
        house.process.terminate()
        house.until(lambda: has_ended(house), "the daemon's end", 10)
        disk.clear()
        assert house.process.wait(10) == 0
        house.process = None
        house.nothing_lost()
        house.start()
        house.until_relayed(90)
        assert house.stop() == 0
        house.well_spoken()
        house.in_order()


def test_a_disk_that_takes_seconds_for_each_name_holds_up_its_user_alone(tmp_path: Path) -> None:
    """Listing, opening, renaming, removing and syncing, each of them."""
    seconds = 3.0 if LONG else 1.0
    with house_with_a_disk_of_alices(tmp_path) as (house, disk):
        for number in range(8):
            house.put(f"slow{number}.jpg", 10 + number)
        rule = disk.fault(["getattr", "readdir", "open", "rename", "unlink", "fsyncdir"], seconds=seconds)
        house.page("/api/v1/sweeps", {})
        house.until(lambda: disk.acted(rule) > 3, "something slow", 60)
        waited = []
        for number in range(8):
            waited.append(go_through(house, f"his{number}.jpg", 30 + number))
            time.sleep(1.0)
        mine = sum(row["state"] == "done" for row in house.photos("alice")) - 1
        print(f"bob waited {', '.join(f'{one:.1f}' for one in waited)} s; alice had {mine} of 8")
        assert max(waited) < WITHIN, waited
        disk.clear()
        house.until_relayed(180)
        assert house.stop() == 0
        house.well_spoken()
        house.in_order()
