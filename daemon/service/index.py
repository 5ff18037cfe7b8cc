"""Index on demand: have Nextcloud look again at the folders that are watched, and at the album's newest ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio.to_thread

from daemon.errors import NeedsPerson
from daemon.text import count_in_words, shown
from daemon.watch import tree
from daemon.watch.rules import Rules
from daemon.watch.users import normal, outermost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.ledger.ledger import Ledger
    from daemon.ledger.model import Job
    from daemon.service.runs import Say
    from daemon.wake import Wake

FOLDERS = 300
"""Folders that one request has looked at: each is a call of ``occ``, of half a second or more."""
LATEST = 2000
"""The album's folders are those of so many photos that were relayed last."""
PATIENCE = 1800.0
"""Seconds for which the calls are waited for; they go on without anybody waiting."""


class IndexNow:
    """Adds the jobs that a relay would have added, and follows them to their end."""

    def __init__(self, ledger: Ledger, current: Current, wake: Wake, clock: Clock) -> None:
        self._ledger = ledger
        self._current = current
        self._wake = wake
        self._clock = clock

    async def __call__(self, users: Sequence[str], *, album: bool, say: Say) -> dict[str, Any]:
        """Have Nextcloud look at the folders of ``users`` (none named: all who are included), and at the album.

        Raises ``NeedsPerson`` ``index.no_occ``, ``index.not_included``.
        """
        settings = self._current.settings
        if settings.nextcloud.occ.via == "off":
            raise NeedsPerson(
                "index.no_occ",
                "occ is switched off, so Nextcloud cannot be asked to look at anything",
                hint="set nextcloud.occ.via to docker or command",
            )
        unknown = [user for user in users if settings.users.decision(user) != "include"]
        if unknown:
            raise NeedsPerson("index.not_included", f"{', '.join(map(shown, unknown))} is not included")
        places, cut = await anyio.to_thread.run_sync(self._places, users or sorted(settings.users.include), album)
        await anyio.to_thread.run_sync(self._add, places)
        self._wake.set()
        await say(f"{count_in_words(len(places), 'folder')} to look at{', the newest of many' if cut else ''}")
        left = await self._follow(places, say)
        failed = [job for job in left if job.code]
        for job in failed:
            await say(f"{shown(job.user)}:/{shown(job.path)}: {job.message} [{job.code}]")
        return {
            "folders": len(places),
            "done": len(places) - len(left),
            "failed": len(failed),
            "waiting": len(left) - len(failed),
            "cut": cut,
        }

    def _places(self, users: Sequence[str], album: bool) -> tuple[list[tuple[str, str, str]], bool]:
        """Give what is to be looked at as (kind, user, path), and whether there is more than that. Blocking."""
        settings = self._current.settings
        found: dict[tuple[str, str, str], None] = {}
        nextcloud = settings.nextcloud.album
        if album and nextcloud.folder and nextcloud.seen_by:
            for folder in self._ledger.photos.latest_folders(LATEST):
                if folder:  # the album's root is never scanned: with its mount missing all of it would be forgotten
                    found["album", nextcloud.seen_by, folder] = None
        included = {
            user: settings.users.rules_for(user).folders for user in users if settings.users.decision(user) == "include"
        }
        rules = Rules(frozenset(), settings.users.archived, normal(included))
        for user, folders in rules.folders.items():
            for folder in outermost(folders):
                top = f"{user}/files/{folder}".rstrip("/")
                for listing in tree.walk(settings.nextcloud.data, top, skip=rules.passes_over, wanted=lambda _: False):
                    if len(found) > FOLDERS:
                        break
                    if listing.error is None:
                        found["user", user, listing.path[len(f"{user}/files") :].strip("/")] = None
        return list(found)[:FOLDERS], len(found) > FOLDERS

    def _add(self, places: Sequence[tuple[str, str, str]]) -> None:
        now = self._clock.wall()
        with self._ledger.write():
            for kind, user, path in places:
                self._ledger.jobs.add(kind, user, path, now)

    async def _follow(self, places: Sequence[tuple[str, str, str]], say: Say) -> list[Job]:
        """Wait until each job is done or has failed once; give those that are left."""
        wanted = set(places)
        told = len(places)
        until = self._clock.monotonic() + PATIENCE
        while True:
            pending = await anyio.to_thread.run_sync(self._ledger.jobs.pending)
            left = [job for job in pending if (job.kind, job.user, job.path) in wanted]
            if len(left) < told:
                told = len(left)
                await say(f"{len(places) - told} of {len(places)} done")
            if all(job.code for job in left) or self._clock.monotonic() > until:
                return left
            await self._clock.sleep(0.5)
