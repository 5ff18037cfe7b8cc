"""The photos as a list: newest first, filtered, a page at a time, at a cost that does not grow with the ledger.

Each page is found along one index, from a cursor downwards, and looks at a few thousand rows at most: a search
that finds nothing gives where it stopped, and whoever asks goes on from there. The reads are cut into small ones, so
that a step of the relay never waits long for the connection.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from daemon.ledger import rows
from daemon.ledger.model import Photo, State
from daemon.ledger.rows import text
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from daemon.ledger.store import Store

LOOKED_AT = 5_000
"""Rows that one page looks at at most, where they lie side by side."""
SCATTERED = 1_500
"""The same along an index: there each row is on another page of the file."""
AT_ONCE = 1_000
"""Rows in one read: about 2 ms during which the connection is taken."""
NEAR = 2_000
"""Rows beside a date among which the first and the last id are looked for, see :meth:`PhotoList.bounds`."""
_HASHES = 20
_BY_ID = "NOT INDEXED"
_BEYOND = 1 << 62


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which photos; ``None`` and empty stand for all. ``since`` is included, ``until`` is not (seconds)."""

    state: State | None = None
    user: str | None = None
    batch: int | None = None
    name: str = ""
    """A part of the path, in whatever case."""
    hashes: tuple[bytes, ...] | None = None
    """Whole BLAKE3 or SHA-1 hashes, see :meth:`PhotoList.hashes`."""
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Photos, newest first; ``next`` is the cursor to go on from, ``None`` at the end of the ledger."""

    photos: list[Photo] = field(default_factory=list)
    next: int | None = None
    back_to: float | None = None
    """When the last photo that was looked at had been found; ``None`` at the end."""


class PhotoList:
    """Pages of photos, and what else is asked of many rows at once. All methods block."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(self, wanted: Wanted, before: int | None = None, limit: int = 50) -> Page:
        """Give up to ``limit`` photos with ids below ``before``."""
        first, last = self.bounds(wanted.since, wanted.until)
        last = min(last, (before or _BEYOND) - 1)
        ids: list[int] = []
        looked, at = 0, last + 1
        size = min(limit + 1, AT_ONCE)
        matches = _name_matcher(wanted.name)
        most = LOOKED_AT if _along(wanted)[0] == _BY_ID else SCATTERED
        while looked < most:
            found = self._store.rows(*scan(wanted, first, at, size))
            for row in found:
                at = row["id"]
                if row["wanted"] and (matches is None or matches(row["path"])):
                    ids.append(at)
                    if len(ids) >= limit:
                        break
            looked += len(found)
            done = len(found) < size and (not found or at == found[-1]["id"])
            if done or len(ids) >= limit:
                break
            size = min(size * 4, AT_ONCE)
        else:
            done = False
        photos = self.these(ids)
        if done:
            return Page(photos)
        return Page(photos, at, self._found_at(at))

    def these(self, ids: Sequence[int]) -> list[Photo]:
        """Give photos by id, newest first."""
        marks = ", ".join("?" * len(ids))
        sql = f"{rows.PHOTOS} WHERE id IN ({marks}) ORDER BY id DESC"
        return rows.photos(self._store.rows(sql, list(ids)))

    def all_of(self, wanted: Wanted, limit: int = 500) -> Iterator[list[Photo]]:
        """Give all photos, newest first, in lists that may be empty; what is written meanwhile is seen or not."""
        page = self.page(wanted, None, limit)
        yield page.photos
        while page.next is not None:
            page = self.page(wanted, page.next, limit)
            yield page.photos

    def bounds(self, since: float | None, until: float | None) -> tuple[int, int]:
        """Give the first and the last id that a span of time can have.

        Ids grow with time but for moments at which the clock was wrong. So the outermost of the ``NEAR`` rows next to
        each end are taken, and every row's own time is looked at besides.
        """
        first, last = 0, _BEYOND
        if since is not None:
            row = self._store.row(*nearest("MIN", ">=", "ASC", since))
            first = _BEYOND if row is None or row[0] is None else int(row[0])
        if until is not None:
            row = self._store.row(*nearest("MAX", "<", "DESC", until))
            last = 0 if row is None or row[0] is None else int(row[0])
        return first, last

    def hashes(self, prefix: str) -> tuple[bytes, ...]:
        """Give the whole hashes, BLAKE3 or SHA-1, that begin with ``prefix`` (hex digits); at most 20 of each."""
        low = bytes.fromhex(prefix + "0" * (len(prefix) % 2))
        high = bytes.fromhex(prefix + "f" * (len(prefix) % 2)) + b"\xff" * 32
        found: list[bytes] = []
        for column in ("blake3", "sha1"):
            # Each hash once, however many photos have it: from one to the next along the index.
            row = self._store.row(f"SELECT MIN({column}) FROM photos WHERE {column} BETWEEN ? AND ?", (low, high))  # noqa: S608
            for _ in range(_HASHES):
                if row is None or row[0] is None:
                    break
                found.append(row[0])
                row = self._store.row(
                    f"SELECT MIN({column}) FROM photos WHERE {column} > ? AND {column} <= ?",  # noqa: S608
                    (row[0], high),
                )
        return tuple(found)

    def _found_at(self, identity: int) -> float | None:
        row = self._store.row("SELECT found_at FROM photos WHERE id = ?", (identity,))
        return row[0] if row else None


