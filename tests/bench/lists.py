"""How long one page of the photos' list takes in a large ledger, whatever is asked for."""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.ledger.ledger import Ledger
from daemon.service.filters import Filters, by_hash
from tests.bench.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.bench import Bench

LIMIT = 0.050
"""Seconds that one page may take at the database."""
BEGAN = 1_600_000_000.0
BETWEEN = 60.0
BATCH = 200

_FILL = """
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
INSERT INTO photos (user, folder, path, role, group_id, state, inode, size, mtime_ns, ctime_ns, blake3, sha1, kind,
                    batch_id, archived_as, found_at, ended_at, proved_at)
SELECT 'user' || (n * 7 % 17), CAST('InstantUpload' AS BLOB),
       CAST(printf('InstantUpload/%d/IMG_%08d.jpg', 2016 + n / 100000, n) AS BLOB), 'main', n,
       CASE WHEN n % 1000 = 0 THEN 'held' WHEN n % 50 = 0 THEN 'refused' ELSE 'done' END,
       n, 3000000, 0, 0, randomblob(32), randomblob(20), 'jpg', (n - 1) / 200 + 1,
       CAST(printf('2026/11/2026_%08d.jpg', n) AS BLOB), 1600000000.0 + 60.0 * n, 1600000000.0 + 60.0 * n, 1600000000.0
FROM numbers
"""


@dataclass(frozen=True, slots=True)
class Took:
    """What was asked, and the seconds of one page: the best, in the middle, and the worst."""

    name: str
    best: float
    median: float
    worst: float


def fill(state: Path, photos: int) -> None:
    """Make a ledger of so many photos, a batch for every 200."""
    Ledger(str(state)).close()
    db = sqlite3.connect(state / "ledger.db", isolation_level=None)
    try:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -600000")
        db.execute("BEGIN")
        db.executemany(
            "INSERT INTO batches (name, state, created_at, ended_at) VALUES (?, 'ended', ?, ?)",
            ((f"batch{number}", BEGAN, BEGAN) for number in range(photos // BATCH + 1)),
        )
        db.execute(_FILL, (photos,))
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        db.close()


def pages(state: Path, photos: int, rounds: int = 9) -> list[Took]:
    """Ask for one page in every way that a person can, the ledger opened as the daemon opens it."""
    ledger = Ledger(str(state))
    try:
        some = ledger.photos.get(photos // 3)
        assert some is not None
        assert some.blake3 is not None
        questions: dict[str, tuple[Filters, int | None]] = {
            "the newest": (Filters(), None),
            "far down": (Filters(), photos // 2),
            "held": (Filters(state="held"), None),
            "done": (Filters(state="done"), photos // 2),
            "of a user": (Filters(user="user4"), None),
            "of nobody": (Filters(user="nobody"), None),
            "refused, of a user": (Filters(state="refused", user="user4"), None),
            "done, of a user": (Filters(state="done", user="user4"), None),
            "held, of nobody": (Filters(state="held", user="nobody"), None),
            "of a batch": (Filters(batch=photos // BATCH // 2), None),
            "an early day": (Filters(since="2020-09-20", until="2020-09-20"), None),
            "held before a date": (Filters(state="held", until="2020-10-30"), None),
            "by hash": (Filters(q=some.blake3.hex()), None),
            "by a hash's start": (Filters(q=some.blake3.hex()[:12]), None),
            "by a rare name": (Filters(q=f"img_{photos // 3:08}.JPG"), None),
            "by a name of none": (Filters(q="Köln"), None),
            "by a name, of a user": (Filters(q="nothing", user="user4", state="done"), None),
        }
        found = []
        for name, (filters, before) in questions.items():
            seconds = []
            for _ in range(rounds):
                began = time.perf_counter()
                wanted = by_hash(filters.wanted("UTC"), ledger.photo_list)
                ledger.photo_list.page(wanted, before, 50)
                seconds.append(time.perf_counter() - began)
            found.append(_took(name, seconds))
        seconds = []
        for _ in range(rounds):
            began = time.perf_counter()
            ledger.batch_list.page(None, 30)
            seconds.append(time.perf_counter() - began)
        found.append(_took("30 batches of 200", seconds))
    finally:
        ledger.close()
    return found


def _took(name: str, seconds: list[float]) -> Took:
    return Took(name, min(seconds), statistics.median(seconds), max(seconds))


def table(found: list[Took]) -> str:
    """Give the figures as lines, those over the limit marked."""
    lines = [f"{'':24}{'median':>10}{'worst':>10}"]
    for one in found:
        mark = "  over the limit" if one.median > LIMIT else ""
        lines.append(f"{one.name:24}{one.median * 1000:7.2f} ms{one.worst * 1000:7.2f} ms{mark}")
    return "\n".join(lines)


def figures(bench: Bench) -> Iterator[Figure]:
    """Ask for pages of a large ledger, and weigh it."""
    photos = bench.of(1_000_000, 100_000)
    state = bench.root / "ledger"
    fill(state, photos)
    size = sum(file.stat().st_size for file in state.glob("ledger.db*"))
    found = pages(state, photos)
    shutil.rmtree(state)
    bench.note(f"pages of a ledger of {photos:,} photos\n{table(found)}")
    slowest = max(found, key=lambda one: one.median)
    name = f"a page of {photos:,} photos, the slowest question ({slowest.name})"
    yield Figure(name, slowest.median * 1000, "ms", LIMIT * 1000, runs=9)
    yield Figure(f"ledger of {photos:,} photos, for each", size / photos, "B", 1000)
