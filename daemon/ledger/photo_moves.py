"""Moving photos: every change of a row, and of its state with the line in the history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from daemon.ledger import way
from daemon.ledger.figures import COUNTED
from daemon.ledger.model import ENDS, State
from daemon.ledger.rows import blob
from daemon.ledger.store import marks, parts
from daemon.pauses import pause

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

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
_AT_END = "('done', 'refused', 'restored')"
_FINGERPRINTS = {
    "fingerprint": ("inode", "size", "mtime_ns", "ctime_ns"),
    "archive_fingerprint": ("archive_inode", "archive_size", "archive_mtime_ns", "archive_ctime_ns"),
}
_ADD = (
    "INSERT INTO photos (user, folder, path, role, state, inode, size, mtime_ns, ctime_ns, found_at)"
    " VALUES (?, ?, ?, ?, 'found', ?, ?, ?, ?, ?)"
)
_NOTHING: dict[str, Any] = {}
_ON_THE_WAY = frozenset({State.SETTLED, State.EXAMINED, State.PLACED, State.IMPORTED})

Line = Sequence[str | float]
"""One step, or several, one after the other, as :func:`way.line` gives each."""


class PhotoMoves:
    """Writing photos' rows. A change of state and its line in the history are one statement."""

    def __init__(self, store: Store, figures: Figures) -> None:
        self._store = store
        self._figures = figures

    def add(self, user: str, folder: str, path: str, role: str, fingerprint: Fingerprint, now: float) -> int:
        """Enter a file that was not known; give its id."""
        with self._store.write() as db:
            cursor = db.execute(_ADD, (user, blob(folder), blob(path), role, *fingerprint, now))
        return int(cursor.lastrowid or 0)

    def add_each(self, files: Iterable[tuple[str, str, str, str, Fingerprint]], now: float) -> None:
        """Enter files that were not known, each as ``add`` does: user, folder, path, role and fingerprint."""
        rows = [(user, blob(folder), blob(path), role, *print_, now) for user, folder, path, role, print_ in files]
        with self._store.write() as db:
            db.executemany(_ADD, rows)

    def advance(self, ids: Iterable[int], state: State, now: float, note: str = "", **columns: Any) -> None:
        """Put photos into ``state``, set further columns, and write the line into their history.

        What a photo was told about its trouble is forgotten when it is proved or at its end: a photo that gets no
        further than the last time waits longer, and says since when it has really waited.
        """
        values: dict[str, Any] = {} if state in {State.WAITING, State.HELD} else _left_behind(state)
        values |= columns
        if state in ENDS:
            values.setdefault("ended_at", now)
        if state is State.DONE:
            # Its batch folder is gone; the way and the row tell where it stands.
            values.setdefault("place", "")
        self._advance(dict.fromkeys(ids, _NOTHING), state, now, note, values)

    def advance_each(
        self,
        rows: Mapping[int, Mapping[str, Any]],
        state: State,
        now: float,
        note: str | Mapping[int, str] = "",
        *,
        through: State | None = None,
    ) -> None:
        """Put photos into ``state``, each with columns (and perhaps a note) of its own, all of them or none.

        What ``advance`` does for one: here a thousand cost little more than the thousand rows. ``rows`` is by id, and
        every photo has the same columns. ``through`` is a state between that they have behind them in the same
        moment: it gets a line of its own before, and the note is its.
        """
        more: dict[str, Any] = {} if state in {State.WAITING, State.HELD} else _left_behind(state)
        if state in ENDS:
            more["ended_at"] = now
        if state is State.DONE:
            more["place"] = ""
        self._advance(rows, state, now, note, more, through)

    def _advance(
        self,
        rows: Mapping[int, Mapping[str, Any]],
        state: State,
        now: float,
        note: str | Mapping[int, str],
        common: Mapping[str, Any],
        through: State | None = None,
    ) -> None:
        first, last = (state, ()) if through is None else (through, way.line(state, now, ""))
        if isinstance(note, Mapping):
            lines = {identity: (*way.line(first, now, note.get(identity, "")), *last) for identity in rows}
        else:
            lines = dict.fromkeys(rows, (*way.line(first, now, note), *last))
        self._set_each(rows, lines, {"state": state.value, **common})

    def put(self, identity: int, **columns: Any) -> None:
        """Set columns of one photo without changing its state: an intent, or something learnt."""
        self._set_each({identity: columns})

    def put_each(self, rows: Mapping[int, Mapping[str, Any]]) -> None:
        """Set columns of many photos, by id, the same ones of each: all of them or none."""
        self._set_each(rows)

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
                    None if again else way.line(State.WAITING, now, str(error)),
                )
                if not again:
                    self._shorten(db, identity)

    def changed(self, ids: Iterable[int], error: RelayError, now: float) -> bool:
        """Let photos settle anew since one of them changed; from the second time on not before a growing pause is over.

        One that changes whenever it is read would else be read for ever. Its history tells of it once. Tells whether
        this is the second time.
        """
        second = False
        with self._store.write() as db:
            for identity in ids:
                row = db.execute("SELECT since, attempts, code FROM photos WHERE id = ?", (identity,)).fetchone()
                again = row["code"] == error.code
                tries = row["attempts"] + 1 if again else 1
                second = second or tries == 2
                self._set(
                    identity,
                    {
                        "state": State.FOUND.value,
                        "resume": None,
                        "group_id": None,
                        "attempts": tries,
                        "next_try": now + pause(tries - 1) if tries > 1 else None,
                        "since": row["since"] if row["since"] and again else now,
                        "code": error.code,
                        "message": error.message,
                        "hint": error.hint,
                    },
                    None if again else way.line(State.FOUND, now, str(error)),
                )
                if again:
                    self._shorten(db, identity)
        return second

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

    def _set(self, identity: int, columns: Mapping[str, Any], line: Line | None = None) -> None:
        self._set_each({identity: columns}, None if line is None else {identity: line})

    def _set_each(
        self,
        rows: Mapping[int, Mapping[str, Any]],
        lines: Mapping[int, Line] | None = None,
        common: Mapping[str, Any] = _NOTHING,
    ) -> None:
        """Set columns, and append a line to each photo's way in the same breath.

        ``common`` are columns that get the same value in all rows; what a row says itself goes before them.
        """
        if not rows:
            return
        own = next(iter(rows.values())).keys()
        same = [name for name in common if name not in own]
        steps = 0 if lines is None else len(next(iter(lines.values()))) // 3
        sql = _update([*same, *own], f", {way.append(steps)}" if steps else "")
        shared, none = tuple(_values(same, common)), ()
        counted = not COUNTED.isdisjoint([*same, *own])
        with self._store.write() as db:
            before = self._ended(rows) if counted else {}
            db.executemany(
                sql,
                [
                    (*shared, *_values(own, values), *(lines[identity] if lines else none), identity)
                    for identity, values in rows.items()
                ],
            )
            if counted:
                on_the_way = "state" in same and common["state"] not in ENDS
                self._figures.moved(db, before, {} if on_the_way else self._ended(rows))

    def _ended(self, ids: Iterable[int]) -> dict[int, sqlite3.Row]:
        """Give those of these photos that are at their end, with what decides where they are counted."""
        found: dict[int, sqlite3.Row] = {}
        for part in parts(ids):
            sql = f"SELECT id, state, ended_at, size, duplicate_of FROM photos WHERE id IN ({marks(part)}) AND +state IN {_AT_END}"  # noqa: S608, E501
            found |= {row["id"]: row for row in self._store.rows(sql, part)}
        return found


def _left_behind(state: State) -> dict[str, Any]:
    return dict(_TAKEN_UP if state in _ON_THE_WAY else _CLEAR)


def _update(columns: Iterable[str], more: str) -> str:
    """Give the statement that sets these columns of a photo; the names come from the set above, never from outside."""
    names: list[str] = []
    for column in columns:
        if column != "state" and column not in _COLUMNS:
            raise ValueError(f"no such column: {column}")
        names += _FINGERPRINTS.get(column, (column,))
    pairs = ", ".join(f"{name} = ?" for name in names)
    return f"UPDATE photos SET {pairs}{more} WHERE id = ?"  # noqa: S608


def _values(columns: Iterable[str], row: Mapping[str, Any]) -> list[Any]:
    values: list[Any] = []
    for name in columns:
        value = row[name]
        if name in _FINGERPRINTS:
            values += [value.inode, value.size, value.mtime_ns, value.ctime_ns] if value else [None] * 4
        else:
            values.append(blob(value) if name in _TEXT_BLOBS else value)
    return values
