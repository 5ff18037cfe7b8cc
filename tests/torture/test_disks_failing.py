"""A disk that answers errors, from one call or from all, for a while: nothing is lost, nothing comes twice.

The archive, then Nextcloud's data, lies on the layer of ``tests/torture/fuse``. Each kind of call fails for as long as
it takes the program to try some times; then the disk is well again, and what waited must go on by itself.
``PHOTON_RELAY_TORTURE=all``: every call of the layer with every error.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.torture.fuse.faults import GROUPS
from tests.torture.fuse.mount import Mount
from tests.torture.house import House
from tests.torture.needs import LONG, needs_fuse

if TYPE_CHECKING:
    from pathlib import Path

SHORT_CALLS = ["fsyncdir", "rename", "write"]
CALLS = {
    "EIO": sorted(GROUPS["any"]),
    "ESTALE": sorted(GROUPS["any"]),
    "EACCES": sorted(GROUPS["any"]),
    "EROFS": sorted(GROUPS["changing"]),
    "ENOSPC": sorted(GROUPS["growing"]),
    "EDQUOT": sorted(GROUPS["growing"]),
}
pytestmark = [needs_fuse, pytest.mark.timeout(1200)]


@pytest.mark.parametrize("error", list(CALLS) if LONG else ["EIO"])
def test_each_call_of_the_archives_disk_fails_for_a_while(tmp_path: Path, error: str) -> None:
    with Mount(tmp_path / "back", tmp_path / "originals") as disk, House(tmp_path) as house:
        house.start()
        calls = CALLS[error] if LONG else SHORT_CALLS
        for number, call in enumerate(calls):
            before = house.tried()
            disk.fault(call, errno=error)
            house.put(f"{call}.jpg", 10 + number)
            # Some calls are not made there in an ordinary relay: then the photo simply comes.
            house.until(lambda: house.tried() > before or not house.in_place(), f"a try while {call} fails", 15)  # noqa: B023
            disk.clear()
            house.until_relayed()
        assert house.stop() == 0
        house.well_spoken()
        house.in_order()


@pytest.mark.long_form
@pytest.mark.parametrize("error", [*CALLS, "ENOTCONN"])
def test_every_call_of_nextclouds_disk_fails_for_a_while(tmp_path: Path, error: str) -> None:
    """FUSE sends no events, so the watch goes round by looking; each round takes ten seconds."""
    with Mount(tmp_path / "back", tmp_path / "data") as disk, House(tmp_path) as house:
        house.put("a.jpg", 1)
        house.start()
        house.until_relayed()
        house.put("b.jpg", 2)
        disk.fault(GROUP_OF.get(error, "any"), errno=error)
        time.sleep(12)
        disk.clear()
        house.until_relayed(40)
        assert house.stop() == 0
        house.well_spoken()
        house.in_order()


@pytest.mark.long_form
def test_a_folder_that_cannot_be_read_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    """It is one user's, and was well when its photo came: the watch goes on for all others, and for it afterwards."""
    with House(tmp_path) as house, Mount(tmp_path / "back", house.home()) as disk:
        house.start(hasty=False)
        house.configure(watch={"settle": "2s"})
        time.sleep(2.5)  # the settings are in force
        house.put("hers.jpg", 1)
        house.page("/api/v1/sweeps", {})
        house.until(lambda: house.states().get("hers.jpg") or house.photos("alice"), "hers seen", 10)
        disk.fault("any", errno="EIO")
        time.sleep(2.5)
        house.put("his.jpg", 2, "bob")
        house.until(lambda: len(house.archived()) == 1, "his in the archive", 15)
        assert "is started again" not in house.text()
        disk.clear()
        house.until_relayed()
        assert "is started again" not in house.text()
        assert house.text().count("cannot be looked at") == 1
        assert house.stop() == 0
        house.well_spoken()
        house.in_order()


def test_an_open_file_is_gone_before_its_end(tmp_path: Path) -> None:
    """A file system that is asked by names (FUSE) says so even of a file that is open: it is seen anew."""
    back = tmp_path / "back"
    with House(tmp_path) as house, Mount(back, house.home()) as disk:

        def all_gone() -> bool:
            """Sweep, since no event tells of what stands on the layer, and tell whether nothing is left."""
            house.page("/api/v1/sweeps", {})
            time.sleep(0.5)
            return not list(back.glob("*.jpg"))

        house.start()
        met = 0
        for point in range(1, 30) if LONG else (14, 19):
            house.put(f"{point}.jpg", point)
            rule = disk.fault("getattr", path=f"{point}.jpg", errno="ENOENT", first=point, times=1)
            house.until(lambda: all_gone() or disk.acted(rule), "a look that fails", 15)  # noqa: B023  asked within this turn
            acted = disk.acted(rule)
            disk.clear()
            met += acted
            house.until(all_gone, "all of it relayed", 30)
            if not acted:
                break
        assert met >= (20 if LONG else 2)
        house.until_relayed()
        assert house.stop() == 0
        house.well_spoken()
        house.in_order()


GROUP_OF = {"EROFS": "changing", "ENOSPC": "growing", "EDQUOT": "growing"}
