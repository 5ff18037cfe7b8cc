"""Rows of the tables as plain values, and back. Paths are BLOBs: a file name may be any bytes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from daemon.fingerprint import Fingerprint
from daemon.ledger.model import Batch, BatchState, Job, Photo, State

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence


_ENCODING, _ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()


def blob(path: str) -> bytes:
    """Give a path as the ledger stores it."""
    return path.encode(_ENCODING, _ERRORS)


def text(path: bytes) -> str:
    """Give a stored path as the program uses it."""
    return path.decode(_ENCODING, _ERRORS) if path else ""  # as os.fsdecode does it, at half its cost


_PHOTO = (
    *("id", "user", "folder", "path", "role", "group_id", "state", "resume", "inode", "size", "mtime_ns", "ctime_ns"),
    *("blake3", "sha1", "kind", "content_id", "batch_id", "place", "duplicate_of", "archived_as", "archive_inode"),
    *("archive_size", "archive_mtime_ns", "archive_ctime_ns", "taken", "taken_from", "after", "hidden", "imports"),
    *("indexings", "attempts", "next_try", "since", "code", "message", "hint", "found_at", "ended_at", "proved_at"),
)


PHOTOS: Final = f"SELECT {', '.join(_PHOTO)} FROM photos"  # noqa: S608  names of ours
"""Asks for photos' rows as :func:`photos` wants them: by its place in the row each column costs half as much as by its
name, and nobody here reads a photo's long way.
"""
_STATES = {state.value: state for state in State}
_new = tuple.__new__
"""Makes a named tuple as its class does, at a third of the cost; the order of its values is the reader's business."""


def photo(row: sqlite3.Row) -> Photo:
    """Give the photo of a row that :data:`PHOTOS` has asked for."""
    return photos([row])[0]


def photos(rows: Sequence[sqlite3.Row]) -> list[Photo]:
    """Give the photos of rows that :data:`PHOTOS` has asked for."""
    # fmt: off
    return [
        _new(Photo, (
            identity, user, text(folder), text(path), role, group_id, _STATES[state],
            _STATES.get(resume),
            _new(Fingerprint, (inode, size, mtime_ns, ctime_ns)), blake3, sha1, kind, content_id, batch_id, text(place),
            duplicate_of, text(archived_as),
            None if archive_inode is None
            else _new(Fingerprint, (archive_inode, archive_size, archive_mtime_ns, archive_ctime_ns)),
            taken, taken_from, after, text(hidden), imports, indexings,
            attempts, next_try, since, code, message, hint, found_at, ended_at, proved_at,
        ))
        for (
            identity, user, folder, path, role, group_id, state, resume, inode, size, mtime_ns, ctime_ns,
            blake3, sha1, kind, content_id, batch_id, place, duplicate_of, archived_as, archive_inode,
            archive_size, archive_mtime_ns, archive_ctime_ns, taken, taken_from, after, hidden, imports,
            indexings, attempts, next_try, since, code, message, hint, found_at, ended_at, proved_at,
        ) in rows
    ]
    # fmt: on


def batch(row: sqlite3.Row) -> Batch:
    """Give a row of ``batches``."""
    return Batch(
        id=row["id"],
        name=row["name"],
        state=BatchState(row["state"]),
        created_at=row["created_at"],
        ended_at=row["ended_at"],
        imports=row["imports"],
        attempts=row["attempts"],
        next_try=row["next_try"],
        since=row["since"],
        code=row["code"],
        message=row["message"],
    )


def job(row: sqlite3.Row) -> Job:
    """Give a row of ``jobs``."""
    return Job(
        id=row["id"],
        kind=row["kind"],
        user=row["user"],
        path=text(row["path"]),
        gained=row["gained"],
        created_at=row["created_at"],
        attempts=row["attempts"],
        next_try=row["next_try"],
        since=row["since"],
        code=row["code"],
        message=row["message"],
    )
