"""Who is logged in, and which API tokens there are: only hashes, never a secret itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from daemon.ledger.store import Store


@dataclass(slots=True)
class SessionRow:
    """One log-in: the SHA-256 of its id, and since when and from where it is used."""

    id_hash: bytes
    epoch: int
    began_at: float
    used_at: float
    address: str
    agent: str


@dataclass(slots=True)
class TokenRow:
    """One API token: what it may do, until when, and when it was used last."""

    id: int
    name: str
    hash: bytes
    scope: str
    created_at: float
    expires_at: float | None
    used_at: float | None
    used_from: str


class DoorTables:
    """The tables ``sessions`` and ``tokens``. All methods block."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def sessions(self) -> list[SessionRow]:
        """Give all sessions."""
        return [
            SessionRow(row["id_hash"], row["epoch"], row["began_at"], row["used_at"], row["address"], row["agent"])
            for row in self._store.rows("SELECT * FROM sessions")
        ]

    def add_session(self, session: SessionRow) -> None:
        """Write a new session down."""
        with self._store.write() as db:
            db.execute(
                "INSERT INTO sessions (id_hash, epoch, began_at, used_at, address, agent) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    *(session.id_hash, session.epoch, session.began_at),
                    *(session.used_at, session.address, session.agent),
                ),
            )

    def session_used(self, id_hash: bytes, now: float, address: str) -> None:
        """Write down when and from where a session was used last."""
        with self._store.write() as db:
            db.execute("UPDATE sessions SET used_at = ?, address = ? WHERE id_hash = ?", (now, address, id_hash))

    def end_sessions(self, hashes: list[bytes]) -> None:
        """Forget these sessions."""
        with self._store.write() as db:
            db.executemany("DELETE FROM sessions WHERE id_hash = ?", [(one,) for one in hashes])

    def tokens(self) -> list[TokenRow]:
        """Give all tokens."""
        return [_token(row) for row in self._store.rows("SELECT * FROM tokens ORDER BY id")]

    def add_token(self, name: str, hashed: bytes, scope: str, now: float, expires_at: float | None) -> TokenRow:
        """Write a new token down."""
        with self._store.write() as db:
            cursor = db.execute(
                "INSERT INTO tokens (name, hash, scope, created_at, expires_at) VALUES (?, ?, ?, ?, ?)",
                (name, hashed, scope, now, expires_at),
            )
        return TokenRow(int(cursor.lastrowid or 0), name, hashed, scope, now, expires_at, None, "")

    def token_used(self, identity: int, now: float, address: str) -> None:
        """Write down when and from where a token was used last."""
        with self._store.write() as db:
            db.execute("UPDATE tokens SET used_at = ?, used_from = ? WHERE id = ?", (now, address, identity))

    def remove_token(self, identity: int) -> None:
        """Forget a token."""
        with self._store.write() as db:
            db.execute("DELETE FROM tokens WHERE id = ?", (identity,))


def _token(row: sqlite3.Row) -> TokenRow:
    return TokenRow(
        row["id"],
        row["name"],
        row["hash"],
        row["scope"],
        row["created_at"],
        row["expires_at"],
        row["used_at"],
        row["used_from"],
    )
