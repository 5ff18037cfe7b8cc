"""Small things to remember, each under a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.ledger.store import Store


class Marks:
    """The register of names and values."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, name: str) -> str:
        """Give what is remembered under a name, or an empty text."""
        row = self._store.row("SELECT value FROM marks WHERE name = ?", (name,))
        return str(row["value"]) if row else ""

    def put(self, name: str, value: str) -> None:
        """Remember something under a name, instead of what was there."""
        with self._store.write() as db:
            db.execute(
                "INSERT INTO marks VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value)
            )
