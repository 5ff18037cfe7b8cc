"""A year of the relay in minutes: real files, a real ledger, the real pipeline; only the clock is made up.

``python -m tests.torture.year`` prints what grew; ``--rows 1000000`` also multiplies the ledger that the year has left
to so many photos (its own rows again, with other names and hashes) and looks how it carries them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import sqlite3
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import psutil

from daemon.ledger.copies import back_up, copies
from daemon.ledger.ledger import Ledger
from daemon.ledger.soundness import fault
from daemon.ledgerkeeper import LedgerKeeper
from tests.relay.world import FOLDER, World, shot

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = 86400.0
BY_PHOTO = ("photos", "contents", "audit", "batches")
"""Tables that grow with photos, and only with them. The others have a limit, or grow with users and folders."""


@dataclass(frozen=True, slots=True)
class Day:
    """How things are at a day's end; ``tables`` has the rows of each table, ``each`` the ledger's bytes a photo."""

    day: int
    photos: int
    memory: int
    descriptors: int
    tasks: int
    ledger: int
    copies: int
    tables: dict[str, int]

    def line(self) -> str:
        """Give it as a line of the table."""
        return (
            f"{self.day:4} {self.photos:9,} {self.memory / 2**20:8.1f} {self.descriptors:4} {self.tasks:6}"
            f" {self.ledger / 2**20:8.2f} {self.ledger / max(1, self.photos):8.0f} {self.copies:7}"
        )


HEAD = " day    photos      MiB  fds  tasks   ledger  B/photo  copies"


async def live(world: World, days: int, each: int, sweeps: int, told: Callable[[Day], None], every: int) -> list[Day]:
    """Live through so many days with ``each`` photos and ``sweeps`` sweeps a day; give each ``every``-th day's end."""
    keeper = LedgerKeeper(world.ledger, world.issues, world.clock)
    base = shot(1)
    found: list[Day] = []
    async with world.running():
        for day in range(1, days + 1):
            morning = world.clock.time
            for first in range(0, each, 200):
                numbers = range(first, min(each, first + 200))
                names = [f"{FOLDER}/{day // 30:02}/IMG_{day:04}{number:04}.jpg" for number in numbers]
                user = "alice" if day % 2 else "bob"
                for name in names:
                    world.put(user, name, base + name.encode() + user.encode())
                await world.settle(user, names)
                world.wake.set()
                await world.until(world.quiet, 120)
            if day % 7 == 0:
                # A person has one put back, which is not taken again, and throws it away.
                last = world.ledger.photos.last_id()
                path = await world.restore.photo(last)
                photo = world.photo(last)
                assert await world.settle(photo.user, [path]) == set()
                world.path(photo.user, path).unlink()
            for _ in range(sweeps):
                now = world.clock.wall()
                world.ledger.audit.swept(now, now, "schedule", 100, 0)
            await keeper.look()
            await world.later(max(0.0, morning + DAY - world.clock.time))
            if day % every == 0:
                found.append(_look(world, day))
                told(found[-1])
    return found


def _look(world: World, day: int) -> Day:
    gc.collect()
    process = psutil.Process()
    state = world.root / "state"
    with contextlib.closing(sqlite3.connect(state / "ledger.db")) as db:
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        tables = {name: db.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in names}
        used = db.execute("PRAGMA page_count").fetchone()[0] * db.execute("PRAGMA page_size").fetchone()[0]
    return Day(
        day,
        tables["photos"],
        process.memory_info().rss,
        process.num_fds(),
        len(asyncio.all_tasks()),
        used,
        len(copies(str(state))),
        tables,
    )


