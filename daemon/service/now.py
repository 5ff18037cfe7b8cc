"""How things are now: the snapshot that every page starts from, what of it has changed, and a flat summary.

What the ledger tells is read once for each change of it, however many people look; while nothing changes, looking
costs no query at all.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread

from daemon.clock import iso
from daemon.schedule import zone_name
from daemon.service.photos import photo_row
from daemon.service.progress import batch_as_dict, batch_under_way
from daemon.service.remedies import actions_for
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.issues import Issues
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Batch
    from daemon.relay.under_way import UnderWay
    from daemon.service.lamps import Lamps

RECENT: Final = 20
REFRESHED: Final = 20
_UNDER_WAY = ("found", "settled", "examined", "placed", "imported", "archived", "released")
_UNKNOWN_CONFIG: Final[dict[str, Any]] = {
    "etag": None,
    "valid": True,
    "faults": [],
    "writable": False,
    "restart_needed": False,
    "path": None,
}


@dataclass(frozen=True, slots=True)
class _Read:
    """What the ledger told, and for which state of it; nobody changes it afterwards."""

    key: tuple[int, str, str]
    found: dict[str, Any]
    jobs: list[dict[str, Any]]
    unfinished: list[Batch]
    sizes: dict[int, tuple[int, int]]
    homes: dict[str, bool]
    """Everybody who was ever seen, and whether they are there."""


class Now:
    """The desk at which a page asks how things are."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        current: Current,
        issues: Issues,
        under_way: UnderWay,
        lamps: Lamps,
        live: Callable[[], dict[str, Any]],
        config: Callable[[], dict[str, Any] | None],
        clock: Clock,
    ) -> None:
        """Take ``live``, which gives what costs nothing to ask (version, pause, watch, sweeps)."""
        self._ledger = ledger
        self._current = current
        self._issues = issues
        self._under_way = under_way
        self.lamps = lamps
        self._live = live
        self._config = config
        self._clock = clock
        self._read: _Read | None = None
        self._figures: tuple[tuple[int, str, str], dict[str, Any]] | None = None
        self._reading = anyio.Lock()

    async def snapshot(self) -> dict[str, Any]:
        """Give everything that the page shows of now. Whoever gets it may keep it and must not change it."""
        read = await self._of_ledger()
        settings = self._current.settings
        return {
            "now": iso(self._clock.wall()),
            **self._live(),
            **read.found,
            "lamps": self.lamps.all(read.found["refreshed"], read.jobs),
            "issues": self._open_issues(read),
            "batch": self._batch(read),
            "users": self._users(read.homes),
            "config": self._config() or _UNKNOWN_CONFIG,
            "page": {
                "popups": settings.ui.popups,
                "timezone": self._zone(),
                "others": len(settings.ui.others),
            },
        }

    async def changes(self, previous: Mapping[str, Any]) -> dict[str, Any]:
        """Give those keys of the snapshot, with their values, that are not as in ``previous``; empty where none is."""
        fresh = await self.snapshot()
        now = fresh.pop("now")
        found = {key: value for key, value in fresh.items() if key not in previous or previous[key] != value}
        return {"now": now, **found} if found else {}

    async def summary(self) -> dict[str, Any]:
        """Give one flat object of numbers, words and ISO dates, for dashboards."""
        found = await self.snapshot()
        photos, today, total = found["photos"], found["today"], found["total"]
        lamps = {lamp["id"]: lamp for lamp in found["lamps"]}
        worst = {lamp["state"] for lamp in lamps.values()}
        state = "error" if "error" in worst else "warning" if found["issues"] or "warning" in worst else "ok"
        return {
            "state": "paused" if found["paused"] else state,
            "version": found["version"],
            "running_since": found["running_since"],
            "photos_under_way": sum(photos[name] for name in _UNDER_WAY),
            "photos_waiting": photos["waiting"],
            "photos_held": photos["held"],
            "done_today": today["done"],
            "bytes_today": today["bytes"],
            "duplicates_today": today["duplicates"],
            "done_total": total["done"],
            "bytes_total": total["bytes"],
            "duplicates_total": total["duplicates"],
            "bytes_saved": total["duplicate_bytes"],
            "refused_total": total["refused"],
            "last_photo_at": found["recent"][0]["ended_at"] if found["recent"] else None,
            "issues": len(found["issues"]),
            "first_issue": found["issues"][0]["message"] if found["issues"] else "",
            "users_included": found["users"]["included"],
            "users_asking": found["users"]["asking"],
            "next_sweep": found["sweep"]["next"],
            **{name: lamp["state"] for name, lamp in lamps.items()},
            "archive_free_bytes": lamps["disk_archive"]["detail"].get("free"),
        }

    # -- what the ledger tells ----------------------------------------------------------------------------------

    async def _of_ledger(self) -> _Read:
        async with self._reading:  # many who ask at once are answered by one reading
            now = self._clock.wall()
            # Days begin anew without any change of the ledger.
            key = (self._ledger.changes, self._zone(), str(int(now // 900)))
            if self._read is None or self._read.key != key:
                self._read = await anyio.to_thread.run_sync(self._look, key, now)
            return self._read

    def _look(self, key: tuple[int, str, str], now: float) -> _Read:
        ledger = self._ledger
        jobs = [_job(job.kind, job.user, job.path, job.code, job.message, job.since) for job in ledger.jobs.pending()]
        unfinished = ledger.batches.unfinished()
        last = ledger.batches.last()
        sweep = ledger.audit.last_sweep()
        sums = {batch.id: ledger.photos.sum_of_batch(batch.id) for batch in unfinished}
        found: dict[str, Any] = {
            "photos": ledger.photos.counts(),
            "troubles": troubles(ledger),
            **self._counted(key, now),
            "recent": [photo_row(photo) for photo in ledger.photos.last_ended(RECENT)],
            "refreshed": [{**row, "path": shown(row["path"]), "at": iso(row["at"])} for row in self._refreshed()],
            "nextcloud_jobs": len(jobs),
            "last_batch": None if last is None else last_batch(last, ledger.photos.sum_of_batch(last.id)[0]),
            "last_sweep": None if sweep is None else last_sweep(sweep),
        }
        homes = {user: home.gone_since is None for user, home in ledger.homes.all().items()}
        return _Read(key, found, jobs, unfinished, sums, homes)

    def _refreshed(self) -> list[dict[str, Any]]:
        return self._ledger.jobs.refreshed(REFRESHED)

    def _counted(self, key: tuple[int, str, str], now: float) -> dict[str, Any]:
        """Give the figures, read anew only where one has changed or a quarter of an hour has gone."""
        figures = self._ledger.figures
        mine = (figures.version, *key[1:])
        if self._figures is None or self._figures[0] != mine:
            zone = key[1]
            activity = [
                {"date": day.isoformat(), "done": sums.done, "bytes": sums.bytes, "duplicates": sums.duplicates}
                for day, sums in figures.activity(now, zone)
            ]
            today, total = figures.today(now, zone)._asdict(), figures.total()._asdict()
            self._figures = mine, {"today": today, "total": total, "activity": activity}
        return self._figures[1]

    # -- what is in memory --------------------------------------------------------------------------------------

    def _zone(self) -> str:
        return zone_name(self._current.settings.ui.timezone, os.environ)

    def _open_issues(self, read: _Read) -> list[dict[str, Any]]:
        codes = {row["code"] for row in read.found["troubles"]}
        return [{**issue.as_dict(), "actions": actions_for(issue, codes, read.homes)} for issue in self._issues.all()]

    def _batch(self, read: _Read) -> dict[str, Any] | None:
        progress = self._under_way.look()
        batch = batch_under_way(read.unfinished, progress)
        return None if batch is None else batch_as_dict(batch, progress, *read.sizes[batch.id])

    def _users(self, homes: Mapping[str, bool]) -> dict[str, int]:
        users = self._current.settings.users
        found = {"included": 0, "asking": 0, "excluded": 0, "gone": 0}
        for user, there in homes.items():
            decision = {"include": "included", "ask": "asking", "exclude": "excluded"}[users.decision(user)]
            found[decision if there else "gone"] += 1
        return found


def _job(kind: str, user: str, path: str, code: str, message: str, since: float | None) -> dict[str, Any]:
    return {"kind": kind, "user": user, "path": shown(path), "code": code, "message": message, "since": since}


def last_batch(batch: Batch, photos: int) -> dict[str, Any]:
    """Give the newest batch as the status has it."""
    return {
        "id": batch.id,
        "name": batch.name,
        "state": batch.state.value,
        "created_at": iso(batch.created_at),
        "ended_at": iso(batch.ended_at),
        "photos": photos,
        "waits_since": iso(batch.since),
        "next_try": iso(batch.next_try),
        "code": batch.code,
        "message": batch.message,
    }


def troubles(ledger: Ledger) -> list[dict[str, Any]]:
    """Give why photos wait or are held, as every answer has it. Blocking."""
    return [
        {**row, "since": iso(row["since"]), "message": shown(row["message"], 2000)} for row in ledger.photos.troubles()
    ]


def last_sweep(sweep: Mapping[str, Any]) -> dict[str, Any]:
    """Give the newest sweep as the status has it."""
    return {
        "started_at": iso(sweep["started_at"]),
        "ended_at": iso(sweep["ended_at"]),
        "reason": sweep["reason"],
        "seen": sweep["seen"],
        "missed": sweep["missed"],
    }
