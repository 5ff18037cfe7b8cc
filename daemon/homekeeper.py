"""Who has a home: new ones are listed (the baseline) before anything is taken; gone ones are remembered."""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from daemon.errors import NeedsPerson, Refused, RelayError
from daemon.files.names import name_of_hidden
from daemon.files.opening import directory_below
from daemon.files.releasing import put_back
from daemon.fingerprint import Fingerprint
from daemon.text import count_in_words, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.events import Bus
    from daemon.issues import Issues
    from daemon.ledger.ledger import Ledger

log = logging.getLogger(__name__)

_CHUNK = 1000
_CODES = frozenset({"user.new", "user.gone"})
_SOON = 2.0
"""Seconds for which one home's disk is waited for while others wait, too."""


class Homekeeper:
    """Keeps the ledger's list of homes true, and says whose folders are to be watched."""

    def __init__(self, ledger: Ledger, current: Current, issues: Issues, bus: Bus, clock: Clock) -> None:
        self._ledger = ledger
        self._current = current
        self._issues = issues
        self._bus = bus
        self._clock = clock
        self._one_at_a_time = anyio.Lock()
        self._listed: frozenset[str] = frozenset()
        self._gone: frozenset[str] = frozenset()
        self.only: frozenset[str] | None = None
        """For a sweep of some users: the others are not watched."""

    def included(self) -> dict[str, tuple[str, ...]]:
        """Give the folders to watch by user: those who are included and whose home has been listed."""
        return self._current.settings.users.included(self._listed if self.only is None else self._listed & self.only)

    async def seen(self, homes: frozenset[str]) -> bool:
        """Take note of who has a home now; tell whether that changes who is watched."""
        async with self._one_at_a_time:
            before = self.included()
            come, gone = await anyio.to_thread.run_sync(self._note, homes)
            for user in come:
                decision = self._current.settings.users.decision(user)
                self._bus.tell("user.new", user=user, decision=decision)
            for user in gone:
                self._bus.tell("user.gone", user=user, decision=self._current.settings.users.decision(user))
            await self._ask()
            return self.included() != before

    def _note(self, homes: frozenset[str]) -> tuple[list[str], list[str]]:
        """Write down who has a home; give those who are new (or back) and those who are gone."""
        now = self._clock.wall()
        known = self._ledger.homes.all()
        come: list[str] = []
        gone: list[str] = []
        for user in sorted(homes):
            home = known.get(user)
            if home is None:
                log.info("%s has a home: first seen", shown(user))
            elif home.gone_since is not None:
                log.info("%s has a home again", shown(user))
            if home is None or home.gone_since is not None:
                self._ledger.homes.seen(user, now)
                come.append(user)
            anchor = self._anchor(user)
            if home is None or home.baseline_at is None:
                self._list(user)
            elif anchor and home.anchor and anchor != home.anchor:
                self._come_over(user)
            if anchor and (home is None or anchor != home.anchor):
                self._ledger.homes.anchored(user, anchor)
        for user, home in known.items():
            if user not in homes and home.gone_since is None:
                log.info("%s has no home any more; the ledger keeps what it knows", shown(user))
                self._ledger.homes.gone(user, now)
                gone.append(user)
        self._listed = homes
        self._gone = frozenset(known) - homes
        return come, gone

    def _anchor(self, user: str) -> str:
        """Give which directories a home's are, by their inode numbers, or an empty string where it cannot be seen.

        A disk that does not answer is not waited for: all homes are asked about in turn.
        """
        found: list[str] = []
        asks = threading.Thread(target=lambda: found.append(self._anchored(user)), name="home", daemon=True)
        asks.start()
        asks.join(_SOON)
        return found[0] if found else ""

    def _anchored(self, user: str) -> str:
        data = self._current.settings.nextcloud.data
        with suppress(Refused, RelayError, OSError), directory_below(data, f"{user}/files") as fd:
            return f"{os.stat(data).st_ino}:{os.fstat(fd).st_ino}"
        return ""

    def _come_over(self, user: str) -> None:
        """Know the files of a home again that was copied here from another disk or a backup: their inodes are new.

        Without this all that stood there before would count as new, and be relayed. Cut short, it is done anew.
        """
        known = count = 0
        for chunk in _chunks(_walk(f"{self._current.settings.nextcloud.data}/{user}/files")):
            known += self._ledger.homes.came_over(user, chunk)
            count += len(chunk)
        log.warning(
            "%s has a home on other directories than before (another disk, or a backup put back): %s, %d known again",
            shown(user),
            count_in_words(count, "file"),
            known,
        )

    def _list(self, user: str) -> None:
        """Write down what stands in a home that is seen for the first time; cut short, it is done anew."""
        self._ledger.homes.list_begin(user)
        count = 0
        root = f"{self._current.settings.nextcloud.data}/{user}/files"
        for chunk in _chunks(_walk(root)):
            self._ledger.homes.list_add(user, [self._seen_as(user, root, path, mark) for path, mark in chunk])
            count += len(chunk)
        self._ledger.homes.list_end(user, self._clock.wall())
        log.info("%s: %s stood there already", shown(user), count_in_words(count, "file"))

    def _seen_as(self, user: str, root: str, path: str, mark: Fingerprint) -> tuple[str, int, int]:
        """Give a file's entry in the listing. What a relay has hidden whose ledger is lost gets its name back first."""
        folder, _, name = path.rpartition("/")
        if (former := name_of_hidden(name)) is not None:
            try:
                with directory_below(root, folder) as fd:
                    # Power cut here: hidden or back under its name, whole; a listing cut short is made anew.
                    back = put_back(fd, name, former)
            except RelayError as error:
                log.error("%s of %s is hidden and could not be put back: %s", shown(name), user, error)
            else:
                log.warning("%s of %s was hidden by a relay that has lost its ledger; it is back", shown(back), user)
                path = f"{folder}/{back}" if folder else back
        return path, mark.inode, mark.size

    async def _ask(self) -> None:
        """Ask about who came, and tell of who is relayed and has gone; what is decided, or is back, is over."""
        users = self._current.settings.users
        troubles: dict[str, NeedsPerson] = {}
        for user in sorted(self._listed):
            if users.decision(user) == "ask":
                troubles[user] = NeedsPerson(
                    "user.new",
                    f"{shown(user)} has a home and waits for your decision; nothing of theirs is touched",
                    hint=f"add {user!r} to users.include or users.exclude",
                )
        for user in sorted(self._gone):
            if users.decision(user) == "include":
                troubles[user] = NeedsPerson(
                    "user.gone",
                    f"{shown(user)} has no home in Nextcloud any more; what was relayed stays in the archive, and the"
                    " ledger keeps it",
                    hint=f"if the user was removed on purpose, take {user!r} out of users.include (or exclude them); a"
                    " home that comes back is relayed as before",
                )
        for user, trouble in troubles.items():
            self._issues.report(f"user {shown(user)}", trouble, subject=user)
        decided = [
            issue
            for issue in self._issues.all()
            if issue.code in _CODES and (issue.subject not in troubles or troubles[issue.subject].code != issue.code)
        ]
        for issue in decided:
            self._issues.clear(issue.about)
        asked = [issue.subject for issue in decided if issue.code == "user.new"]
        if asked:
            await anyio.to_thread.run_sync(self._answered, asked)

    def _answered(self, users: list[str]) -> None:
        """Take away the buttons of a question that was answered elsewhere: an old message decides nothing."""
        for user in users:
            self._ledger.deeds.settle(user, ("include", "exclude"), self._clock.wall())

    async def settings_changed(self) -> None:
        """Ask anew who is to be asked about."""
        async with self._one_at_a_time:
            await self._ask()


def _walk(root: str) -> Iterator[tuple[str, Fingerprint]]:
    """Give every regular file below a folder with its fingerprint, following no link."""
    folders = [""]
    while folders:
        folder = folders.pop()
        with suppress(Refused, OSError), directory_below(root, folder) as fd, os.scandir(fd) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                with suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(path)
                    elif entry.is_file(follow_symlinks=False):
                        yield path, Fingerprint.of(entry.stat(follow_symlinks=False))


def _chunks(files: Iterator[tuple[str, Fingerprint]]) -> Iterator[list[tuple[str, Fingerprint]]]:
    while chunk := list(islice(files, _CHUNK)):
        yield chunk
