"""Full disks and quotas of all that is written besides the archive: PhotoPrism's import, settings, ledger, log.

A real disk that is full for a while, and (``PHOTON_RELAY_TORTURE=all``) each single call that wants space refused from
there on, with ``ENOSPC`` and with ``EDQUOT``: the kernel at hand has no quotas, so the layer says what one would say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.world import digest
from tests.torture.disks import Disks, fill
from tests.torture.fuse.mount import Mount
from tests.torture.house import FOLDER, House
from tests.torture.needs import LONG, needs_fuse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FULL = ["ENOSPC", "EDQUOT"]
MOST = 40


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Disks]:
    with Disks(tmp_path) as made:
        yield made


@pytest.mark.long_form
@pytest.mark.timeout(300)
def test_photoprisms_import_is_full_and_free_again(tmp_path: Path, disks: Disks) -> None:
    disks.give("tmpfs", "import")
    with House(tmp_path) as house:
        house.with_photoprism()
        house.start()
        house.put("a.jpg", 1)
        house.until_relayed()
        ballast = fill(house.imports)
        house.put("b.jpg", 2)
        house.put("c.jpg", 3, "bob")
        house.until(lambda: str(house.imports) in house.said("disk.low"), "the disk named")
        assert len(house.in_place("alice")) == len(house.in_place("bob")) == 1
        ballast.unlink()
        house.until_relayed()
        assert house.stop() == 0
        house.well_spoken()
        house.in_order()


def points(most: int, short: list[int], step: int = 1) -> list[int]:
    return list(range(1, most, step)) if LONG else short


def until_refused(house: House, disk: Mount, rule: int) -> None:
    """Wait until the disk has refused a write, or all went before it came to that."""
    house.until(lambda: disk.acted(rule) or not house.in_place(), "a write refused", 15)


@needs_fuse
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("error", FULL if LONG else ["EDQUOT"])
def test_photoprisms_import_is_full_at_every_write(tmp_path: Path, error: str) -> None:
    with Mount(tmp_path / "back", tmp_path / "import") as disk, House(tmp_path) as house:
        house.with_photoprism()
        house.start()
        for point in points(MOST, [4]):
            rule = disk.fault("growing", errno=error, first=point)
            house.put(f"{point}.jpg", point)
            house.put(f"{point}.mov.jpg", 100 + point)
            until_refused(house, disk, rule)
            if not disk.acted(rule):
                break
            house.until(lambda: str(house.imports) in house.said("disk.full"), "the disk named")
            assert len(house.in_place()) == 2
            disk.clear()
            house.until_relayed()
        else:
            assert not LONG, "no write came through"
        assert house.stop() == 0
        house.well_spoken()
        house.in_order()


@needs_fuse
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("error", FULL if LONG else ["EDQUOT"])
def test_originals_are_set_aside_on_a_disk_that_is_full_at_every_write(tmp_path: Path, error: str) -> None:
    """The folder for them lies on another disk: they are copied there, and gone from the watched one only then."""
    with (
        Mount(tmp_path / "back", tmp_path / "data/alice/files/Archived") as disk,
        House(tmp_path, after="archive") as house,
    ):
        aside = disk.path / FOLDER
        house.start()
        for point in points(MOST, [2]):
            rule = disk.fault("growing", errno=error, first=point)
            house.put(f"{point}/a.jpg", point)
            house.put(f"{point}/b.jpg", 100 + point, size=300_000)
            until_refused(house, disk, rule)
            if not disk.acted(rule):
                break
            house.until(lambda: str(disk.path) in house.said("disk.full"), "the disk named")
            standing = {*house.in_place().values(), *visible(aside)}
            assert standing == set(house.given), "each stands in one of the two folders, whole"
            disk.clear()
            house.until_relayed()
            assert visible(aside) == sorted(house.given)
        else:
            assert not LONG, "no write came through"
        assert house.stop() == 0
        house.well_spoken()
        house.in_order()


def visible(folder: Path) -> list[str]:
    """Give the BLAKE3 of each photo below a folder that has a name of its own."""
    photos = [path for path in folder.rglob("*.jpg") if not path.name.startswith(".")]
    return sorted(digest(path.read_bytes()) for path in photos)


@needs_fuse
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("error", FULL if LONG else ["ENOSPC"])
def test_photos_are_put_back_on_a_disk_that_is_full_at_every_write(tmp_path: Path, error: str) -> None:
    """Whoever asks is told why, nothing is left of the try, and the next one brings the photo."""
    with House(tmp_path) as house:
        house.put("Trip/a.jpg", 1, size=300_000)
        house.start()
        house.until_relayed()
        with Mount(tmp_path / "back", house.home() / "Trip") as disk:
            restore = f"/api/v1/photos/{house.photo('a.jpg')['id']}/restore"
            for point in points(MOST, [1, 2]):
                rule = disk.fault("growing", errno=error, first=point)
                status, answer = house.ask(restore, {})
                if not disk.acted(rule):
                    break
                assert answer["error"]["code"] == "disk.full", answer
                assert str(disk.path) in answer["error"]["message"]
                assert list((tmp_path / "back").iterdir()) == []
                assert house.photo("a.jpg")["state"] == "done"
                disk.clear()
            else:
                assert not LONG, "no write came through"
                disk.clear()
                status, answer = house.ask(restore, {})
            assert status == 200, answer
            assert visible(disk.path) == sorted(house.given)
            assert house.stop() == 0
            house.well_spoken()


@needs_fuse
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("alone", [False, True], ids=["folder", "file alone"])
@pytest.mark.parametrize("error", FULL if LONG else ["ENOSPC"])
def test_settings_are_saved_on_a_disk_that_is_full_at_every_write(
    tmp_path: Path, disks: Disks, error: str, alone: bool
) -> None:
    """The page says why, the file is the old one to the byte, nothing is left beside it, and the old rules hold."""
    with Mount(tmp_path / "back", tmp_path / "config") as disk, House(tmp_path) as house:
        house.config = tmp_path / "config/photon-relay.yaml"
        house.configure(watch={"settle": "300ms"})
        if alone:  # it is written in place then
            house.config = disks.bind_file(house.config, "mounted/photon-relay.yaml")
        house.start()
        for point in points(MOST, [1, 2]):
            before = house.config.read_bytes()
            rule = disk.fault("growing", errno=error, first=point)
            status, answer = house.ask("/api/v1/config", {"watch": {"max_wait": f"{point + 1}m"}}, "PATCH")
            if not disk.acted(rule):
                assert status == 200, answer
                break
            disk.clear()
            assert (status, answer["error"]["code"]) == (403, "config.read_only"), answer
            assert "space" in answer["error"]["message"] or "quota" in answer["error"]["message"]
            assert house.config.read_bytes() == before
            assert [one.name for one in house.config.parent.iterdir()] == [house.config.name]
            assert house.page("/api/v1/config")["settings"]["watch"]["max_wait"] == "10m"
            house.put(f"{point}.jpg", point)
            house.until_relayed()
        else:
            assert not LONG, "no write came through"
        disk.clear()
        assert house.ask("/api/v1/config", {"watch": {"max_wait": "7m"}}, "PATCH")[0] == 200
        assert house.page("/api/v1/config")["settings"]["watch"]["max_wait"] == "7m"
        assert house.stop() == 0
        house.well_spoken()


@needs_fuse
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("error", FULL if LONG else ["EDQUOT"])
def test_the_state_folder_is_full_at_every_write(tmp_path: Path, error: str) -> None:
    """Nothing moves that cannot be written down; with room again all goes on, and the ledger is whole."""
    with Mount(tmp_path / "back", tmp_path / "state") as disk, House(tmp_path) as house:
        house.start()
        for point in points(300, [3], 3):
            rule = disk.fault("growing", errno=error, first=point)
            for number in range(3):
                house.put(f"{point}-{number}.jpg", 10 * point + number)
            until_refused(house, disk, rule)
            if not disk.acted(rule):
                break
            house.until_said("ledger.unwritable")
            house.nothing_lost()
            # The settings' earlier version lies here too: what cannot be put back is not changed. One change goes:
            # the version before it was kept in time.
            house.ask("/api/v1/config", {"watch": {"max_wait": f"{point + 1}m"}}, "PATCH")
            before = house.config.read_bytes()
            _, answer = house.ask("/api/v1/config", {"watch": {"max_wait": f"{point + 1}h"}}, "PATCH")
            assert answer["error"]["code"] == "config.no_versions", answer
            assert house.config.read_bytes() == before
            disk.clear()
            house.until_relayed()
        else:
            assert not LONG, "no write came through"
        disk.clear()
        assert house.stop() == 0
        house.well_spoken()
        house.in_order()
        assert not list(house.state.glob("damaged/*"))


@pytest.mark.timeout(300)
def test_the_disk_of_the_log_is_full(tmp_path: Path, disks: Disks) -> None:
    """A line that cannot be written is lost, and nothing else."""
    disks.give("tmpfs", "logs", megabytes=1)
    with House(tmp_path) as house:
        house.log = tmp_path / "logs/daemon.log"
        house.start()
        ballast = fill(house.log.parent)
        size = house.log.stat().st_size
        for number in range(5):
            house.put(f"{number}.jpg", number)
        house.until_relayed()
        assert house.log.stat().st_size - size < 4096, "it was not full"
        assert house.ask("/readyz")[0] == 200
        ballast.unlink()
        house.put("later.jpg", 9)
        house.until_relayed()
        assert "batch" in house.text(size)
        assert house.stop() == 0
        house.well_spoken()
        house.in_order()
