"""A disk that takes seconds for each read: the page answers, health is well, a stop is a stop, all comes in the end.

``PHOTON_RELAY_TORTURE=all``: slower, and the archive's disk too.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import time
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.world import digest
from tests.kill.trials import SEED
from tests.torture.counts import COUNTS
from tests.torture.fuse.mount import Mount
from tests.torture.house import House, photo
from tests.torture.needs import LONG, many, needs_fuse

SECONDS = 5.0 if LONG else 0.5
GRACE = 10.0
pytestmark = [needs_fuse, pytest.mark.timeout(900)]


def answers_in(house: House, path: str) -> float:
    """Give the seconds that the page takes to answer; it must say that it is well."""
    host, port = house.settings["ui"]["listen"].split(":")
    began = time.monotonic()
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, path
    finally:
        connection.close()
    return time.monotonic() - began


@pytest.mark.parametrize("place", ["data", *(["originals"] if LONG else [])])
def test_a_disk_of_seconds_a_read_keeps_nobody_from_looking_or_stopping(tmp_path: Path, place: str) -> None:
    with Mount(tmp_path / "back", tmp_path / place) as disk, House(tmp_path) as house:
        house.put("warm.jpg", 1)
        house.start()
        house.until_relayed()
        pid = house.process.pid if house.process else 0
        calls = ["read", "open"] if place == "data" else ["read", "open", "write", "fsync", "rename"]
        rule = disk.fault(calls, path="*.jpg*", seconds=SECONDS)
        for number in range(12 if LONG else 4):
            house.put(f"{number}.jpg", 10 + number, "bob" if number % 2 else "alice")
        house.page("/api/v1/sweeps", {})
        house.until(lambda: disk.acted(rule) > 2, "something slow", 20)
        slowest, looks = 0.0, 0
        until = time.monotonic() + 4 * SECONDS
        while time.monotonic() < until:
            slowest = max(slowest, *(answers_in(house, path) for path in ("/healthz", "/readyz", "/api/v1/status")))
            looks += 1
            time.sleep(0.2)
        assert looks > 3
        # Held up by no call of a disk; the machine's own load is in it, so the limit is that of a call or more.
        assert slowest < max(3.0, SECONDS), slowest
        assert house.run("health").returncode == 0
        began = time.monotonic()
        assert house.stop(within=3 * GRACE) == 0
        assert time.monotonic() - began < GRACE
        house.nothing_lost()
        house.start()
        assert house.process is not None
        assert house.process.pid != pid
        disk.clear()
        house.until_relayed(60)
        assert house.stop() == 0
        house.well_spoken()
        house.in_order()


def has(house: House, content: str) -> bool:
    """Tell whether the archive has a content."""
    return content in house.archived()


READ = 1.5 if LONG else 1.0
"""Seconds for each read of a slow home: more than one read, and its disk counts as slow."""


@pytest.mark.parametrize("archive", ["folder", "photoprism"] if LONG else ["folder"])
@pytest.mark.parametrize("partner", ["0s", "1s"] if LONG else ["0s"])
def test_one_users_slow_disk_keeps_nobody_else_waiting(tmp_path: Path, archive: str, partner: str) -> None:
    """Nobody waits for its reads: neither where a partner is looked for before a photo is handed over, nor later."""
    with Mount(tmp_path / "back", tmp_path / "data/bob/files/InstantUpload") as disk, House(tmp_path) as house:
        if archive == "photoprism":
            house.with_photoprism()
        house.configure(watch={"settle": "300ms", "partner": partner})
        house.start()
        house.put("warm.jpg", 100)
        house.until_relayed()
        rule = disk.fault(["read"], path="*.jpg", seconds=READ)
        for number in range(12 if LONG else 6):
            house.put(f"{number}.jpg", 10 + number, "bob")
        house.page("/api/v1/sweeps", {})
        house.until(lambda: disk.acted(rule) > 0, "something slow", 20)
        waited = []
        for number in range(3):
            before = len(house.archived())
            mine, began = digest(photo(number)), time.monotonic()
            house.put(f"mine{number}.jpg", number)
            house.until(partial(has, house, mine), "alice's photo in the archive", 60)
            waited.append(time.monotonic() - began)
            print(f"alice waited {waited[-1]:.1f} s; bob had {before} photos there, {disk.acted(rule)} reads by then")
        # Once two reads, until it is noticed; then nothing of bob's.
        assert waited[0] < 4 * READ + 3.0, waited
        assert min(waited[1:]) < 3.0, waited
        assert len(house.archived()) < len(house.given), "bob's were done before alice's: nothing was tried"
        disk.clear()
        house.until_relayed(60)
        assert house.stop() == 0
        house.well_spoken()
        house.in_order()


def threads_of(house: House) -> int:
    """Give how many threads the daemon has."""
    assert house.process is not None
    return len(list(Path(f"/proc/{house.process.pid}/task").iterdir()))


def has_ended(house: House) -> bool:
    """Tell whether the daemon has ended but for threads that a disk holds, which no signal reaches."""
    assert house.process is not None
    return Path(f"/proc/{house.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] == "Z"


@pytest.mark.parametrize("partner", ["0s", "1s"] if LONG else ["0s"])
def test_a_read_that_never_returns_keeps_nobody_else_waiting(tmp_path: Path, partner: str) -> None:
    """As of a network share that is away. The page says which file of whom is waited for, and a stop is a stop."""
    with (
        Mount(tmp_path / "back", tmp_path / "data/bob/files/InstantUpload") as disk,
        House(tmp_path) as house,
        contextlib.ExitStack() as at_end,
    ):
        at_end.callback(disk.clear)
        house.configure(watch={"settle": "300ms", "partner": partner})
        house.start()
        house.put("warm.jpg", 100)
        house.until_relayed()
        threads = threads_of(house)
        rule = disk.fault(["read"], path="*hung*.jpg", seconds=3600.0)
        for number in range(8):
            house.put(f"hung{number}.jpg", 10 + number, "bob")
        house.page("/api/v1/sweeps", {})
        house.until(lambda: disk.acted(rule) > 0, "something that hangs", 20)
        for number in range(3):
            mine, began = digest(photo(number)), time.monotonic()
            house.put(f"mine{number}.jpg", number)
            house.until(partial(has, house, mine), "alice's photo in the archive", 60)
            print(f"alice waited {time.monotonic() - began:.1f} s; {disk.acted(rule)} reads hang")
            assert time.monotonic() - began < 12
        if LONG:
            house.until(lambda: "disk.unanswered" in house.codes(), "what is waited for on the page", 120)
            said = house.said("disk.unanswered")
            assert "the disk of bob does not answer: hung" in said, said
            hanging = disk.acted(rule)
            time.sleep(60)
            assert disk.acted(rule) == hanging, "one more hangs at each try"
            assert threads_of(house) <= threads + hanging + 4
            house.put("mine-later.jpg", 50)
            house.until(partial(has, house, digest(photo(50))), "alice's photo in the archive", 60)
            # Well again without a restart, then hanging once more.
            disk.clear()
            house.until_relayed(400)
            rule = disk.fault(["read"], path="*hung*.jpg", seconds=3600.0)
            house.put("hung-again.jpg", 60, "bob")
            house.until(lambda: disk.acted(rule) > 0, "something that hangs", 20)
        assert house.process is not None
        house.process.terminate()
        began = time.monotonic()
        house.until(lambda: has_ended(house), "the daemon's end", GRACE)
        assert time.monotonic() - began < GRACE
        disk.clear()
        assert house.process.wait(10) == 0
        house.process = None
        house.nothing_lost()
        house.start()
        house.until_relayed(90)
        assert house.stop() == 0
        house.well_spoken()
        house.in_order()


@pytest.mark.long_form
@pytest.mark.parametrize("archive", ["folder", "photoprism"])
def test_killed_while_a_slow_disk_is_read_beside_the_others(tmp_path: Path, archive: str) -> None:
    """Two batches are under way at a time, then."""
    dice = random.Random(SEED)
    with Mount(tmp_path / "back", tmp_path / "data/bob/files/InstantUpload") as disk, House(tmp_path) as house:
        if archive == "photoprism":
            house.with_photoprism()
        house.configure(watch={"settle": "300ms", "partner": "0s"})
        disk.fault(["read"], path="*.jpg", seconds=0.7)
        house.start()
        for life in range(many(6, 12)):
            for number in range(8):
                house.put(f"{life}-{number}.jpg", 100 * life + number, "bob")
            house.page("/api/v1/sweeps", {})
            for number in range(4):
                house.put(f"{life}-mine-{number}.jpg", 100 * life + 50 + number)
                time.sleep(dice.uniform(0.3, 2.5))
            house.kill()
            COUNTS.kills += 1
            house.nothing_lost()
            house.start()
        disk.clear()
        house.until_relayed(120)
        assert house.stop() == 0
        print(f"{many(6, 12)} kills, seed {SEED}; {house.text().count('is slow: these photos go')} times told as slow")
        house.well_spoken()
        house.in_order()


def test_a_disk_that_does_not_answer_at_all_is_told(tmp_path: Path) -> None:
    """As a network share that is mounted hard, whose server has gone: no read of it ever ends."""
    with House(tmp_path) as house, Mount(tmp_path / "back", house.home()) as disk:
        house.start(environment={"HASTY_SILENCE": "2"})
        rule = disk.fault(["read"], path="*.jpg*", seconds=8.0)
        house.put("hangs.jpg", 1)
        house.page("/api/v1/sweeps", {})
        house.until(lambda: disk.acted(rule) > 0, "a read that hangs", 20)
        house.until(lambda: "disk.silent" in house.issues(), "the word that it hangs", 20)
        assert "hangs.jpg of alice" in house.said("disk.silent")
        disk.clear()
        house.until(lambda: "disk.silent" not in house.issues(), "the word that it is over", 30)
        house.until_relayed()
        assert house.stop() == 0
        house.well_spoken()
        house.in_order()
