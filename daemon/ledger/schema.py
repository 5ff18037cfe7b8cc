"""The tables, and how a ledger of an earlier version becomes one of this version."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from daemon.errors import NeedsPerson

if TYPE_CHECKING:
    from collections.abc import Sequence

# A script that has been published never changes: ledgers were made by it. What is new goes into one more.
MIGRATIONS: Sequence[str] = (
    """
    CREATE TABLE homes (
        user TEXT PRIMARY KEY,
        first_seen REAL NOT NULL,
        baseline_at REAL,
        gone_since REAL
    ) WITHOUT ROWID;

    CREATE TABLE baseline (
        user TEXT NOT NULL,
        path BLOB NOT NULL,
        inode INTEGER NOT NULL,
        size INTEGER NOT NULL,
        PRIMARY KEY (user, path)
    ) WITHOUT ROWID;

    CREATE TABLE batches (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        state TEXT NOT NULL,
        created_at REAL NOT NULL,
        ended_at REAL,
        imports INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        next_try REAL,
        since REAL,
        code TEXT NOT NULL DEFAULT '',
        message TEXT NOT NULL DEFAULT ''
    );
    CREATE INDEX batches_unfinished ON batches (id) WHERE state <> 'ended';

    CREATE TABLE photos (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        user TEXT NOT NULL,
        folder BLOB NOT NULL,
        path BLOB NOT NULL,
        role TEXT NOT NULL,
        group_id INTEGER,
        state TEXT NOT NULL,
        resume TEXT,
        inode INTEGER NOT NULL,
        size INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        ctime_ns INTEGER NOT NULL,
        blake3 BLOB,
        sha1 BLOB,
        kind TEXT NOT NULL DEFAULT '',
        content_id TEXT NOT NULL DEFAULT '',
        batch_id INTEGER REFERENCES batches (id),
        place BLOB NOT NULL DEFAULT x'',
        duplicate_of INTEGER,
        archived_as BLOB NOT NULL DEFAULT x'',
        archive_inode INTEGER,
        archive_size INTEGER,
        archive_mtime_ns INTEGER,
        archive_ctime_ns INTEGER,
        taken TEXT NOT NULL DEFAULT '',
        taken_from TEXT NOT NULL DEFAULT '',
        after TEXT NOT NULL DEFAULT '',
        hidden BLOB NOT NULL DEFAULT x'',
        imports INTEGER NOT NULL DEFAULT 0,
        indexings INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        next_try REAL,
        since REAL,
        code TEXT NOT NULL DEFAULT '',
        message TEXT NOT NULL DEFAULT '',
        hint TEXT NOT NULL DEFAULT '',
        found_at REAL NOT NULL,
        ended_at REAL,
        proved_at REAL
    );
    CREATE INDEX photos_where ON photos (user, path);
    CREATE INDEX photos_state ON photos (state, next_try);
    CREATE INDEX photos_ended ON photos (ended_at);
    CREATE INDEX photos_group ON photos (group_id);
    CREATE INDEX photos_blake3 ON photos (blake3);
    CREATE INDEX photos_batch ON photos (batch_id);
    CREATE INDEX photos_hidden ON photos (id) WHERE hidden <> x'';

    CREATE TABLE contents (
        blake3 BLOB PRIMARY KEY,
        sha1 BLOB NOT NULL,
        size INTEGER NOT NULL,
        path BLOB NOT NULL,
        photo_id INTEGER NOT NULL,
        proved_at REAL NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE history (
        photo_id INTEGER NOT NULL,
        at REAL NOT NULL,
        state TEXT NOT NULL,
        note TEXT NOT NULL DEFAULT ''
    );
    CREATE INDEX history_photo ON history (photo_id);

    CREATE TABLE jobs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        user TEXT NOT NULL,
        path BLOB NOT NULL,
        gained INTEGER NOT NULL DEFAULT 0,
        created_at REAL NOT NULL,
        taken INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0,
        next_try REAL,
        since REAL,
        code TEXT NOT NULL DEFAULT '',
        message TEXT NOT NULL DEFAULT ''
    );
    CREATE UNIQUE INDEX jobs_pending ON jobs (kind, user, path) WHERE taken = 0;
    CREATE TABLE job_photos (
        job_id INTEGER NOT NULL,
        photo_id INTEGER NOT NULL,
        PRIMARY KEY (photo_id, job_id)
    ) WITHOUT ROWID;
    CREATE INDEX job_photos_job ON job_photos (job_id);

    CREATE TABLE refreshed (
        kind TEXT NOT NULL,
        user TEXT NOT NULL,
        path BLOB NOT NULL,
        at REAL NOT NULL,
        result TEXT NOT NULL,
        PRIMARY KEY (kind, user, path)
    ) WITHOUT ROWID;

    CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        who TEXT NOT NULL,
        deed TEXT NOT NULL,
        photo_id INTEGER,
        user TEXT NOT NULL DEFAULT '',
        path BLOB NOT NULL DEFAULT x'',
        note TEXT NOT NULL DEFAULT ''
    );

    CREATE TABLE sweeps (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        started_at REAL NOT NULL,
        ended_at REAL,
        reason TEXT NOT NULL,
        seen INTEGER NOT NULL DEFAULT 0,
        missed INTEGER NOT NULL DEFAULT 0
    );
    """,
    """
    CREATE INDEX photos_of_user ON photos (user, id);
    CREATE INDEX photos_in_state ON photos (state, id);
    CREATE INDEX photos_of_user_in_state ON photos (user, state);
    CREATE INDEX photos_sha1 ON photos (sha1);
    CREATE INDEX photos_found ON photos (found_at);
    CREATE INDEX audit_photo ON audit (photo_id) WHERE photo_id IS NOT NULL;

    CREATE TABLE quarters (
        quarter INTEGER PRIMARY KEY,
        done INTEGER NOT NULL DEFAULT 0,
        bytes INTEGER NOT NULL DEFAULT 0,
        duplicates INTEGER NOT NULL DEFAULT 0,
        duplicate_bytes INTEGER NOT NULL DEFAULT 0,
        refused INTEGER NOT NULL DEFAULT 0,
        restored INTEGER NOT NULL DEFAULT 0
    );
    INSERT INTO quarters
        SELECT CAST(ended_at / 900 AS INTEGER) quarter,
            SUM(state = 'done' AND duplicate_of IS NULL),
            SUM(CASE WHEN state = 'done' AND duplicate_of IS NULL THEN size ELSE 0 END),
            SUM(state = 'done' AND duplicate_of IS NOT NULL),
            SUM(CASE WHEN state = 'done' AND duplicate_of IS NOT NULL THEN size ELSE 0 END),
            SUM(state = 'refused'),
            SUM(state = 'restored')
        FROM photos WHERE state IN ('done', 'refused', 'restored') AND ended_at IS NOT NULL GROUP BY quarter;

    CREATE TABLE sessions (
        id_hash BLOB PRIMARY KEY,
        epoch INTEGER NOT NULL,
        began_at REAL NOT NULL,
        used_at REAL NOT NULL,
        address TEXT NOT NULL DEFAULT '',
        agent TEXT NOT NULL DEFAULT ''
    ) WITHOUT ROWID;

    CREATE TABLE tokens (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL,
        hash BLOB NOT NULL UNIQUE,
        scope TEXT NOT NULL,
        created_at REAL NOT NULL,
        expires_at REAL,
        used_at REAL,
        used_from TEXT NOT NULL DEFAULT ''
    );

    CREATE TABLE marks (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID;

    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        channel TEXT NOT NULL,
        kind TEXT NOT NULL,
        about TEXT NOT NULL DEFAULT '',
        body TEXT NOT NULL,
        created_at REAL NOT NULL,
        not_before REAL NOT NULL DEFAULT 0,
        stale_at REAL,
        attempts INTEGER NOT NULL DEFAULT 0,
        code TEXT NOT NULL DEFAULT '',
        message TEXT NOT NULL DEFAULT ''
    );
    CREATE INDEX outbox_channel ON outbox (channel, id);

    CREATE TABLE deeds (
        hash BLOB PRIMARY KEY,
        deed TEXT NOT NULL,
        subject TEXT NOT NULL,
        created_at REAL NOT NULL,
        expires_at REAL NOT NULL,
        used_at REAL
    ) WITHOUT ROWID;

    CREATE TABLE inspections (
        inspector TEXT NOT NULL,
        photo_id INTEGER NOT NULL,
        at REAL NOT NULL,
        value TEXT NOT NULL DEFAULT '',
        note TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (inspector, photo_id)
    ) WITHOUT ROWID;

    ALTER TABLE baseline ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX baseline_inode ON baseline (user, inode);
    """,
    """
    ALTER TABLE homes ADD COLUMN anchor TEXT NOT NULL DEFAULT '';
    """,
    # A photo's way in its own row: as rows of their own its eight lines took a third of the ledger.
    """
    ALTER TABLE photos ADD COLUMN way TEXT NOT NULL DEFAULT '';
    UPDATE photos SET way = COALESCE((
        SELECT group_concat(char(10) || CASE h.state
            WHEN 'found' THEN 'f' WHEN 'settled' THEN 's' WHEN 'examined' THEN 'e' WHEN 'placed' THEN 'p'
            WHEN 'imported' THEN 'i' WHEN 'archived' THEN 'a' WHEN 'released' THEN 'r' WHEN 'waiting' THEN 'w'
            WHEN 'held' THEN 'h' WHEN 'done' THEN 'd' WHEN 'refused' THEN 'x' WHEN 'restored' THEN 'b' ELSE '?' END
            || round(h.at - photos.found_at, 3)
            || CASE h.note WHEN '' THEN '' ELSE ' ' || replace(h.note, char(10), ' ') END, '')
        FROM (SELECT * FROM history WHERE photo_id = photos.id ORDER BY rowid LIMIT -1 OFFSET 1) h
    ), '');
    DROP TABLE history;

    CREATE TABLE contents_now (
        blake3 BLOB PRIMARY KEY,
        size INTEGER NOT NULL,
        path BLOB NOT NULL,
        photo_id INTEGER NOT NULL
    ) WITHOUT ROWID;
    INSERT INTO contents_now SELECT blake3, size, path, photo_id FROM contents;
    DROP TABLE contents;
    ALTER TABLE contents_now RENAME TO contents;

    UPDATE audit SET user = '', path = x'' WHERE EXISTS (
        SELECT 1 FROM photos WHERE id = audit.photo_id AND photos.user = audit.user AND photos.path = audit.path
    );

    DROP INDEX photos_state;
    DROP INDEX photos_in_state;
    DROP INDEX photos_of_user;
    CREATE INDEX photos_due ON photos (state, next_try) WHERE next_try IS NOT NULL;
    CREATE INDEX photos_in_state ON photos (state);
    CREATE INDEX photos_of_user ON photos (user);
    """,
    # What stands in a folder archive without having been proved there: a lost ledger's photos, and an owner's own.
    """
    CREATE TABLE stock (
        id INTEGER PRIMARY KEY,
        path BLOB NOT NULL,
        size INTEGER NOT NULL,
        head BLOB
    );
    CREATE INDEX stock_size ON stock (size);
    """,
)


_EVENED = 2
_GREW = ("baseline", "sessions")
_GOT_LATER = """
CREATE INDEX IF NOT EXISTS photos_state ON photos (state, next_try);
DROP INDEX IF EXISTS photos_alive;
CREATE INDEX IF NOT EXISTS photos_of_user_in_state ON photos (user, state);
CREATE INDEX IF NOT EXISTS photos_found ON photos (found_at);
CREATE INDEX IF NOT EXISTS audit_photo ON audit (photo_id) WHERE photo_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS baseline_inode ON baseline (user, inode);
CREATE TABLE IF NOT EXISTS inspections (
    inspector TEXT NOT NULL,
    photo_id INTEGER NOT NULL,
    at REAL NOT NULL,
    value TEXT NOT NULL DEFAULT '',
    note TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (inspector, photo_id)
) WITHOUT ROWID;
"""
_COUNTED_ANEW = """
DELETE FROM quarters;
INSERT INTO quarters
    SELECT CAST(ended_at / 900 AS INTEGER) quarter,
        SUM(state = 'done' AND duplicate_of IS NULL),
        SUM(CASE WHEN state = 'done' AND duplicate_of IS NULL THEN size ELSE 0 END),
        SUM(state = 'done' AND duplicate_of IS NOT NULL),
        SUM(CASE WHEN state = 'done' AND duplicate_of IS NOT NULL THEN size ELSE 0 END),
        SUM(state = 'refused'),
        SUM(state = 'restored')
    FROM photos WHERE state IN ('done', 'refused', 'restored') AND ended_at IS NOT NULL GROUP BY quarter
