"""The photos' rows: what stands where on its way, and every change with its line in the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.ledger import rows, way
from daemon.ledger.figures import COUNTED
from daemon.ledger.model import ENDS, Photo, State
from daemon.ledger.rows import blob
from daemon.pauses import BEYOND

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from daemon.errors import RelayError
    from daemon.fingerprint import Fingerprint
    from daemon.ledger.figures import Figures
    from daemon.ledger.store import Store

_TEXT_BLOBS = frozenset({"place", "archived_as", "hidden"})
_COLUMNS = frozenset(
    {
        *("blake3", "sha1", "kind", "content_id", "taken", "taken_from", "fingerprint", "group_id"),
        *("batch_id", "place", "duplicate_of", "archived_as", "archive_fingerprint", "proved_at", "after", "hidden"),
        *("imports", "indexings", "attempts", "next_try", "since", "code", "message", "hint", "resume", "ended_at"),
    }
)
_TAKEN_UP: dict[str, Any] = {"resume": None, "next_try": None}
_CLEAR: dict[str, Any] = {**_TAKEN_UP, "attempts": 0, "since": None, "code": "", "message": "", "hint": ""}
_END = "SELECT state, ended_at, size, duplicate_of FROM photos WHERE id = ?"
_COUNT = "SELECT COUNT(*) FROM photos WHERE state = ?"
_ON_THE_WAY = frozenset({State.SETTLED, State.EXAMINED, State.PLACED, State.IMPORTED})


class Photos:
    """Reading and moving photos. A change of state and its line in the history are one statement."""

    def __init__(self, store: Store, figures: Figures) -> None:
        self._store = store
        self._figures = figures

    # -- moving -------------------------------------------------------------------------------------------------

    def add(self, user: str, folder: str, path: str, role: str, fingerprint: Fingerprint, now: float) -> int:
        """Enter a file that was not known; give its id."""
        with self._store.write() as db:
            cursor = db.execute(
                "INSERT INTO photos (user, folder, path, role, state, inode, size, mtime_ns, ctime_ns, found_at)"
                " VALUES (?, ?, ?, ?, 'found', ?, ?, ?, ?, ?)",
                (
                    user,
                    blob(folder),
                    blob(path),
                    role,
                    fingerprint.inode,
                    fingerprint.size,
                    fingerprint.mtime_ns,
                    fingerprint.ctime_ns,
                    now,
                ),
            )
        return int(cursor.lastrowid or 0)

    def advance(self, ids: Iterable[int], state: State, now: float, note: str = "", **columns: Any) -> None:
        """Put photos into ``state``, set further columns, and write the line into their history.

        What a photo was told about its trouble is forgotten when it is proved or at its end: a photo that gets no
        further than the last time waits longer, and says since when it has really waited.
        """
        values: dict[str, Any] = {}
        if state not in {State.WAITING, State.HELD}:
            values |= _TAKEN_UP if state in _ON_THE_WAY else _CLEAR
        values |= columns
        if state in ENDS:
            values.setdefault("ended_at", now)
        if state is State.DONE:
            # Its batch folder is gone; the way and the row tell where it stands.
            values.setdefault("place", "")
        with self._store.write():
            for identity in ids:
                self._set(identity, {"state": state.value, **values}, (state, now, note))

    def put(self, identity: int, **columns: Any) -> None:
        """Set columns of one photo without changing its state: an intent, or something learnt."""
        with self._store.write():
            self._set(identity, columns)

    def take_up(self, identity: int, state: State, next_try: float | None = None) -> None:
        """Let a waiting photo go on from ``state``; a try is no step, so its history gets no line."""
        self.put(identity, state=state.value, resume=None, next_try=next_try)

    def leave_batch(self, ids: Iterable[int]) -> None:
        """Take photos out of their batch and forget where they were put; they will go in another one."""
        with self._store.write():
            for identity in ids:
                self._set(
                    identity,
                    {
                        "batch_id": None,
                        "place": "",
                        "duplicate_of": None,
                        "archived_as": "",
                        "archive_fingerprint": None,
                    },
                )

    def wait(self, ids: Iterable[int], resume: State, error: RelayError, now: float, next_try: float) -> None:
        """Let photos wait until ``next_try``, then go on from ``resume``. ``since`` keeps the first time."""
        with self._store.write() as db:
            for identity in ids:
                row = db.execute("SELECT since, attempts, code FROM photos WHERE id = ?", (identity,)).fetchone()
                again = row["code"] == error.code
                self._set(
                    identity,
                    {
                        "state": State.WAITING.value,
                        "resume": resume.value,
                        "attempts": row["attempts"] + 1,
                        "next_try": next_try,
                        "since": row["since"] if row["since"] and again else now,
                        "code": error.code,
                        "message": error.message,
                        "hint": error.hint,
                    },
                    None if again else (State.WAITING, now, str(error)),
                )
                if not again:
                    self._shorten(db, identity)

    def hold(self, ids: Iterable[int], error: RelayError, now: float) -> None:
        """Stop photos until a person says how to go on."""
        self.advance(
            ids, State.HELD, now, str(error), code=error.code, message=error.message, hint=error.hint, since=now
        )

    def refuse(self, ids: Iterable[int], error: RelayError, now: float) -> None:
        """End photos that will not be moved, with the reason."""
        self.advance(
            ids, State.REFUSED, now, str(error), code=error.code, message=error.message, hint=error.hint, since=now
        )

    def forget(self, identity: int) -> None:
        """Take out a photo that never got further than being found."""
        with self._store.write() as db:
            db.execute("DELETE FROM photos WHERE id = ? AND state IN ('found', 'settled')", (identity,))

    def _shorten(self, db: sqlite3.Connection, identity: int) -> None:
        """Leave lines out of the middle of a way that has grown long: two reasons may take turns for months."""
        row = db.execute("SELECT way FROM photos WHERE id = ? AND length(way) > ?", (identity, way.LONG)).fetchone()
        if row is not None:
            db.execute("UPDATE photos SET way = ? WHERE id = ?", (way.shortened(row["way"]), identity))

    def _set(self, identity: int, columns: dict[str, Any], line: tuple[State, float, str] | None = None) -> None:
        """Set columns, and append a line to the photo's way in the same breath."""
        names: list[str] = []
        values: list[Any] = []
        for name, value in columns.items():
            if name == "archive_fingerprint":
                names += ["archive_inode", "archive_size", "archive_mtime_ns", "archive_ctime_ns"]
                values += [value.inode, value.size, value.mtime_ns, value.ctime_ns] if value else [None] * 4
            elif name == "fingerprint":
                names += ["inode", "size", "mtime_ns", "ctime_ns"]
                values += [value.inode, value.size, value.mtime_ns, value.ctime_ns]
            else:
                if name != "state" and name not in _COLUMNS:
                    raise ValueError(f"no such column: {name}")
                names.append(name)
                values.append(blob(value) if name in _TEXT_BLOBS else value)
        with self._store.write() as db:
            pairs = ", ".join(f"{name} = ?" for name in names)
            if line is not None:
                pairs += f", {way.APPEND}"
                values += way.line(*line)
            before = db.execute(_END, (identity,)).fetchone() if columns.keys() & COUNTED else None
            # The names come from the set above, never from outside.
            db.execute(f"UPDATE photos SET {pairs} WHERE id = ?", [*values, identity])  # noqa: S608
            if before is not None:
                self._figures.moved(db, before, db.execute(_END, (identity,)).fetchone())

    # -- asking -------------------------------------------------------------------------------------------------

    def get(self, identity: int) -> Photo | None:
        """Give one photo, or ``None``."""
        row = self._store.row("SELECT * FROM photos WHERE id = ?", (identity,))
        return rows.photo(row) if row else None

    def latest(self, user: str, path: str) -> Photo | None:
        """Give the newest row of a place in a user's files, or ``None``."""
        row = self._store.row(
            "SELECT * FROM photos WHERE user = ? AND path = ? ORDER BY id DESC LIMIT 1", (user, blob(path))
        )
        return rows.photo(row) if row else None

    def by_state(self, *states: State, limit: int = -1, user: str | None = None) -> list[Photo]:
        """Give photos in any of ``states``, oldest first."""
        marks = ", ".join("?" * len(states))
        more = "" if user is None else " AND user = ?"
        arguments = [*(state.value for state in states), *([] if user is None else [user]), limit]
        sql = f"SELECT * FROM photos WHERE state IN ({marks}){more} ORDER BY id LIMIT ?"  # noqa: S608  only question marks
        return [rows.photo(row) for row in self._store.rows(sql, arguments)]

    def places(self, *states: State) -> list[tuple[str, str]]:
        """Give user and path of every file in any of ``states``."""
        marks = ", ".join("?" * len(states))
        sql = f"SELECT user, path FROM photos WHERE state IN ({marks}) ORDER BY state, id"  # noqa: S608  only question marks
        found = self._store.rows(sql, [state.value for state in states])
        return [(row["user"], rows.text(row["path"])) for row in found]

    def settled_first(self, limit: int) -> list[Photo]:
        """Give settled photos that are in no batch, those that have waited longest first."""
        found = self._store.rows(
            # The plus keeps SQLite from the index of batches: nearly all photos that ever were are in one.
            "SELECT * FROM photos WHERE state = 'settled' AND +batch_id IS NULL ORDER BY id LIMIT ?",
            (limit,),
        )
        return [rows.photo(row) for row in found]

    def of_batch(self, batch_id: int) -> list[Photo]:
        """Give the photos of a batch, oldest first."""
        found = self._store.rows("SELECT * FROM photos WHERE batch_id = ? ORDER BY id", (batch_id,))
        return [rows.photo(row) for row in found]

    def sum_of_batch(self, batch_id: int) -> tuple[int, int]:
        """Give how many photos a batch has, and their bytes."""
        # TOTAL and not SUM: two sparse files of 8 EiB, which cost their owner nothing, are more than its 64 bits hold.
        row = self._store.row(
            "SELECT COUNT(*), CAST(TOTAL(size) AS INTEGER) FROM photos WHERE batch_id = ?", (batch_id,)
        )
        return (int(row[0]), int(row[1])) if row else (0, 0)

    def last_ended(self, limit: int) -> list[Photo]:
        """Give the photos that came to their end last, newest first."""
        found = self._store.rows(
            "SELECT * FROM photos WHERE ended_at IS NOT NULL AND +state IN ('done', 'refused', 'restored')"
            " ORDER BY ended_at DESC LIMIT ?",
            (limit,),
        )
        return [rows.photo(row) for row in found]

    def of_group(self, group_id: int) -> list[Photo]:
        """Give the members of a group."""
        found = self._store.rows("SELECT * FROM photos WHERE group_id = ? ORDER BY id", (group_id,))
        return [rows.photo(row) for row in found]

    def hidden(self) -> list[Photo]:
        """Give photos whose original may stand under its private hidden name."""
        return [rows.photo(row) for row in self._store.rows("SELECT * FROM photos WHERE hidden <> x'' ORDER BY id")]

    def due(self, now: float) -> list[Photo]:
        """Give waiting photos whose time has come, but for those that wait with their batch."""
        found = self._store.rows(
            "SELECT * FROM photos WHERE state = 'waiting' AND (next_try <= ? OR next_try > ?) AND"
            " (batch_id IS NULL OR resume = 'archived') ORDER BY id",
            (now, now + BEYOND),
        )
        return [rows.photo(row) for row in found]

    def releasable(self, now: float, limit: int) -> list[Photo]:
        """Give proved photos whose original may be let go now, oldest first."""
        found = self._store.rows(
            # One that need not wait after its proof does not wait for a clock that was set back either.
            "SELECT * FROM photos WHERE state = 'archived' AND (COALESCE(next_try, 0) <= ? OR"
            " (next_try > ? AND next_try <= proved_at)) ORDER BY id LIMIT ?",
            (now, now + BEYOND, limit),
        )
        return [rows.photo(row) for row in found]

    def next_try(self) -> float | None:
        """Give when the next photo is due that waits for another batch, or ``None``."""
        row = self._store.row(
            "SELECT MIN(next_try) FROM photos WHERE state = 'waiting' AND next_try IS NOT NULL AND batch_id IS NULL"
            " AND resume <> 'archived'"
        )
        return row[0] if row else None

    def next_release(self) -> float | None:
        """Give when the next original may be let go, or is tried again, or ``None``."""
        row = self._store.row(
            "SELECT MIN(next_try) FROM photos WHERE next_try IS NOT NULL AND state IN ('archived', 'waiting')"
            " AND (state = 'archived' OR resume = 'archived')"
        )
        return row[0] if row else None

    def next_due(self) -> float | None:
        """Give the time at which the next waiting photo is due, or ``None``."""
        row = self._store.row(
            "SELECT MIN(next_try) FROM photos WHERE next_try IS NOT NULL AND state IN ('waiting', 'archived')"
        )
        return row[0] if row else None

    def twin(self, photo: Photo) -> Photo | None:
        """Give the photo that brings the same bytes to the archive just now, or ``None``.

        One that is a duplicate itself brings nothing; so two are never each other's, whichever is asked about first.
        """
        row = self._store.row(
            "SELECT * FROM photos WHERE blake3 = ? AND id <> ? AND duplicate_of IS NULL AND"
            " (state IN ('examined', 'placed', 'imported') OR (state = 'waiting' AND batch_id IS NOT NULL))"
            " ORDER BY id LIMIT 1",
            (photo.blake3, photo.id),
        )
        return rows.photo(row) if row else None

    def put_back(self, user: str, path: str, blake3: bytes) -> bool:
        """Tell whether these bytes of that user were put back at that path on request: they are not taken again."""
        row = self._store.row(
            "SELECT 1 FROM photos WHERE user = ? AND path = ? AND blake3 = ? AND state = 'restored' LIMIT 1",
            (user, blob(path), blake3),
        )
        return row is not None

    def stayed(self, user: str, path: str, blake3: bytes, inode: int) -> bool:
        """Tell whether this very file with these bytes was relayed already and stayed (``after`` was keep or tag)."""
        row = self._store.row(
            "SELECT 1 FROM photos WHERE user = ? AND path = ? AND blake3 = ? AND inode = ? AND after IN ('keep', 'tag')"
            " AND state IN ('released', 'done') LIMIT 1",
            (user, blob(path), blake3, inode),
        )
        return row is not None

    def archived_beside(self, user: str, directory: str, prefix: str) -> list[Photo]:
        """Give photos of that folder whose names start with ``prefix`` and whose bytes are proved in the archive."""
        base = blob(f"{directory}/{prefix}" if directory else prefix)
        found = self._store.rows(
            "SELECT * FROM photos WHERE user = ? AND path >= ? AND path < ? AND archived_as <> x''"
            " AND state IN ('archived', 'released', 'done') ORDER BY id",
            (user, base, base + b"\xff"),
        )
        return [rows.photo(row) for row in found]

    def counts(self) -> dict[str, int]:
        """Give the number of photos in each state, states without any included."""
        found = {}
        for state in State:
            # One search of the index each: for all in one question SQLite reads the whole of it.
            if state not in ENDS and (row := self._store.row(_COUNT, (state.value,))):
                found[state.value] = int(row[0])
        # Nearly all that ever were are at their end: those are counted already.
        ended = self._figures.total()
        found |= {"done": ended.done + ended.duplicates, "refused": ended.refused, "restored": ended.restored}
        return {state.value: found.get(state.value, 0) for state in State}

    def counts_of_users(self, user: str | None = None) -> dict[str, dict[str, int]]:
        """Give for each user (or one) the number of photos in each state that has any."""
        where, arguments = ("", ()) if user is None else (" WHERE user = ?", (user,))
        found: dict[str, dict[str, int]] = {}
        sql = f"SELECT user, state, COUNT(*) n FROM photos{where} GROUP BY user, state"  # noqa: S608  one of two
        for row in self._store.rows(sql, arguments):
            found.setdefault(row["user"], {})[row["state"]] = row["n"]
        return found

    def last_found(self, user: str) -> float | None:
        """Give when a user's newest photo was found, or ``None``."""
        row = self._store.row("SELECT found_at FROM photos WHERE user = ? ORDER BY id DESC LIMIT 1", (user,))
        return row[0] if row else None

    def last_id(self) -> int:
        """Give the newest photo's id, 0 where there is none."""
        row = self._store.row("SELECT MAX(id) FROM photos")
        return int(row[0] or 0) if row else 0

    def ended_between(self, start: float, end: float) -> dict[str, int]:
        """Count what ended in a span of time: relayed, duplicates, refused, and the bytes relayed."""
        row = self._store.row(
            "SELECT"
            " SUM(state IN ('done', 'released') AND duplicate_of IS NULL) relayed,"
            " SUM(state IN ('done', 'released') AND duplicate_of IS NOT NULL) duplicates,"
            " SUM(state = 'refused') refused,"
            " SUM(CASE WHEN state IN ('done', 'released') THEN size ELSE 0 END) bytes"
            " FROM photos WHERE ended_at BETWEEN ? AND ?",
            (start, end),
        )
        return {key: int(row[key] or 0) for key in ("relayed", "duplicates", "refused", "bytes")} if row else {}

    def troubles(self, limit: int = 20) -> list[dict[str, Any]]:
        """Give why photos wait or are held: each reason once, with how many, since when, and one of their messages."""
        return [
            dict(row)
            for row in self._store.rows(
                "SELECT state, code, COUNT(*) photos, MIN(since) since, MIN(message) message, MIN(hint) hint"
                " FROM photos WHERE state IN ('waiting', 'held') GROUP BY state, code ORDER BY since LIMIT ?",
                (limit,),
            )
        ]

    def latest_folders(self, count: int) -> list[str]:
        """Give the folders (below the archive's root) of the ``count`` photos entered last that are there."""
        found = self._store.rows(
            "SELECT archived_as FROM photos WHERE archived_as <> x'' AND state IN ('released', 'done')"
            " ORDER BY id DESC LIMIT ?",
            (count,),
        )
        return list(dict.fromkeys(rows.text(row["archived_as"]).rpartition("/")[0] for row in found))

    def history(self, identity: int) -> list[dict[str, Any]]:
        """Give a photo's whole way: time (seconds since the epoch), state and note."""
        row = self._store.row("SELECT found_at, way FROM photos WHERE id = ?", (identity,))
        return [] if row is None else way.lines(row["found_at"], row["way"])

    def sample(self, count: int) -> Sequence[Photo]:
        """Give up to ``count`` photos that ended well, at random, mostly recent ones."""
        found = self._store.rows(
            "SELECT * FROM photos WHERE id IN (SELECT id FROM photos WHERE state = 'done' AND role = 'main'"
            " AND archived_as <> x'' ORDER BY ended_at DESC LIMIT 500) ORDER BY RANDOM() LIMIT ?",
            (count,),
        )
        return [rows.photo(row) for row in found]
