"""The power goes while a damaged ledger is set aside and its copy takes its place: the next start ends the same way."""

from __future__ import annotations

import random
import shutil
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from daemon.errors import RelayError
from daemon.ledger.recovery import losses, open_ledger
from tests.kill.trials import SEED
from tests.ledger.entries import NOW
from tests.ledger.test_recovery import DAMAGE, state
from tests.torture.counts import COUNTS
from tests.torture.fuse.mount import Mount
from tests.torture.needs import LONG, many, needs_fuse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [needs_fuse, pytest.mark.timeout(900)]

__all__ = ["state"]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Mount]:
    with Mount(tmp_path / "back", tmp_path / "disk", record=True) as mount:
        yield mount


@pytest.mark.parametrize("damage", ["zeros", "gone"] if LONG else ["zeros"])
def test_cut_at_every_call_it_ends_as_if_there_had_been_no_cut(disk: Mount, state: Path, damage: str) -> None:
    DAMAGE[damage](state / "ledger.db")
    damaged = [(state / "ledger.db").read_bytes()] if damage != "gone" else []
    dice = random.Random(f"{SEED} {damage}")
    at, tried, met = 0, 0, True
    while met:
        at += 1 if LONG else 9
        for _ in range(many(1, 12)):
            tried += 1
            again = disk.path / f"state-{tried}"
            shutil.copytree(state, again)
            disk.settle()
            disk.cut(at=at)
            with suppress(OSError, RelayError, sqlite3.Error):
                open_ledger(str(again), NOW + 1000).close()
            met = disk.is_cut()
            disk.cut()
            seed = dice.randrange(1 << 30)
            disk.power_on(seed)
            COUNTS.cuts += 1
            said = f"cut at call {at}, seed {seed}"
            ledger = open_ledger(str(again), NOW + 5000)
            assert ledger.photos.latest("alice", "Camera/38.jpg") is not None, said
            assert ledger.photos.latest("alice", "Camera/after the copy.jpg") is None, said
            assert ledger.homes.all()["alice"].baseline_at is None, said
            ledger.close()
            assert losses(str(again)), said
            assert [path.read_bytes() for path in again.glob("damaged/*/ledger.db")] == damaged, said
            shutil.rmtree(again)
    print(f"\n{damage}: {tried} cuts at {at} calls, seed {SEED}")