def multiply(state: Path, rows: int) -> int:
    """Make a ledger of so many photos out of one of a few thousand, of its own rows; give how many there are."""
    with contextlib.closing(sqlite3.connect(state / "ledger.db", isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -400000")
        columns = {
            table: [row[1] for row in db.execute(f"PRAGMA table_info({table})")] for table in ("photos", "audit")
        }
        other = {
            "id": "id + :step",
            "path": "CAST(printf('%s%08d.jpg', substr(CAST(path AS TEXT), 1, length(path) - 12), id + :step) AS BLOB)",
            "archived_as": "CAST(printf('%s%08d.jpg', substr(CAST(archived_as AS TEXT), 1, length(archived_as) - 12),"
            " id + :step) AS BLOB)",
            "blake3": "randomblob(32)",
            "sha1": "randomblob(20)",
            "group_id": "group_id + :step",
            "photo_id": "photo_id + :step",
            "batch_id": "(id + :step) / 200 + 1",
        }
        (step,) = db.execute("SELECT MAX(id) FROM photos").fetchone()
        (first,) = db.execute("SELECT MAX(id) FROM audit").fetchone()
        db.execute("BEGIN")
        for number in range(1, -(-rows // step)):
            values = {"step": number * step}
            for table, extra in (("photos", number * step), ("audit", number * first)):
                changed = other if table == "photos" else {"photo_id": other["photo_id"]}
                changed = {**changed, "id": f"id + {extra}"}
                chosen = [changed.get(name, name) for name in columns[table]]
                limit = step if table == "photos" else first
                db.execute(
                    f"INSERT INTO {table} ({', '.join(columns[table])}) SELECT {', '.join(chosen)} FROM {table}"
                    f" WHERE id <= {limit}",
                    {key: value for key, value in values.items() if f":{key}" in " ".join(chosen)},
                )
        db.execute(
            "INSERT OR IGNORE INTO batches (id, name, state, created_at)"
            " SELECT DISTINCT batch_id, lower(hex(randomblob(7))), 'ended', 1795000000.0 FROM photos"
            " WHERE batch_id NOT IN (SELECT id FROM batches)"
        )
        db.execute(
            "INSERT INTO contents SELECT blake3, size, archived_as, id FROM photos WHERE id > ? AND blake3 IS NOT NULL",
            (step,),
        )
        db.execute("COMMIT")
        (count,) = db.execute("SELECT COUNT(*) FROM photos").fetchone()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return int(count)


def carry(state: Path, say: Callable[[str], None]) -> None:
    """Look how a large ledger is carried: opened, looked through, copied, asked, and what a photo takes."""
    path = state / "ledger.db"

    def timed(what: str, function: Callable[[], object]) -> object:
        began = time.perf_counter()
        result = function()
        say(f"{time.perf_counter() - began:8.2f} s  {what}")
        return result

    with contextlib.closing(sqlite3.connect(path)) as db:
        (photos,) = db.execute("SELECT COUNT(*) FROM photos").fetchone()
    size = path.stat().st_size
    say(f"{photos:,} photos, {size / 2**20:.0f} MiB, {size / photos:.0f} bytes a photo")
    timed("quick_check, as at each start", lambda: fault(str(path), thorough=False))
    timed("integrity_check, as before each copy", lambda: fault(str(path)))
    timed("a copy, looked through", lambda: back_up(str(state), time.time()))
    before = psutil.Process().memory_info().rss
    ledger = timed("opened", lambda: Ledger(str(state)))
    assert isinstance(ledger, Ledger)
    try:
        timed("counts by state", ledger.photos.counts)
        timed("counts by user", ledger.photos.counts_of_users)
        timed("the next due", ledger.photos.next_try)
        timed("the next to be released", ledger.photos.next_release)
        timed("what a batch would take", lambda: ledger.photos.settled_first(200))
        timed("the last twenty that ended", lambda: ledger.photos.last_ended(20))
        say(f"{(psutil.Process().memory_info().rss - before) / 2**20:8.1f} MiB more memory after all that")
    finally:
        ledger.close()


async def _year(root: Path, days: int, each: int, say: Callable[[str], None]) -> list[Day]:
    world = World(root, prism=None, settings={"nextcloud": {"occ": {"via": "off"}}})
    say(HEAD)
    try:
        return await live(world, days, each, 96, lambda day: say(day.line()), max(1, days // 12))
    finally:
        await world.close()


def main() -> int:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture.year", description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--each", type=int, default=30, help="photos a day (30)")
    parser.add_argument("--rows", type=int, default=0, help="then multiply the ledger to so many photos")
    parser.add_argument("--dir", type=Path, default=Path("/dev/shm" if os.access("/dev/shm", os.W_OK) else "/tmp"))
    given = parser.parse_args()

    def say(line: str) -> None:
        print(line, flush=True)

    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="photon-relay-year-", dir=given.dir) as folder:
        found = anyio.run(_year, Path(folder), given.days, given.each, say)
        say(f"{found[-1].photos / (time.monotonic() - began):.0f} photos a second; rows at the end: {found[-1].tables}")
        if given.rows:
            multiply(Path(folder, "state"), given.rows)
            carry(Path(folder, "state"), say)
    return 0


if __name__ == "__main__":
    sys.exit(main())
