"""A year in the short form: what may not grow does not, and what grows with photos stays small."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest

from tests.relay.world import World
from tests.torture.year import BY_PHOTO, live, multiply

if TYPE_CHECKING:
    from pathlib import Path

LONG = bool(os.environ.get("PHOTON_RELAY_TORTURE"))
DAYS, EACH = (365, 20) if LONG else (28, 5)
MIB = 2**20


@pytest.mark.timeout(3000 if LONG else 240)
async def test_what_grows_in_a_year(tmp_path: Path) -> None:
    world = World(tmp_path, prism=None, settings={"nextcloud": {"occ": {"via": "off"}}})
    try:
        days = await live(world, DAYS, EACH, 40, lambda day: print(day.line()), DAYS // 4)
    finally:
        await world.close()
    first, last = days[0], days[-1]
    assert last.photos == DAYS * EACH
    assert (last.descriptors, last.tasks) == (first.descriptors, first.tasks)
    assert last.memory - days[1].memory < 8 * MIB
    assert last.copies <= 5
    assert last.tables["sweeps"] <= 1000
    # One row for each day on which photos ended, and nothing that grows by itself.
    assert last.tables["quarters"] <= 4 * DAYS
    for table, rows in last.tables.items():
        if table not in {*BY_PHOTO, "sweeps", "quarters", "sqlite_sequence", "refreshed"}:
            assert rows <= max(first.tables[table], 2), table
    assert last.tables["jobs"] == last.tables["job_photos"] == 0


@pytest.mark.timeout(240)
async def test_a_photo_takes_less_than_a_kilobyte_with_its_whole_history(tmp_path: Path) -> None:
    world = World(tmp_path, prism=None, settings={"nextcloud": {"occ": {"via": "off"}}})
    try:
        await live(world, 1, 200, 0, lambda _day: None, 1)
    finally:
        await world.close()
    photos = multiply(tmp_path / "state", 20_000)
    assert photos == 20_000
    size = (tmp_path / "state" / "ledger.db").stat().st_size
    with contextlib.suppress(FileNotFoundError):
        size += (tmp_path / "state" / "ledger.db-wal").stat().st_size
    assert size / photos < 1000
