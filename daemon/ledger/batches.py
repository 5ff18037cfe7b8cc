"""The batches' rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.ledger import rows
from daemon.ledger.model import Batch, BatchState

if TYPE_CHECKING:
    from daemon.errors import RelayError
    from daemon.ledger.store import Store


class Batches:
    """Opening, moving and ending batches."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def open(self, name: str, now: float) -> Batch:
        """Enter a new batch."""
        with self._store.write() as db:
            db.execute("INSERT INTO batches (name, state, created_at) VALUES (?, 'open', ?)", (name, now))
        found = self._store.row("SELECT * FROM batches WHERE name = ?", (name,))
        assert found is not None  # noqa: S101  it was just entered
        return rows.batch(found)

    def get(self, identity: int) -> Batch | None:
        """Give one batch, or ``None``."""
        row = self._store.row("SELECT * FROM batches WHERE id = ?", (identity,))
        return rows.batch(row) if row else None

    def unfinished(self) -> list[Batch]:
        """Give the batches that have not ended, oldest first."""
        return [rows.batch(row) for row in self._store.rows("SELECT * FROM batches WHERE state <> 'ended' ORDER BY id")]

    def last(self) -> Batch | None:
        """Give the newest batch, or ``None``."""
        row = self._store.row("SELECT * FROM batches ORDER BY id DESC LIMIT 1")
        return rows.batch(row) if row else None

    def move(self, identity: int, state: BatchState, now: float) -> None:
        """Put a batch into ``state``; what it was told about its trouble is forgotten."""
        with self._store.write() as db:
            db.execute(
                "UPDATE batches SET state = ?, ended_at = ?, attempts = 0, next_try = NULL, since = NULL, code = '',"
                " message = '' WHERE id = ?",
                (state.value, now if state is BatchState.ENDED else None, identity),
            )

    def count_import(self, identity: int) -> None:
        """Write down that the archive is asked to import this batch, before it is asked."""
        with self._store.write() as db:
            db.execute("UPDATE batches SET imports = imports + 1 WHERE id = ?", (identity,))

    def try_now(self, identity: int, now: float) -> None:
        """Let a waiting batch be tried at once."""
        with self._store.write() as db:
            db.execute("UPDATE batches SET next_try = ? WHERE id = ? AND next_try IS NOT NULL", (now, identity))

    def wait(self, identity: int, error: RelayError, now: float, next_try: float) -> None:
        """Let a batch wait until ``next_try``."""
        with self._store.write() as db:
            db.execute(
                "UPDATE batches SET attempts = attempts + 1, next_try = ?, since = COALESCE(since, ?), code = ?,"
                " message = ? WHERE id = ?",
                (next_try, now, error.code, error.message, identity),
            )
