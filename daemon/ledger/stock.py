"""What stands in a folder archive without having been proved there: listed once by size, read only where it must be.

A ledger that is new, or an earlier copy, does not know what the archive holds. Reading a million photos for that would
take a day; their names and sizes take less than a minute. Only files that have an upload's very size are looked into.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.ledger.rows import blob, text
from daemon.ledger.store import marks, parts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.ledger.store import Store

_LISTED = "archive-listed"


@dataclass(slots=True)
class Unread:
    """A file of the archive (``path`` below its root) that nobody has compared; ``head`` is its beginning's hash."""

    id: int
    path: str
    size: int
    head: bytes | None


class Stock:
    """The archive's files that are not among the contents. A line here is a hint where to look, never a proof."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def listed(self) -> str:
        """Give of which folder, by which ledger, the listing is; empty where there is none that is whole."""
        row = self._store.row("SELECT value FROM marks WHERE name = ?", (_LISTED,))
        return str(row["value"]) if row else ""

    def any(self) -> bool:
        """Tell whether the listing has a file that was not proved since."""
        return self._store.row("SELECT 1 FROM stock LIMIT 1") is not None

    def list_begin(self) -> None:
        """Throw away an earlier listing, or one that was not finished."""
        with self._store.write() as db:
            db.execute("DELETE FROM marks WHERE name = ?", (_LISTED,))
            db.execute("DELETE FROM stock")

    def list_add(self, files: Iterable[tuple[str, int]]) -> None:
        """Add files to a listing: path below the archive's root, size in bytes."""
        with self._store.write() as db:
            db.executemany("INSERT INTO stock (path, size) VALUES (?, ?)", ((blob(path), size) for path, size in files))

    def list_end(self, where: str) -> int:
        """Take out what was proved before and write down that the listing is whole; give how many files it has."""
        with self._store.write() as db:
            db.execute("DELETE FROM stock WHERE path IN (SELECT path FROM contents)")
            db.execute("INSERT INTO marks VALUES (?, ?)", (_LISTED, where))
            return int(db.execute("SELECT COUNT(*) FROM stock").fetchone()[0])

    def of_sizes(self, sizes: Iterable[int]) -> list[Unread]:
        """Give the files that have one of these sizes."""
        found: list[Unread] = []
        for part in parts(sizes):
            sql = f"SELECT * FROM stock WHERE size IN ({marks(part)}) ORDER BY id"  # noqa: S608  question marks
            found += [
                Unread(row["id"], text(row["path"]), row["size"], row["head"]) for row in self._store.rows(sql, part)
            ]
        return found

    def heads(self, files: Iterable[Unread]) -> None:
        """Write down how these files begin."""
        with self._store.write() as db:
            db.executemany("UPDATE stock SET head = ? WHERE id = ?", [(one.head, one.id) for one in files])

    def out(self, files: Iterable[Unread]) -> None:
        """Take files out: they are contents now, or gone."""
        with self._store.write() as db:
            db.executemany("DELETE FROM stock WHERE id = ?", [(one.id,) for one in files])
