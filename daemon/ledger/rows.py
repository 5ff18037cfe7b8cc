"""Rows of the tables as plain values, and back. Paths are BLOBs: a file name may be any bytes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from daemon.fingerprint import Fingerprint
from daemon.ledger.model import Batch, BatchState, Job, Photo, State

if TYPE_CHECKING:
    import sqlite3


def blob(path: str) -> bytes:
    """Give a path as the ledger stores it."""
    return os.fsencode(path)


def text(path: bytes) -> str:
    """Give a stored path as the program uses it."""
    return os.fsdecode(path)


def photo(row: sqlite3.Row) -> Photo:
    """Give a row of ``photos``."""
    archive_fingerprint = None
    if row["archive_inode"] is not None:
        archive_fingerprint = Fingerprint(
            row["archive_inode"], row["archive_size"], row["archive_mtime_ns"], row["archive_ctime_ns"]
        )
    return Photo(
        id=row["id"],
        user=row["user"],
        folder=text(row["folder"]),
        path=text(row["path"]),
        role=row["role"],
        group_id=row["group_id"],
        state=State(row["state"]),
        resume=State(row["resume"]) if row["resume"] else None,
        fingerprint=Fingerprint(row["inode"], row["size"], row["mtime_ns"], row["ctime_ns"]),
        blake3=row["blake3"],
        sha1=row["sha1"],
        kind=row["kind"],
        content_id=row["content_id"],
        batch_id=row["batch_id"],
        place=text(row["place"]),
        duplicate_of=row["duplicate_of"],
        archived_as=text(row["archived_as"]),
        archive_fingerprint=archive_fingerprint,
        taken=row["taken"],
        taken_from=row["taken_from"],
        after=row["after"],
        hidden=text(row["hidden"]),
        imports=row["imports"],
        indexings=row["indexings"],
        attempts=row["attempts"],
        next_try=row["next_try"],
        since=row["since"],
        code=row["code"],
        message=row["message"],
        hint=row["hint"],
        found_at=row["found_at"],
        ended_at=row["ended_at"],
        proved_at=row["proved_at"],
    )


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
