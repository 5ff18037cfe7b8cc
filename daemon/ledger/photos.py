"""The photos' rows: what stands where on its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from daemon.ledger import rows, way
from daemon.ledger.model import ENDS, Photo, State
from daemon.ledger.photo_moves import PhotoMoves
from daemon.ledger.rows import blob
from daemon.ledger.store import marks, parts
from daemon.pauses import BEYOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_ARCHIVED = "archived_as <> x'' AND +state IN ('archived', 'released', 'done')"
_COUNT = "SELECT COUNT(*) FROM photos WHERE state = ?"


_AT_A_TIME = 500
_WAITING = "SELECT id, user, COALESCE(group_id, id), found_at, size FROM photos"


class Waiting(NamedTuple):
    """A settled photo in no batch yet: whose it is, and the group that it goes with (itself, where it has none)."""

    id: int
    user: str
    group: int
    found_at: float
    size: int


class Photos(PhotoMoves):
    """Reading and moving photos."""

    def get(self, identity: int) -> Photo | None:
        """Give one photo, or ``None``."""
        row = self._store.row(f"{rows.PHOTOS} WHERE id = ?", (identity,))
        return rows.photo(row) if row else None

    def get_each(self, ids: Iterable[int]) -> list[Photo]:
        """Give those of these photos that are there, in the order asked for."""
        wanted = list(ids)
        found: dict[int, Photo] = {}
        for part in parts(wanted):
            sql = f"{rows.PHOTOS} WHERE id IN ({marks(part)})"
            found |= {photo.id: photo for photo in rows.photos(self._store.rows(sql, part))}
        return [found[identity] for identity in wanted if identity in found]

    def states(self, ids: Iterable[int]) -> dict[int, State]:
        """Give the states of these photos."""
        found: dict[int, State] = {}
        for part in parts(ids):
            sql = f"SELECT id, state FROM photos WHERE id IN ({marks(part)})"  # noqa: S608  only question marks
            found |= {row["id"]: State(row["state"]) for row in self._store.rows(sql, part)}
        return found

    def latest(self, user: str, path: str) -> Photo | None:
        """Give the newest row of a place in a user's files, or ``None``."""
        row = self._store.row(f"{rows.PHOTOS} WHERE user = ? AND path = ? ORDER BY id DESC LIMIT 1", (user, blob(path)))
        return rows.photo(row) if row else None

    def latest_each(self, places: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Photo]:
        """Give the newest row of each of these places (user, path); what was never there is left out."""
        of_user: dict[str, list[bytes]] = {}
        for user, path in places:
            of_user.setdefault(user, []).append(blob(path))
        found: dict[tuple[str, str], Photo] = {}
        for user, paths in of_user.items():
            for part in parts(paths):
                here = f"user = ? AND path IN ({marks(part)})"
                newest = f"SELECT MAX(id) FROM photos WHERE {here} GROUP BY path"  # noqa: S608  only question marks
                sql = f"{rows.PHOTOS} WHERE id IN ({newest})"
                found |= {(user, photo.path): photo for photo in rows.photos(self._store.rows(sql, (user, *part)))}
        return found

    def by_state(self, *states: State, limit: int = -1, user: str | None = None) -> list[Photo]:
        """Give photos in any of ``states``, oldest first."""
        marks = ", ".join("?" * len(states))
        more = "" if user is None else " AND user = ?"
        arguments = [*(state.value for state in states), *([] if user is None else [user]), limit]
        sql = f"{rows.PHOTOS} WHERE state IN ({marks}){more} ORDER BY id LIMIT ?"
        return rows.photos(self._store.rows(sql, arguments))

    def places(self, user: str, *states: State) -> Iterator[tuple[str, str]]:
        """Give user and path of every file of a user in any of ``states``, a few at a time: there may be a million."""
        sql = "SELECT id, path FROM photos WHERE user = ? AND state = ? AND id > ? ORDER BY id LIMIT ?"
        for state in states:
            after = 0
            while found := self._store.rows(sql, (user, state.value, after, _AT_A_TIME)):
                after = found[-1]["id"]
                for row in found:
                    yield user, rows.text(row["path"])

    def settled_first(
        self, limit: int, *, of: Sequence[str] | None = None, without: Sequence[str] = ()
    ) -> list[Waiting]:
        """Give settled photos that are in no batch, those that have waited longest first; of some users only."""
        # The plus keeps SQLite from the indexes of batches and users: nearly all photos that ever were are in one.
        which = f" AND +user NOT IN ({marks(without)})" if of is None else f" AND +user IN ({marks(of)})"
        sql = f"{_WAITING} WHERE state = 'settled' AND +batch_id IS NULL{which} ORDER BY id LIMIT ?"
        found = self._store.rows(sql, (*(without if of is None else of), limit))
        return [Waiting(*row) for row in found]

    def settled_last(
        self, limit: int, *, of: Sequence[str] | None = None, without: Sequence[str] = ()
    ) -> list[Waiting]:
        """Give settled photos that are in no batch, the newest ones of every user (or some): about ``limit`` in all."""
        users: list[str] = []
        while row := self._store.row("SELECT MIN(user) FROM photos WHERE user > ?", (users[-1] if users else "",)):
            if row[0] is None:
                break
            users.append(row[0])
        users = [user for user in users if user not in without and (of is None or user in of)]
        found: list[Waiting] = []
        for user in users:
            sql = f"{_WAITING} WHERE user = ? AND state = 'settled' AND +batch_id IS NULL ORDER BY id DESC LIMIT ?"
            newest = self._store.rows(sql, (user, max(1, limit // len(users))))
            found += [Waiting(*row) for row in newest[::-1]]
        return found

    def settled_of(self, groups: Iterable[int]) -> list[list[Waiting]]:
        """Give the settled members of groups (as ``Waiting`` names them) that are in no batch, group by group."""
        wanted = list(groups)
        found: dict[int, list[Waiting]] = {}
        for column in ("group_id", "id"):
            for part in parts([one for one in wanted if one not in found]):
                sql = f"{_WAITING} WHERE {column} IN ({marks(part)}) AND +state = 'settled' AND +batch_id IS NULL"
                for photo in map(Waiting._make, self._store.rows(f"{sql} ORDER BY id", part)):
                    found.setdefault(photo.group, []).append(photo)
        return [found[one] for one in wanted if one in found]

    def of_batch(self, batch_id: int, *states: State) -> list[Photo]:
        """Give the photos of a batch, or those of them in any of ``states``, oldest first."""
        only = f" AND +state IN ({marks(states)})" if states else ""
        sql = f"{rows.PHOTOS} WHERE batch_id = ?{only} ORDER BY id"
        found = self._store.rows(sql, (batch_id, *(state.value for state in states)))
        return rows.photos(found)

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
            f"{rows.PHOTOS} WHERE ended_at IS NOT NULL AND +state IN ('done', 'refused', 'restored')"
            " ORDER BY ended_at DESC LIMIT ?",
            (limit,),
        )
        return rows.photos(found)

    def of_group(self, group_id: int) -> list[Photo]:
        """Give the members of a group."""
        found = self._store.rows(f"{rows.PHOTOS} WHERE group_id = ? ORDER BY id", (group_id,))
        return rows.photos(found)

    def hidden(self) -> list[Photo]:
        """Give photos whose original may stand under its private hidden name."""
        return rows.photos(self._store.rows(f"{rows.PHOTOS} WHERE hidden <> x'' ORDER BY id"))

    def due(self, now: float) -> list[Photo]:
        """Give waiting photos whose time has come, but for those that wait with their batch."""
        found = self._store.rows(
            f"{rows.PHOTOS} WHERE state = 'waiting' AND (next_try <= ? OR next_try > ?) AND"
            " (batch_id IS NULL OR resume = 'archived') ORDER BY id",
            (now, now + BEYOND),
        )
        return rows.photos(found)

    def releasable(self, now: float, limit: int, *, without: Sequence[str] = ()) -> list[Photo]:
        """Give proved photos whose original may be let go now, oldest first; none of some users."""
        found = self._store.rows(
            # One that need not wait after its proof does not wait for a clock that was set back either.
            f"{rows.PHOTOS} WHERE state = 'archived' AND (COALESCE(next_try, 0) <= ? OR"
            f" (next_try > ? AND next_try <= proved_at)) AND +user NOT IN ({marks(without)}) ORDER BY id LIMIT ?",
            (now, now + BEYOND, *without, limit),
        )
        return rows.photos(found)

    def next_try(self) -> float | None:
        """Give when the next photo is due that waits for another batch, or ``None``."""
        row = self._store.row(
            "SELECT MIN(next_try) FROM photos WHERE state = 'waiting' AND next_try IS NOT NULL AND batch_id IS NULL"
            " AND resume <> 'archived'"
        )
        return row[0] if row else None

    def next_release(self, *, without: Sequence[str] = ()) -> float | None:
        """Give when the next original may be let go, or is tried again, or ``None``; none of some users."""
        row = self._store.row(
            "SELECT MIN(next_try) FROM photos WHERE next_try IS NOT NULL AND state IN ('archived', 'waiting')"  # noqa: S608 - only question marks are put in
            f" AND (state = 'archived' OR resume = 'archived') AND +user NOT IN ({marks(without)})",
            tuple(without),
        )
        return row[0] if row else None

    def next_due(self) -> float | None:
        """Give the time at which the next waiting photo is due, or ``None``."""
        row = self._store.row(
            "SELECT MIN(next_try) FROM photos WHERE next_try IS NOT NULL AND state IN ('waiting', 'archived')"
        )
        return row[0] if row else None

    def bringing(self, digests: Iterable[bytes]) -> dict[bytes, list[int]]:
        """Give by BLAKE3 the photos that bring these bytes to the archive just now, oldest first.

        One that is a duplicate itself brings nothing; so two are never each other's, whichever is asked about first.
        """
        found: dict[bytes, list[int]] = {}
        for part in parts(digests):
            sql = (
                f"SELECT id, blake3 FROM photos WHERE blake3 IN ({marks(part)}) AND duplicate_of IS NULL AND"  # noqa: S608
                " (+state IN ('examined', 'placed', 'imported') OR (+state = 'waiting' AND batch_id IS NOT NULL))"
                " ORDER BY id"
            )
            for row in self._store.rows(sql, part):
                found.setdefault(row["blake3"], []).append(row["id"])
        return found

    def put_back(self, digests: Iterable[bytes]) -> set[tuple[str, str, bytes]]:
        """Give the places (user, path, BLAKE3) where any of these bytes were put back on request: not taken again."""
        found = set()
        for part in parts(digests):
            sql = f"SELECT user, path, blake3 FROM photos WHERE blake3 IN ({marks(part)}) AND +state = 'restored'"  # noqa: S608
            found |= {(row["user"], rows.text(row["path"]), row["blake3"]) for row in self._store.rows(sql, part)}
        return found

    def stayed(self, digests: Iterable[bytes]) -> set[tuple[str, str, bytes, int]]:
        """Give the files (user, path, BLAKE3, inode) that were relayed and stayed (``after`` was keep or tag)."""
        found = set()
        for part in parts(digests):
            sql = (
                f"SELECT user, path, blake3, inode FROM photos WHERE blake3 IN ({marks(part)}) AND after IN"  # noqa: S608
                " ('keep', 'tag') AND +state IN ('released', 'done')"
            )
            found |= {
                (row["user"], rows.text(row["path"]), row["blake3"], row["inode"])
                for row in self._store.rows(sql, part)
            }
        return found

    def archived_beside(self, user: str, directory: str, prefix: str) -> list[Photo]:
        """Give photos of that folder whose names start with ``prefix`` and whose bytes are proved in the archive."""
        found = self._store.rows(
            f"{rows.PHOTOS} WHERE user = ? AND path >= ? AND path < ? AND {_ARCHIVED} ORDER BY id",
            (user, *_beginning(directory, prefix)),
        )
        return rows.photos(found)

    def any_archived_beside(self, places: Sequence[tuple[str, str, str]]) -> list[int]:
        """Give the numbers of those places (user, directory, prefix) for which ``archived_beside`` gives any."""
        found: list[int] = []
        for part in parts(enumerate(places), 200):
            # The cross join has SQLite go through the places, and look each up in the index of paths.
            sql = (
                f"WITH places (number, of_user, first, last) AS (VALUES {', '.join(['(?, ?, ?, ?)'] * len(part))})"  # noqa: S608  question marks
                " SELECT DISTINCT number FROM places CROSS JOIN photos"
                f" WHERE user = of_user AND path >= first AND path < last AND {_ARCHIVED} ORDER BY number"
            )
            arguments = [(number, user, *_beginning(directory, prefix)) for number, (user, directory, prefix) in part]
            found += [row[0] for row in self._store.rows(sql, [one for each in arguments for one in each])]
        return found

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
            f"{rows.PHOTOS} WHERE id IN (SELECT id FROM photos WHERE state = 'done' AND role = 'main'"  # noqa: S608  names of ours
            " AND archived_as <> x'' ORDER BY ended_at DESC LIMIT 500) ORDER BY RANDOM() LIMIT ?",
            (count,),
        )
        return rows.photos(found)


def _beginning(directory: str, prefix: str) -> tuple[bytes, bytes]:
    """Give the bounds between which the paths lie of what stands in a directory and begins so."""
    base = blob(f"{directory}/{prefix}" if directory else prefix)
    return base, base + b"\xff"
