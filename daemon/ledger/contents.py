"""Which bytes the archive is known to hold, and where: how a duplicate is recognised without asking anybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.ledger.rows import blob, text
from daemon.ledger.store import marks, parts

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from daemon.ledger.store import Store


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that stood proved in the archive at ``path`` (below its root)."""

    blake3: bytes
    size: int
    path: str
    photo_id: int


class Contents:
    """The archive's contents by BLAKE3. A line here is a hint where to look, never a proof."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, blake3: bytes) -> Content | None:
        """Give where these bytes stood when last proved, or ``None``."""
        row = self._store.row("SELECT * FROM contents WHERE blake3 = ?", (blake3,))
        return None if row is None else _content(row)

    def find_each(self, digests: Iterable[bytes]) -> dict[bytes, Content]:
        """Give, by BLAKE3, where these bytes stood when last proved, those that never were left out."""
        found: dict[bytes, Content] = {}
        for part in parts(digests):
            sql = f"SELECT * FROM contents WHERE blake3 IN ({marks(part)})"  # noqa: S608  only question marks
            found |= {row["blake3"]: _content(row) for row in self._store.rows(sql, part)}
        return found

    def any(self) -> bool:
        """Tell whether anything was ever proved in the archive."""
        return self._store.row("SELECT 1 FROM contents LIMIT 1") is not None

    def proved(self, contents: Iterable[Content]) -> None:
        """Write down that these bytes were just proved, each at its place."""
        with self._store.write() as db:
            db.executemany(
                "INSERT INTO contents VALUES (?, ?, ?, ?) ON CONFLICT (blake3) DO UPDATE SET path = excluded.path",
                [(one.blake3, one.size, blob(one.path), one.photo_id) for one in contents],
            )


def _content(row: sqlite3.Row) -> Content:
    return Content(row["blake3"], row["size"], text(row["path"]), row["photo_id"])
