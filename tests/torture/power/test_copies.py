"""The power goes while the daily copy of the ledger is made: what is called a copy is whole, and enough are left."""

from __future__ import annotations

import random
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from daemon.errors import Transient
from daemon.ledger.copies import NEWEST, back_up, copies
from daemon.ledger.ledger import Ledger
from daemon.ledger.soundness import fault
from tests.kill.trials import SEED
from tests.ledger.entries import NOW, add
from tests.torture.counts import COUNTS
from tests.torture.fuse.mount import Mount
from tests.torture.needs import LONG, many, needs_fuse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [needs_fuse, pytest.mark.timeout(900)]

DAY = 86400.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Mount]:
    with Mount(tmp_path / "back", tmp_path / "disk", record=True) as mount:
        yield mount


def filled(disk: Mount) -> str:
    """Give a state folder with a ledger of some photos."""
    state = disk.path / "state"
    state.mkdir()
    ledger = Ledger(str(state))
    for number in range(200):
        add(ledger, f"Camera/{number}.jpg")
    ledger.close()
    return str(state)


def test_the_very_first_copy_lasts(disk: Mount) -> None:
    state = filled(disk)
    disk.settle()
    back_up(state, NOW)
    disk.cut()
    disk.power_on(1, "nothing")
    COUNTS.cuts += 1
    assert [made for made, _ in copies(state)] == [NOW]


def test_cut_at_every_call_each_copy_is_whole_and_enough_are_left(disk: Mount) -> None:
    state = filled(disk)
    for day in range(NEWEST + 1):
        back_up(state, NOW + 8 * day * DAY)
    dice = random.Random(SEED)
    tried, left = 0, set()
    at, met = 0, True
    while met:
        at += 1 if LONG else 7
        for _ in range(many(1, 20)):
            before = {made for made, _ in copies(state)}
            disk.settle()
            disk.cut(at=at)
            now = NOW + 100 * DAY + 8 * tried * DAY
            with suppress(OSError, Transient, sqlite3.DatabaseError):
                back_up(state, now)
            met = disk.is_cut()
            disk.cut()
            seed = dice.randrange(1 << 30)
            disk.power_on(seed)
            COUNTS.cuts += 1
            tried += 1
            said = f"cut at call {at}, seed {seed}"
            found = copies(state)
            assert [fault(path) for _, path in found] == [""] * len(found), said
            times = {made for made, _ in found}
            assert len(times) >= NEWEST, said
            assert sorted(times - {now}, reverse=True)[: NEWEST - 1] == sorted(before, reverse=True)[: NEWEST - 1], said
            left.add(now in times)
    print(f"\n{tried} cuts at {at} calls, seed {SEED}")
    assert left == {True, False}
