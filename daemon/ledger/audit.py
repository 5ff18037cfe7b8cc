"""Who did what, for ever: each removal of an original, each deed of a person, each sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.ledger.rows import blob, text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.ledger.store import Store

_LINES = (
    "SELECT a.id, a.at, a.who, a.deed, a.photo_id, a.note, CASE WHEN a.path = x'' AND p.id THEN p.user ELSE a.user END"
    " user, CASE WHEN a.path = x'' AND p.id THEN p.path ELSE a.path END path FROM audit a LEFT JOIN photos p"
    " ON p.id = a.photo_id"
)


class Audit:
    """The audit trail and the sweeps' diary. Lines are added, never changed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._looked: dict[str, Any] | None = None

    def note(
        self,
        now: float,
        deed: str,
        *,
        who: str = "relay",
        photo_id: int | None = None,
        user: str = "",
        path: str = "",
        note: str = "",
    ) -> None:
        """Add a line; whose and which file it was is told by the photo's row, where it is the same.

        ``deed`` is ``removed``, ``trashed``, ``archived``, ``tagged``, ``kept``, ``left alone`` or ``restored``.
        """
        if photo_id is not None and self._store.row(
            "SELECT 1 FROM photos WHERE id = ? AND user = ? AND path = ?", (photo_id, user, blob(path))
        ):
            user = path = ""
        with self._store.write() as db:
            db.execute(
                "INSERT INTO audit (at, who, deed, photo_id, user, path, note) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (now, who, deed, photo_id, user, blob(path), note),
            )

    def note_each(self, now: float, lines: Iterable[tuple[int, str, str]], *, who: str = "relay") -> None:
        """Add many lines, each about a photo as its row has it: its id, the deed and a note."""
        with self._store.write() as db:
            db.executemany(
                "INSERT INTO audit (at, who, deed, photo_id, note) VALUES (?, ?, ?, ?, ?)",
                [(now, who, deed, photo_id, note) for photo_id, deed, note in lines],
            )

    def lines(self, before: int | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Give the newest lines, or those older than the line ``before``."""
        found = self._store.rows(
            f"{_LINES} WHERE a.id < COALESCE(?, 9223372036854775807) ORDER BY a.id DESC LIMIT ?", (before, limit)
        )
        return [{**dict(row), "path": text(row["path"])} for row in found]

    def of_photo(self, photo_id: int, limit: int = 100) -> list[dict[str, Any]]:
        """Give the newest lines about one photo, newest first."""
        found = self._store.rows(f"{_LINES} WHERE a.photo_id = ? ORDER BY a.id DESC LIMIT ?", (photo_id, limit))
        return [{**dict(row), "path": text(row["path"])} for row in found]

    def swept(self, began: float, ended: float, reason: str, seen: int, missed: int) -> None:
        """Write down a sweep that has ended; the last thousand are kept."""
        with self._store.write() as db:
            cursor = db.execute(
                "INSERT INTO sweeps (started_at, ended_at, reason, seen, missed) VALUES (?, ?, ?, ?, ?)",
                (began, ended, reason, seen, missed),
            )
            db.execute("DELETE FROM sweeps WHERE id <= ?", (int(cursor.lastrowid or 0) - 1000,))
        self._looked = None

    def looked(self, began: float, ended: float, reason: str, seen: int, missed: int) -> None:
        """Remember a sweep that found nothing, until another one ends; nothing is written to the disk for it."""
        self._looked = {"started_at": began, "ended_at": ended, "reason": reason, "seen": seen, "missed": missed}

    def last_sweep(self) -> dict[str, Any] | None:
        """Give the newest sweep that ended, or ``None``."""
        if self._looked is not None:
            return dict(self._looked)
        row = self._store.row("SELECT * FROM sweeps WHERE ended_at IS NOT NULL ORDER BY id DESC LIMIT 1")
        return dict(row) if row else None
