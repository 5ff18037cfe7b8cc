"""How much was relayed when: the photos' ends, counted by quarters of an hour, so that no question reads all photos.

A quarter of an hour is the largest step that fits every time zone in use, so that days can be told by any of them.
"""

from __future__ import annotations

import threading
from collections import Counter
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from daemon.ledger.store import Store

QUARTER: Final = 900
DAYS: Final = 365
_NEVER: Final = 2**62
_A_DAY: Final = 96
_COLUMNS: Final = ("done", "bytes", "duplicates", "duplicate_bytes", "refused", "restored")
_SUMS: Final = ", ".join(f"COALESCE(SUM({name}), 0) {name}" for name in _COLUMNS)
_ENDS: Final = frozenset({"done", "refused", "restored"})
COUNTED: Final = frozenset({"state", "fingerprint", "duplicate_of", "ended_at"})
"""The columns of a photo that decide where it is counted."""


class Sums(NamedTuple):
    """What ended in a span of time. ``done`` are photos relayed as new, duplicates are counted beside them."""

    done: int = 0
    bytes: int = 0
    duplicates: int = 0
    duplicate_bytes: int = 0
    refused: int = 0
    restored: int = 0


class Figures:
    """The table ``quarters``: at any moment the same as a recount of the photos by their state and time of end.

    A photo that leaves its end (put back, tried again) is taken out where it was counted, so that nothing counts
    twice and the sums agree with the counts of photos by state.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._touched = _NEVER
        self._known = _Known("", date.min, 0, Sums(), ())
        self.version = 0
        """Grows whenever a figure changes: who keeps what was read asks again when it has."""

    def moved(
        self, db: sqlite3.Connection, before: Mapping[int, sqlite3.Row], after: Mapping[int, sqlite3.Row]
    ) -> None:
        """Count photos' rows (by id) as they are after a change, and no longer as before; within that transaction."""
        counts: Counter[tuple[int, str]] = Counter()
        sizes: Counter[tuple[int, str]] = Counter()
        for rows, sign in ((before, -1), (after, 1)):
            for row in rows.values():
                end = _counted(row)
                if end is not None:
                    quarter, column, size = end
                    counts[quarter, column] += sign
                    sizes[quarter, column] += sign * size
        for (quarter, column), count in counts.items():
            if count or sizes[quarter, column]:
                self._add(db, quarter, column, count, sizes[quarter, column])
                self.version += 1

    def _add(self, db: sqlite3.Connection, quarter: int, column: str, count: int, size: int) -> None:
        self._touched = min(self._touched, quarter)
        db.execute("INSERT INTO quarters (quarter) VALUES (?) ON CONFLICT DO NOTHING", (quarter,))
        weight = {"done": "bytes", "duplicates": "duplicate_bytes"}.get(column)
        more = f", {weight} = {weight} + {size}" if weight else ""
        # The names come from the table above, the numbers are whole ones of ours.
        db.execute(f"UPDATE quarters SET {column} = {column} + {count}{more} WHERE quarter = ?", (quarter,))  # noqa: S608

    # -- asking -------------------------------------------------------------------------------------------------

    def total(self) -> Sums:
        """Give all that ever ended."""
        with self._lock:
            known = self._still_known()
            if not known.until:
                last = self._store.row("SELECT MAX(quarter) FROM quarters")
                until = int(last[0] or 0) if last else 0
                known = self._known = _Known("", date.min, until, self.between(None, until), ())
            return _plus(known.before, self.between(known.until, None))

    def today(self, now: float, zone: str) -> Sums:
        """Give what ended since midnight in ``zone`` (an IANA name)."""
        return self.between(_midnight(_date(now, zone), zone), None)

    def between(self, start: int | None, end: int | None) -> Sums:
        """Give what ended from the quarter ``start`` until before the quarter ``end``; ``None`` is without limit."""
        least, most = -(2**62) if start is None else start, 2**62 if end is None else end
        sql = f"SELECT {_SUMS} FROM quarters WHERE quarter >= ? AND quarter < ?"  # noqa: S608  names of ours
        row = self._store.row(sql, (least, most))
        return Sums(*row) if row else Sums()

    def activity(self, now: float, zone: str) -> list[tuple[date, Sums]]:
        """Give the last 365 days in ``zone``, today included: those on which something was done, oldest first."""
        today = _date(now, zone)
        with self._lock:
            known = self._still_known()
            if (known.zone, known.today) != (zone, today):
                start = _midnight(today, zone)
                # Kept before it is read: what is counted meanwhile belongs to today, or is found to have been touched.
                days = self._days(today - timedelta(days=DAYS - 1), today, zone)
                known = self._known = _Known(zone, today, start, self.between(None, start), tuple(days))
            sums = self.between(known.until, None)
        return [*known.days, *([(today, sums)] if any(sums) else [])]

    def _still_known(self) -> _Known:
        """Give what is known of the days before today, which hardly ever change; nothing, where one has."""
        touched, self._touched = self._touched, _NEVER
        if touched < self._known.until:
            self._known = _Known("", date.min, 0, Sums(), ())
        return self._known

    def _days(self, first: date, end: date, zone: str) -> list[tuple[date, Sums]]:
        """Give the days from ``first`` until before ``end`` on which something was done."""
        dates = [first + timedelta(days=number) for number in range((end - first).days + 1)]
        starts = [_midnight(one, zone) for one in dates]
        found: list[tuple[date, Sums]] = []
        here = 0
        while here < len(dates) - 1:
            # Days of 24 hours in a row are one question; one on which the clocks change is one by itself.
            length = starts[here + 1] - starts[here]
            last = here + 1
            while length == _A_DAY and last < len(dates) - 1 and starts[last + 1] - starts[last] == _A_DAY:
                last += 1
            sql = (
                f"SELECT (quarter - ?) / ? day, {_SUMS} FROM quarters"  # noqa: S608  names of ours
                " WHERE quarter >= ? AND quarter < ? GROUP BY day ORDER BY day"
            )
            for row in self._store.rows(sql, (starts[here], max(1, length), starts[here], starts[last])):
                sums = Sums(*tuple(row)[1:])
                if any(sums):
                    found.append((dates[here + row["day"]], sums))
            here = last
        return found


class _Known(NamedTuple):
    """What was read of the days before ``today``: all their quarters are below ``until``."""

    zone: str
    today: date
    until: int
    before: Sums
    days: tuple[tuple[date, Sums], ...]


def _plus(one: Sums, other: Sums) -> Sums:
    return Sums(*(mine + theirs for mine, theirs in zip(one, other, strict=True)))


def _counted(row: sqlite3.Row) -> tuple[int, str, int] | None:
    """Give where a photo's row counts: the quarter, the column, and its size; ``None`` for one not at its end."""
    if row["state"] not in _ENDS or row["ended_at"] is None:
        return None
    column = row["state"]
    if column == "done" and row["duplicate_of"] is not None:
        column = "duplicates"
    return int(row["ended_at"] / QUARTER), column, row["size"]


def _date(now: float, zone: str) -> date:
    return datetime.fromtimestamp(now, ZoneInfo(zone)).date()


def _midnight(day: date, zone: str) -> int:
    """Give the quarter with which a day begins in a time zone."""
    return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp() // QUARTER)
