"""A watch by looking again and again, where the kernel tells nothing: network file systems, exhausted limits.

A directory gets a new modification time when a name in it comes or goes, so most are only looked at and not listed.
What does not show that way is a file written in place, so directories in which something happened lately are listed
each time, those whose time is too fresh to tell are listed once more, and now and then everything is. A root whose disk
takes its time is not waited for: what it says is told at a later pass.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import anyio

from daemon.clock import Clock
from daemon.text import shown
from daemon.watch import tree
from daemon.watch.model import Change, Suspicion
from daemon.watch.questions import SOON, Question

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.watch.inotify import Item, Out

HOT = 3
"""Passes for which a directory is listed after something changed in it."""

FULL = 10
"""Every so many passes every directory is listed."""

RACY = 2.0
"""A directory listed within so many seconds of its modification time may change again without a newer one: clocks of
file systems tick coarsely, and network file systems keep times for a while."""


@dataclass(slots=True)
class _Seen:
    """A directory as it was last listed; of a file only a number that changes with its fingerprint is kept."""

    mtime_ns: int
    inode: int
    settled: bool
    files: dict[str, int] = field(default_factory=dict)
    directories: tuple[str, ...] = ()
    hot: int = 0


class Poller:
    """Looks through ``roots`` below ``base`` every ``interval`` seconds; the same face as the inotify watcher."""

    def __init__(self, base: str, *, clock: Clock | None = None, interval: float = 10.0) -> None:
        self.base = os.path.realpath(base)
        self.failure: str | None = None
        self._clock = clock or Clock()
        self._interval = interval
        self._roots: tuple[str, ...] = ()
        self._seen: dict[str, dict[str, _Seen]] = {}
        """By root, and in it by directory."""
        self._asked: dict[str, Question[list[Change]]] = {}
        self._asked_for: tuple[str, ...] = ()
        self._known: set[str] = set()
        self._passes = 0
        self._wake = anyio.Event()

    @property
    def roots(self) -> tuple[str, ...]:
        """Give the roots last asked for."""
        return self._roots

    @property
    def standing(self) -> bool:
        """Tell whether all the roots last asked for have been looked through once, as far as their disks answer."""
        return self._asked_for == self._roots

    @property
    def directories(self) -> int:
        """Give the number of directories being looked at."""
        return sum(map(len, self._seen.values()))

    def set_roots(self, roots: Iterable[str]) -> None:
        """Look through these from now on; a listing of the new ones is asked for once they have been seen."""
        wanted = tuple(sorted(set(roots)))
        if wanted != self._roots:
            self._roots = wanted
            self._wake.set()

    async def prove(self) -> bool | None:
        """Tell whether it works: whoever looks again and again cannot be deaf."""
        return True if self._roots else None

    async def run(self, out: Out) -> None:
        """Look until cancelled."""
        while True:
            self._wake = anyio.Event()
            roots = self._roots
            items: list[Item] = self._left_out(roots)
            full = bool(roots) and self._passes % FULL == 0
            self._passes += bool(roots)
            fresh: list[str] = []
            for root in roots:
                if (changes := await self._ask(root, full=full)) is None:
                    continue
                items.extend(changes if root in self._known else [])
                if root not in self._known:
                    self._known.add(root)
                    fresh.append(root)
            self._asked_for = roots
            if fresh:
                items.append(Suspicion("these folders are now looked through", tuple(fresh), expected=True))
            if items:
                await out(items)
            with anyio.move_on_after(self._interval if roots else None):
                await self._wake.wait()

    def _left_out(self, roots: tuple[str, ...]) -> list[Item]:
        """Forget what lies in no root any more, but for one that is just being looked through, and tell of it."""
        gone = [root for root in self._seen if root not in roots and root not in self._asked]
        self._known.intersection_update(roots)
        left = [self._seen.pop(root) for root in gone]
        return [Change(f"{path}/{name}", None) for seen in left for path, one in seen.items() for name in one.files]

    async def _ask(self, root: str, *, full: bool) -> list[Change] | None:
        """Give what has changed in a root; ``None`` where its disk has not answered yet."""
        if (asked := self._asked.get(root)) is None:
            asked = self._asked[root] = Question(partial(self._pass, root, full=full))
        elif not asked.over:
            return None
        if not await asked.wait(SOON):
            return None
        del self._asked[root]
        return asked.answer()

    def _pass(self, root: str, *, full: bool) -> list[Change]:
        """Look once. Blocking."""
        changes: list[Change] = []
        reached: set[str] = set()
        seen = self._seen.setdefault(root, {})
        waiting = [root]
        while waiting:
            path = waiting.pop()
            if path in reached or path.count("/") - root.count("/") > tree.DEEPEST:
                continue
            reached.add(path)
            subdirectories = self._look(seen, path, changes, full=full)
            waiting.extend(f"{path}/{name}" if path else name for name in subdirectories)
        for path in [path for path in seen if path not in reached]:
            changes.extend(Change(f"{path}/{name}", None) for name in seen.pop(path).files)
        return changes

    def _look(self, known: dict[str, _Seen], path: str, changes: list[Change], *, full: bool) -> tuple[str, ...]:
        before = known.get(path)
        if before is not None and not full and before.settled and before.hot == 0:
            current = tree.stat_directory(self.base, path)
            if current is not None and (current.st_mtime_ns, current.st_ino) == (before.mtime_ns, before.inode):
                return before.directories
        found = tree.listing(self.base, path)
        if found.status is None:
            if found.error is not None and found.error.errno not in (errno.ENOENT, errno.ENOTDIR):
                self.failure = f"{shown(path)} cannot be read: {found.error.strerror}"
                return before.directories if before else ()
            if before is not None:
                changes.extend(Change(f"{path}/{name}", None) for name in before.files)
                del known[path]
            return ()
        now = _Seen(
            found.status.st_mtime_ns,
            found.status.st_ino,
            abs(self._clock.wall() - found.status.st_mtime) > RACY,
            directories=tuple(found.directories),
        )
        differs = False
        for name, fingerprint in found.files:
            now.files[name] = hash((fingerprint.inode, fingerprint.size, fingerprint.mtime_ns, fingerprint.ctime_ns))
            if before is None or before.files.get(name) != now.files[name]:
                changes.append(Change(f"{path}/{name}", fingerprint))
                differs = True
        vanished = before.files.keys() - now.files.keys() if before else ()
        changes.extend(Change(f"{path}/{name}", None) for name in vanished)
        now.hot = HOT if differs and before is not None else max(0, (before.hot if before else 0) - 1)
        known[path] = now
        return now.directories
