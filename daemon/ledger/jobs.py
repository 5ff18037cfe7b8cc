"""What Nextcloud still has to be asked for: one line for each folder that changed, however many files it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.ledger import rows
from daemon.ledger.rows import blob, text
from daemon.pauses import BEYOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from daemon.errors import RelayError
    from daemon.ledger.model import Job
    from daemon.ledger.store import Store


class Jobs:
    """An outbox: a job is written in the transaction that made it necessary and taken out when it is done."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, kind: str, user: str, path: str, now: float, photos: Iterable[int] = ()) -> None:
        """Ask for a folder to be scanned; a job for it that has not begun serves these photos too."""
        members = list(photos)
        with self._store.write() as db:
            db.execute(
                "INSERT INTO jobs (kind, user, path, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (kind, user, blob(path), now),
            )
            row = db.execute(
                "SELECT id FROM jobs WHERE kind = ? AND user = ? AND path = ? AND taken = 0", (kind, user, blob(path))
            ).fetchone()
            db.executemany("INSERT OR IGNORE INTO job_photos VALUES (?, ?)", [(row["id"], one) for one in members])
            db.execute(
                "UPDATE jobs SET gained = (SELECT COUNT(*) FROM job_photos WHERE job_id = jobs.id) WHERE id = ?",
                (row["id"],),
            )

    def take(self, now: float) -> list[Job]:
        """Give the jobs whose time has come and mark them as begun: what comes from now on makes new jobs."""
        with self._store.write() as db:
            # Due much later than any pause lasts: the clock has been set back since.
            due = (now, now + BEYOND)
            db.execute(
                "UPDATE jobs SET taken = 1 WHERE taken = 0 AND (COALESCE(next_try, 0) <= ? OR next_try > ?)", due
            )
            found = db.execute(
                "SELECT * FROM jobs WHERE taken = 1 AND (COALESCE(next_try, 0) <= ? OR next_try > ?) ORDER BY id", due
            ).fetchall()
        return [rows.job(row) for row in found]

    def pending(self) -> list[Job]:
        """Give all jobs that are not done."""
        return [rows.job(row) for row in self._store.rows("SELECT * FROM jobs ORDER BY id")]

    def next_due(self) -> float | None:
        """Give when the next job is due (0 for at once), or ``None`` where there is none."""
        row = self._store.row("SELECT MIN(COALESCE(next_try, 0)) FROM jobs")
        return row[0] if row else None

    def files(self, job_id: int) -> list[str]:
        """Give the archive paths of the photos a job is for."""
        found = self._store.rows(
            "SELECT archived_as FROM photos JOIN job_photos ON photo_id = id WHERE job_id = ? AND archived_as <> x''"
            " ORDER BY archived_as",
            (job_id,),
        )
        return [text(row["archived_as"]) for row in found]

    def wait(self, ids: Iterable[int], error: RelayError, now: float, next_try: float) -> None:
        """Let jobs wait until ``next_try``."""
        with self._store.write() as db:
            for identity in ids:
                db.execute(
                    "UPDATE jobs SET attempts = attempts + 1, next_try = ?, since = COALESCE(since, ?), code = ?,"
                    " message = ? WHERE id = ?",
                    (next_try, now, error.code, error.message, identity),
                )

    def done(self, jobs: Sequence[Job], now: float, result: str) -> list[int]:
        """Take jobs out; give the released photos that now wait for no further job."""
        ready: list[int] = []
        with self._store.write() as db:
            for job in jobs:
                members = [
                    row[0]
                    for row in db.execute("SELECT photo_id FROM job_photos WHERE job_id = ?", (job.id,)).fetchall()
                ]
                db.execute("DELETE FROM job_photos WHERE job_id = ?", (job.id,))
                db.execute("DELETE FROM jobs WHERE id = ?", (job.id,))
                db.execute(
                    "INSERT OR REPLACE INTO refreshed VALUES (?, ?, ?, ?, ?)",
                    (job.kind, job.user, blob(job.path), now, result),
                )
                ready += [one for one in members if self._free(one)]
        return ready

    def finished(self) -> list[int]:
        """Give the released photos for which no job is left."""
        return [
            row["id"]
            for row in self._store.rows(
                "SELECT id FROM photos WHERE state = 'released' AND NOT EXISTS"
                " (SELECT 1 FROM job_photos WHERE photo_id = photos.id)"
            )
        ]

    def refreshed(self, limit: int) -> list[dict[str, Any]]:
        """Give what Nextcloud was asked for last, newest first: kind, user, path, when, and the result."""
        found = self._store.rows("SELECT * FROM refreshed ORDER BY at DESC LIMIT ?", (limit,))
        return [{**dict(row), "path": text(row["path"])} for row in found]

    def _free(self, photo_id: int) -> bool:
        row = self._store.row(
            "SELECT 1 FROM photos WHERE id = ? AND state = 'released' AND NOT EXISTS"
            " (SELECT 1 FROM job_photos WHERE photo_id = photos.id)",
            (photo_id,),
        )
        return row is not None
