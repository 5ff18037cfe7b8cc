"""What is to be told outside: messages and hook calls that wait, and the deeds that their buttons stand for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from daemon.ledger.store import Store

LIMIT = 1000
"""Rows that wait for one channel at most; beyond that the oldest are dropped, and counted."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One thing that waits to be told; times in seconds since the epoch."""

    id: int
    channel: str
    kind: str
    about: str
    """What like things have in common: they are gathered into one parcel until it is tried."""
    body: dict[str, Any]
    created_at: float
    not_before: float
    stale_at: float | None
    attempts: int
    code: str
    message: str


class Outbox:
    """Parcels by channel (``ntfy``, ``hook:…``), each sent in the order of its numbers. Methods block."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(
        self,
        channel: str,
        kind: str,
        body: dict[str, Any],
        now: float,
        *,
        about: str = "",
        not_before: float = 0.0,
        stale_at: float | None = None,
        limit: int = LIMIT,
    ) -> int:
        """Add a parcel and give its number; where more than (about) ``limit`` wait, the oldest are dropped."""
        with self._store.write() as db:
            cursor = db.execute(
                "INSERT INTO outbox (channel, kind, about, body, created_at, not_before, stale_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (channel, kind, about, json.dumps(body), now, not_before, stale_at),
            )
            number = int(cursor.lastrowid or 0)
            if number % max(1, limit // 20) == 0:  # counting them every time would cost more than writing them
                over = db.execute(
                    "SELECT id FROM outbox WHERE channel = ? ORDER BY id DESC LIMIT -1 OFFSET ?", (channel, limit)
                ).fetchall()
                self._drop(db, channel, [row["id"] for row in over])
        return number

    def rewrite(self, identity: int, kind: str, body: dict[str, Any], not_before: float | None = None) -> None:
        """Change what a waiting parcel holds, and from when on it may go."""
        with self._store.write() as db:
            db.execute(
                "UPDATE outbox SET kind = ?, body = ?, not_before = COALESCE(?, not_before) WHERE id = ?",
                (kind, json.dumps(body), not_before, identity),
            )

    def waiting(self, channel: str, about: str) -> Parcel | None:
        """Give the newest parcel about this that waits and was not tried yet, or ``None``."""
        row = self._store.row(
            "SELECT * FROM outbox WHERE channel = ? AND about = ? AND attempts = 0 ORDER BY id DESC LIMIT 1",
            (channel, about),
        )
        return _parcel(row) if row else None

    def untold(self, channel: str, about: str) -> Parcel | None:
        """Give the newest parcel about this that has not gone, tried or not, or ``None``."""
        row = self._store.row(
            "SELECT * FROM outbox WHERE channel = ? AND about = ? ORDER BY id DESC LIMIT 1", (channel, about)
        )
        return _parcel(row) if row else None

    def first(self, channel: str, now: float) -> Parcel | None:
        """Give the parcel whose turn it is: the one that was tried before any other, so that they keep their order.

        One that was tried may be due only later (``not_before``); nothing overtakes it meanwhile.
        """
        row = self._store.row(
            "SELECT * FROM outbox WHERE channel = ? AND (attempts > 0 OR not_before <= ?)"
            " ORDER BY attempts > 0 DESC, id LIMIT 1",
            (channel, now),
        )
        return _parcel(row) if row else None

    def next_due(self, channel: str) -> float | None:
        """Give when the next parcel may go, or ``None`` where none waits."""
        row = self._store.row("SELECT MIN(not_before) due FROM outbox WHERE channel = ?", (channel,))
        return None if row is None or row["due"] is None else float(row["due"])

    def get(self, identity: int) -> Parcel | None:
        """Give a parcel as it is now, or ``None`` where it has gone."""
        row = self._store.row("SELECT * FROM outbox WHERE id = ?", (identity,))
        return _parcel(row) if row else None

    def attempted(self, identity: int) -> None:
        """Write down, before it goes, that a parcel is being tried: from now on nothing is gathered into it."""
        with self._store.write() as db:
            db.execute("UPDATE outbox SET attempts = attempts + 1 WHERE id = ?", (identity,))

    def failed(self, identity: int, not_before: float, code: str, message: str) -> None:
        """Write down why a parcel did not go, and when it is tried again."""
        with self._store.write() as db:
            db.execute(
                "UPDATE outbox SET not_before = ?, code = ?, message = ? WHERE id = ?",
                (not_before, code, message, identity),
            )

    def try_now(self, channel: str) -> None:
        """Let what was tried in vain be tried at once."""
        with self._store.write() as db:
            db.execute("UPDATE outbox SET not_before = 0 WHERE channel = ? AND attempts > 0", (channel,))

    def gone(self, identity: int) -> None:
        """Forget a parcel that has arrived, or that nobody needs any more."""
        with self._store.write() as db:
            db.execute("DELETE FROM outbox WHERE id = ?", (identity,))

    def drop(self, channel: str, identity: int) -> None:
        """Drop a parcel that could not be told, and count it."""
        with self._store.write() as db:
            self._drop(db, channel, [identity])

    def drop_stale(self, channel: str, now: float) -> int:
        """Drop what is too old to be worth telling, and count it; give how many that were."""
        with self._store.write() as db:
            found = db.execute("SELECT id FROM outbox WHERE channel = ? AND stale_at <= ?", (channel, now)).fetchall()
            self._drop(db, channel, [row["id"] for row in found])
        return len(found)

    def dropped(self, channel: str) -> int:
        """Give how many parcels have been dropped since somebody was last told so."""
        row = self._store.row("SELECT value FROM marks WHERE name = ?", (_dropped(channel),))
        return int(row["value"]) if row else 0

    def told_dropped(self, channel: str, count: int) -> None:
        """Write down that somebody was told of so many dropped parcels."""
        with self._store.write() as db:
            db.execute(
                "UPDATE marks SET value = MAX(0, CAST(value AS INTEGER) - ?) WHERE name = ?", (count, _dropped(channel))
            )

    def channels(self) -> list[str]:
        """Give the channels for which something waits."""
        return [row["channel"] for row in self._store.rows("SELECT DISTINCT channel FROM outbox ORDER BY channel")]

    def count(self, channel: str) -> int:
        """Give how many parcels wait."""
        row = self._store.row("SELECT COUNT(*) FROM outbox WHERE channel = ?", (channel,))
        return int(row[0]) if row else 0

    def clear(self, channel: str) -> int:
        """Forget all that waits for a channel that is switched off; give how many that were."""
        with self._store.write() as db:
            return db.execute("DELETE FROM outbox WHERE channel = ?", (channel,)).rowcount

    def _drop(self, db: sqlite3.Connection, channel: str, ids: Iterable[int]) -> None:
        for identity in ids:
            db.execute("DELETE FROM outbox WHERE id = ?", (identity,))
            db.execute(
                "INSERT INTO marks VALUES (?, '1') ON CONFLICT (name) DO UPDATE SET value = CAST(value AS INTEGER) + 1",
                (_dropped(channel),),
            )

    # -- what messages tell of photos ---------------------------------------------------------------------------

    def stuck(self, code: str) -> dict[str, int]:
        """Count by user the photos that wait or are held for this reason."""
        found = self._store.rows(
            "SELECT user, COUNT(*) n FROM photos WHERE state IN ('waiting', 'held') AND role = 'main' AND code = ?"
            " GROUP BY user ORDER BY user",
            (code,),
        )
        return {row["user"]: row["n"] for row in found}

    def stuck_ids(self, code: str, limit: int) -> list[int]:
        """Give the photos that wait or are held for this reason."""
        found = self._store.rows(
            "SELECT id FROM photos WHERE state IN ('waiting', 'held') AND code = ? ORDER BY id LIMIT ?", (code, limit)
        )
        return [row["id"] for row in found]

    def arrived(self, batch_id: int) -> dict[str, Any]:
        """Count what a batch has brought to the archive: photos and bytes by user, and duplicates."""
        users: dict[str, int] = {}
        photos = size = duplicates = held = 0
        for row in self._store.rows(
            "SELECT user, SUM(proved_at IS NOT NULL) proved, SUM(proved_at IS NOT NULL AND duplicate_of IS NOT NULL)"
            " duplicates, SUM(CASE WHEN proved_at IS NOT NULL THEN size ELSE 0 END) bytes, SUM(state = 'held') held"
            " FROM photos WHERE batch_id = ? GROUP BY user ORDER BY user",
            (batch_id,),
        ):
            users[row["user"]] = row["proved"]
            photos, size = photos + row["proved"], size + row["bytes"]
            duplicates, held = duplicates + row["duplicates"], held + row["held"]
        present = {user: count for user, count in users.items() if count}
        return {"photos": photos, "bytes": size, "duplicates": duplicates, "held": held, "users": present}

    def day(self, start: float, end: float) -> dict[str, Any]:
        """Count what ended in a span of time, and what stands still now."""
        ended = self._store.rows(
            "SELECT user, COUNT(*) n, SUM(duplicate_of IS NOT NULL) duplicates,"
            " SUM(CASE WHEN duplicate_of IS NULL THEN size ELSE 0 END) bytes FROM photos"
            " WHERE ended_at >= ? AND ended_at < ? AND state IN ('done', 'released') GROUP BY user ORDER BY user",
            (start, end),
        )
        still = self._store.rows(
            "SELECT state, COUNT(*) n FROM photos WHERE state IN ('waiting', 'held') GROUP BY state"
        )
        refused = self._store.row(
            "SELECT COUNT(*) n FROM photos WHERE ended_at >= ? AND ended_at < ? AND state = 'refused'", (start, end)
        )
        return {
            "users": {row["user"]: row["n"] for row in ended},
            "duplicates": sum(row["duplicates"] for row in ended),
            "bytes": sum(row["bytes"] for row in ended),
            "refused": int(refused["n"]) if refused else 0,
            **{row["state"]: row["n"] for row in still},
        }


class Deeds:
    """What the buttons of messages may do: each once, until it expires. Only a token's hash is kept."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def offer(self, token_hash: bytes, deed: str, subject: str, now: float, expires_at: float) -> None:
        """Write a deed down; the same one again only lasts longer, unless it was done. Old ones are forgotten."""
        with self._store.write() as db:
            db.execute("DELETE FROM deeds WHERE expires_at < ?", (now - 30 * 86400,))
            db.execute(
                "INSERT INTO deeds (hash, deed, subject, created_at, expires_at) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (hash) DO UPDATE SET expires_at = excluded.expires_at",
                (token_hash, deed, subject, now, expires_at),
            )

    def find(self, token_hash: bytes) -> dict[str, Any] | None:
        """Give a deed by its token's hash, done or not, or ``None``."""
        row = self._store.row("SELECT * FROM deeds WHERE hash = ?", (token_hash,))
        return dict(row) if row else None

    def use(self, token_hash: bytes, now: float) -> bool:
        """Mark a deed as done; ``False`` where it was done before, or has expired: then nothing may be done."""
        with self._store.write() as db:
            done = db.execute(
                "UPDATE deeds SET used_at = ? WHERE hash = ? AND used_at IS NULL AND expires_at > ?",
                (now, token_hash, now),
            )
            return done.rowcount == 1

    def give_back(self, token_hash: bytes) -> None:
        """Let a deed that could not be done be tried once more."""
        with self._store.write() as db:
            db.execute("UPDATE deeds SET used_at = NULL WHERE hash = ?", (token_hash,))

    def settle(self, subject: str, deeds: Iterable[str], now: float) -> None:
        """Mark the other deeds about the same subject as done: one answer to a question ends it."""
        with self._store.write() as db:
            for deed in deeds:
                db.execute(
                    "UPDATE deeds SET used_at = ? WHERE subject = ? AND deed = ? AND used_at IS NULL",
                    (now, subject, deed),
                )


def _dropped(channel: str) -> str:
    return f"dropped {channel}"


def _parcel(row: sqlite3.Row) -> Parcel:
    return Parcel(**{**dict(row), "body": json.loads(row["body"])})
