"""The batches as a list, newest first, each with what became of its photos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.ledger import rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.ledger.model import Batch, Photo
    from daemon.ledger.store import Store


@dataclass(frozen=True, slots=True)
class BatchSum:
    """A batch and the sums over its photos; ``bytes`` is the size of their originals."""

    batch: Batch
    photos: int
    bytes: int
    duplicates: int
    restored: int
    held: int
    users: tuple[str, ...]


class BatchList:
    """Pages of batches. All methods block; each batch is one short read, so that the relay never waits for all."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(self, before: int | None = None, limit: int = 50) -> list[BatchSum]:
        """Give up to ``limit`` batches with ids below ``before``, newest first."""
        found = self._store.rows(
            "SELECT * FROM batches WHERE id < COALESCE(?, 9223372036854775807) ORDER BY id DESC LIMIT ?",
            (before, limit),
        )
        return [self._sum(rows.batch(row)) for row in found]

    def get(self, identity: int) -> BatchSum | None:
        """Give one batch, or ``None``."""
        row = self._store.row("SELECT * FROM batches WHERE id = ?", (identity,))
        return self._sum(rows.batch(row)) if row else None

    def photos(self, identity: int, limit: int) -> Sequence[Photo]:
        """Give the first ``limit`` photos of a batch."""
        found = self._store.rows(f"{rows.PHOTOS} WHERE batch_id = ? ORDER BY id LIMIT ?", (identity, limit))
        return rows.photos(found)

    def _sum(self, batch: Batch) -> BatchSum:
        found = self._store.rows(
            "SELECT user, COUNT(*) photos, CAST(TOTAL(size) AS INTEGER) bytes,"
            " SUM(duplicate_of IS NOT NULL) duplicates, SUM(state = 'restored') restored, SUM(state = 'held') held"
            " FROM photos WHERE batch_id = ? GROUP BY user ORDER BY user",
            (batch.id,),
        )
        return BatchSum(
            batch,
            photos=sum(row["photos"] for row in found),
            bytes=sum(row["bytes"] for row in found),
            duplicates=sum(row["duplicates"] for row in found),
            restored=sum(row["restored"] for row in found),
            held=sum(row["held"] for row in found),
            users=tuple(row["user"] for row in found),
        )
