"""Who was seen, since when, and what stood in their folders at that moment (the baseline)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.ledger.rows import blob, text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.fingerprint import Fingerprint
    from daemon.ledger.store import Store

_SAME_FILES = """
UPDATE baseline SET inode = :inode WHERE user = :user AND path = :path AND size = :size AND gone = 0 AND inode <> :inode
"""
# SQLite takes the primary key by itself, and with it all files of a user, for each file that a sweep meets.
_LISTED = "SELECT path, gone FROM baseline INDEXED BY baseline_inode WHERE user = ? AND inode = ? AND size = ?"
_SAME_PHOTOS = """
UPDATE photos SET inode = :inode, ctime_ns = :ctime
WHERE id = (SELECT MAX(id) FROM photos WHERE user = :user AND path = :path)
  AND size = :size AND mtime_ns = :mtime AND inode <> :inode
  AND (state IN ('refused', 'restored') OR (state IN ('released', 'done') AND after IN ('keep', 'tag')))
"""


@dataclass(frozen=True, slots=True)
class Home:
    """A user's home as the ledger knows it; times in seconds since the epoch."""

    user: str
    first_seen: float
    baseline_at: float | None
    """When the listing was complete; ``None`` while it is being made."""
    gone_since: float | None
    anchor: str
    """Which directories these are (inode numbers); another one means that the home was copied here from elsewhere."""


class Homes:
    """The users' homes and their baselines."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self) -> dict[str, Home]:
        """Give every home that was ever seen, by user."""
        return {row["user"]: Home(**dict(row)) for row in self._store.rows("SELECT * FROM homes ORDER BY user")}

    def seen(self, user: str, now: float) -> None:
        """Write down that a user has a home; one that was gone is back."""
        with self._store.write() as db:
            db.execute("INSERT INTO homes (user, first_seen) VALUES (?, ?) ON CONFLICT DO NOTHING", (user, now))
            db.execute("UPDATE homes SET gone_since = NULL WHERE user = ? AND gone_since IS NOT NULL", (user,))

    def gone(self, user: str, now: float) -> None:
        """Write down that a home is not there any more; nothing about its user is forgotten."""
        with self._store.write() as db:
            db.execute("UPDATE homes SET gone_since = ? WHERE user = ? AND gone_since IS NULL", (now, user))

    def list_begin(self, user: str) -> None:
        """Throw away a listing that was not finished."""
        with self._store.write() as db:
            db.execute("DELETE FROM baseline WHERE user = ?", (user,))

    def list_add(self, user: str, entries: Iterable[tuple[str, int, int]]) -> None:
        """Add files to a listing: path below ``files/``, inode, size in bytes."""
        with self._store.write() as db:
            db.executemany(
                "INSERT OR REPLACE INTO baseline (user, path, inode, size) VALUES (?, ?, ?, ?)",
                ((user, blob(path), inode, size) for path, inode, size in entries),
            )

    def list_end(self, user: str, now: float) -> None:
        """Write down that a listing is complete; from now on what is not in it is new."""
        with self._store.write() as db:
            db.execute("UPDATE homes SET baseline_at = ? WHERE user = ?", (now, user))

    def anchored(self, user: str, anchor: str) -> None:
        """Write down which directories a home's are."""
        with self._store.write() as db:
            db.execute("UPDATE homes SET anchor = ? WHERE user = ?", (anchor, user))

    def came_over(self, user: str, files: Iterable[tuple[str, Fingerprint]]) -> int:
        """Let files of a home that was copied here be those that the ledger knows; give how many had another inode.

        A file of the listing is known again by path and size; one that was relayed and kept, refused or put back by its
        time too. What was still under way is not: it is examined anew.
        """
        wanted = [
            {
                "user": user,
                "path": blob(path),
                "inode": mark.inode,
                "size": mark.size,
                "mtime": mark.mtime_ns,
                "ctime": mark.ctime_ns,
            }
            for path, mark in files
        ]
        with self._store.write() as db:
            return db.executemany(_SAME_FILES, wanted).rowcount + db.executemany(_SAME_PHOTOS, wanted).rowcount

    def in_baseline(self, user: str, path: str, inode: int, size: int) -> bool:
        """Tell whether this very file stood there when its owner's home was first seen, here or in another folder.

        A folder that its owner renames, or photos that they sort into others, are not new. Under the very name that a
        file has left, the next one is, whatever its inode: file systems give freed numbers away at once.
        """
        name = path.rpartition("/")[2]
        found = self._store.rows(_LISTED, (user, inode, size))
        return any(
            not row["gone"] if (listed := text(row["path"])) == path else listed.rpartition("/")[2] == name
            for row in found
        )

    def left_baseline(self, places: Iterable[tuple[str, str]]) -> None:
        """Write down that files (user, path) of the listings are gone.

        The next one under such a name is new, whatever its inode.
        """
        with self._store.write() as db:
            db.executemany(
                "UPDATE baseline SET gone = 1 WHERE user = ? AND path = ?",
                [(user, blob(path)) for user, path in places],
            )

    def baseline_sizes(self) -> dict[str, int]:
        """Give how many files each user's listing has."""
        found = self._store.rows("SELECT user, COUNT(*) n FROM baseline WHERE gone = 0 GROUP BY user")
        return {row["user"]: row["n"] for row in found}

    def baseline_size(self, user: str) -> int:
        """Give how many files a user's listing has."""
        row = self._store.row("SELECT COUNT(*) FROM baseline WHERE user = ? AND gone = 0", (user,))
        return int(row[0]) if row else 0