"""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to this version, in one transaction: killed meanwhile, it is as it was before.

    Between two versions a new ledger, in which nothing is yet, would be taken for an earlier program's. Raises
    :class:`NeedsPerson` (``ledger.newer``) where a newer version of the program has written the ledger.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise NeedsPerson(
            "ledger.newer",
            f"the ledger was written by a newer version of this program (schema {version}, known: {len(MIGRATIONS)})",
            hint="start the newer version again, or put back the copy of the state folder made before the upgrade",
        )
    if version == len(MIGRATIONS):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            if number == _EVENED + 1:
                _even(connection)
            for statement in _statements(script):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:  # else SQLite has undone it by itself: the disk is full
            connection.execute("ROLLBACK")
        raise


def _even(connection: sqlite3.Connection) -> None:
    """Give a ledger of the first two versions what those got while they were being made, under the same number."""
    columns = {table: {row[1] for row in connection.execute(f"PRAGMA table_info({table})")} for table in _GREW}
    if "gone" not in columns["baseline"]:
        connection.execute("ALTER TABLE baseline ADD COLUMN gone INTEGER NOT NULL DEFAULT 0")
    if "csrf" in columns["sessions"]:
        connection.execute("ALTER TABLE sessions DROP COLUMN csrf")
    for statement in _statements(_GOT_LATER + _COUNTED_ANEW):
        connection.execute(statement)


def _statements(script: str) -> list[str]:
    """Split a script at its semicolons; ``executescript`` would commit the open transaction."""
    return [part.strip() for part in script.split(";") if part.strip()]
