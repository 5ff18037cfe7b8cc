"""Which bytes the archive is known to hold, and where: how a duplicate is recognised without asking anybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.ledger.rows import blob, text

if TYPE_CHECKING:
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
        if row is None:
            return None
        return Content(row["blake3"], row["size"], text(row["path"]), row["photo_id"])

    def any(self) -> bool:
        """Tell whether anything was ever proved in the archive."""
        return self._store.row("SELECT 1 FROM contents LIMIT 1") is not None

    def proved(self, content: Content) -> None:
        """Write down that these bytes were just proved at that place."""
        with self._store.write() as db:
            db.execute(
                "INSERT INTO contents VALUES (?, ?, ?, ?) ON CONFLICT (blake3) DO UPDATE SET path = excluded.path",
                (content.blake3, content.size, blob(content.path), content.photo_id),
            )