def scan(wanted: Wanted, first: int, before: int, limit: int) -> tuple[str, list[Any]]:
    """Give the query for the next rows downwards along the index that leaves the fewest, with its arguments."""
    index, driver, given = _along(wanted)
    others = ["1"]
    arguments: list[Any] = []
    for column, value in (("state", wanted.state), ("user", wanted.user), ("batch_id", wanted.batch)):
        if value is not None and not driver.startswith(f"{column} "):
            others.append(f"{column} = ?")
            arguments.append(value)
    if wanted.since is not None:
        others.append("found_at >= ?")
        arguments.append(wanted.since)
    if wanted.until is not None:
        others.append("found_at < ?")
        arguments.append(wanted.until)
    # The names of columns and indexes come from below, never from outside.
    sql = (
        f"SELECT id, path, {' AND '.join(others)} AS wanted FROM photos {index}"  # noqa: S608
        f" WHERE {driver} AND id < ? AND id >= ? ORDER BY id DESC LIMIT ?"
    )
    return sql, [*arguments, *given, before, first, limit]


def _along(wanted: Wanted) -> tuple[str, str, list[Any]]:
    if wanted.hashes is not None:
        marks = ", ".join("?" * len(wanted.hashes))
        both = f"SELECT id FROM photos WHERE blake3 IN ({marks}) UNION SELECT id FROM photos WHERE sha1 IN ({marks})"  # noqa: S608
        return "", f"id IN ({both})", [*wanted.hashes, *wanted.hashes]
    if wanted.batch is not None:
        return "INDEXED BY photos_batch", "batch_id = ?", [wanted.batch]
    # Nearly all photos are done, and few are in any other state: then the user tells more.
    if wanted.state is not None and (wanted.user is None or wanted.state is not State.DONE):
        return "INDEXED BY photos_in_state", "state = ?", [wanted.state]
    if wanted.user is not None:
        return "INDEXED BY photos_of_user", "user = ?", [wanted.user]
    return _BY_ID, "1", []


def nearest(extreme: str, compare: str, order: str, when: float) -> tuple[str, list[Any]]:
    """Give the query for the outermost id among the rows next to a moment, with its arguments."""
    sql = (
        f"SELECT {extreme}(id) FROM (SELECT id FROM photos INDEXED BY photos_found WHERE found_at {compare} ?"  # noqa: S608
        f" ORDER BY found_at {order} LIMIT {NEAR})"
    )
    return sql, [when]


def _name_matcher(part: str) -> Callable[[bytes], bool] | None:
    """Give the test of a stored path: both in one form, since a phone writes ü as one character and a Mac as two."""
    if not part:
        return None
    wanted = _folded(part)
    ascii_only = wanted.isascii()

    def matches(path: bytes) -> bool:
        if path.isascii():
            return ascii_only and wanted in path.decode("ascii").lower()
        name = text(path)
        return wanted in _folded(name) or (not name.isprintable() and wanted in _folded(shown(name, 10_000)))

    return matches


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
