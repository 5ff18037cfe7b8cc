"""What inspectors have found out about photos: a value of their own to look up later, and a note for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daemon.ledger.store import Store


class Inspections:
    """One finding for each photo and inspector."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def note(self, inspector: str, photo_id: int, now: float, value: str, note: str) -> None:
        """Write down what an inspector found, instead of what it found there before."""
        with self._store.write() as db:
            db.execute(
                "INSERT OR REPLACE INTO inspections VALUES (?, ?, ?, ?, ?)", (inspector, photo_id, now, value, note)
            )

    def of_photo(self, photo_id: int) -> list[dict[str, Any]]:
        """Give what inspectors found out about a photo."""
        found = self._store.rows(
            "SELECT inspector, at, value, note FROM inspections WHERE photo_id = ? ORDER BY inspector", (photo_id,)
        )
        return [dict(row) for row in found]

    def values(self, inspector: str, limit: int) -> list[tuple[int, str]]:
        """Give the newest photos with a value of this inspector, oldest of them first."""
        found = self._store.rows(
            "SELECT photo_id, value FROM inspections WHERE inspector = ? AND value <> ''"
            " ORDER BY photo_id DESC LIMIT ?",
            (inspector, limit),
        )
        return [(row["photo_id"], row["value"]) for row in reversed(found)]
