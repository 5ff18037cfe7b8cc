"""A watch over directories by inotify that loses nothing in silence.

Every sign that something may have been missed comes out as a ``Suspicion``, and whoever gets one lists the folders: an
overflowing queue, a refused watch, a root that is another directory now. A watch over other roots stands before the old
one is ended, and the old one is read to its end.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio import CapacityLimiter, to_thread

from daemon.clock import Clock
from daemon.text import count_in_words, shown
from daemon.watch import digest as digests
from daemon.watch.engine import Batch, Engine
from daemon.watch.library import Flat
from daemon.watch.model import Change, Suspicion, below
from daemon.watch.questions import Questions
from daemon.watch.tree import identity
from daemon.watch.watchdog import Pauses

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from daemon.watch.early import Early

log = logging.getLogger(__name__)

Item = Change | Suspicion
Out = Callable[[list[Item]], Awaitable[None]]

_OF_ONE = frozenset({
    errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ENXIO, errno.EUCLEAN,
})  # fmt: skip
"""What a single folder answers that may not be read, or whose own disk has failed: all others are watched."""
_CANARIES = 64
"""As many roots are proved at a time; each costs one event."""
_GATHERED = 0.02
"""Seconds of silence for which a watch waits at least before it tells what it heard."""


@dataclass(eq=False, slots=True)
class _Standing:
    """One watch that stands: the engine, the roots it was made for and their identities."""

    engine: Engine | Flat | None
    roots: tuple[str, ...]
    identities: dict[str, tuple[int, int] | None]
    refused: dict[str, str]
    replaced: anyio.Event = field(default_factory=anyio.Event)
    finished: anyio.Event = field(default_factory=anyio.Event)


class _Box:
    """What was read and nobody has taken yet."""

    def __init__(self) -> None:
        self._batch: Batch | None = None
        self._closed = False
        self._some = anyio.Event()

    def put(self, batch: Batch) -> str:
        """Put in what was read, to the rest; give why something may be missing, if so."""
        if self._batch is None:
            self._batch = Batch()
        self._batch.add(batch)
        self._some.set()
        return self._batch.trouble

    def close(self) -> None:
        """Have `get` end when all was taken."""
        self._closed = True
        self._some.set()

    async def get(self) -> Batch | None:
        """Wait for something and take it all; ``None`` after the end."""
        await self._some.wait()
        batch, self._batch = self._batch, None
        if not self._closed:
            self._some = anyio.Event()
        return batch


Seen = tuple[_Standing, dict[str, tuple[int, int] | None]]
"""A watch, and which directories its roots were when it was looked at."""


class Watcher:
    """Watches ``roots`` below ``base`` and hands out what changed, in batches, and every reason for doubt.

    ``recursive=False`` watches the directories themselves only, for folders that appear later; then directories that
    come are reported too. A root that holds a directory we may not read is left out and stands in ``refused`` with
    the reason. ``step``: what comes is looked at after twice that many seconds, and as soon as nothing more has come
    for a tenth of it. ``lost`` is called when a root has gone; whoever watches the whole calls `look` then, and from
    time to time. ``early``: a watch that may stand already, taken over if it is over the roots first asked for.
    """

    def __init__(
        self,
        base: str,
        *,
        clock: Clock | None = None,
        recursive: bool = True,
        step: float = 0.5,
        lost: Callable[[], None] = lambda: None,
        limiter: CapacityLimiter | None = None,
        early: Early | None = None,
    ) -> None:
        self.base = os.path.realpath(base)
        self.failure: str | None = None
        """Why no watch stands at the moment, for people; ``None`` while one does or none is wanted."""
        self.suspicions = 0
        self._clock = clock or Clock()
        self._recursive = recursive
        self._step = step
        self._lost = lost
        self._limiter = limiter
        self._early = early
        self._questions = Questions()
        self._roots: tuple[str, ...] = ()
        self._standing: _Standing | None = None
        self._wake = anyio.Event()
        self._dirty: str | None = None
        self._pauses = Pauses()
        self._proving = anyio.Lock()
        self._canaries: set[str] = set()
        self._sung: anyio.Event = anyio.Event()
        self._alive: set[_Standing] = set()
        self._out: Out | None = None

    @property
    def refused(self) -> dict[str, str]:
        """Give the roots that exist and cannot be watched, each with why."""
        return dict(self._standing.refused) if self._standing else {}

    @property
    def standing(self) -> bool:
        """Tell whether a watch stands over all the roots last asked for."""
        return self._standing is not None and self._standing.roots == self._roots and self._dirty is None

    @property
    def directories(self) -> int:
        """Give how many directories the kernel watches for it."""
        engine = self._standing.engine if self._standing else None
        return engine.directories if engine is not None else 0

    @property
    def roots(self) -> tuple[str, ...]:
        """Give the roots last asked for."""
        return self._roots

    def set_roots(self, roots: Iterable[str]) -> None:
        """Watch these instead: the new watch stands before the old one ends, then a listing of the new is wanted."""
        wanted = tuple(sorted(set(roots)))
        if wanted != self._roots:
            self._roots = wanted
            self._wake.set()

    def renew(self, reason: str) -> None:
        """Set the watch up anew, because of ``reason``."""
        self._dirty = reason
        self._wake.set()

    async def run(self, out: Out) -> None:
        """Watch until cancelled. ``out`` is awaited: while it is busy, events gather in the library."""
        self._out = out
        # Watching threads sleep nearly always and would otherwise use up the places of those that work.
        threads = CapacityLimiter(8)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._stop_at_end)
                while True:
                    await self._supervise(group, threads)
        finally:
            self._standing = self._out = None

    async def _supervise(self, group: TaskGroup, threads: CapacityLimiter) -> None:
        """Bring what stands in line with what is wanted, then wait until that changes."""
        self._wake = anyio.Event()
        reason, self._dirty = self._dirty, None
        old = self._standing
        if reason is not None or (old.roots if old else ()) != self._roots:
            roots = self._roots
            for one in [one for one in self._alive if one is not old]:
                # Never three at once: the kernel counts a directory for each watch over it.
                await one.finished.wait()
            new, failure = await self._set_up(roots)
            before, self.failure = self.failure, failure
            if failure is not None:
                self._dirty = reason or failure
                if failure != before:
                    await self._tell([Suspicion(failure)])
                pause = max(1.0, self._pauses.after_failure(self._clock.monotonic()))
                with anyio.move_on_after(pause):
                    await self._wake.wait()
                return
            self._standing = new
            if new is not None:
                self._alive.add(new)
                group.start_soon(self._read, new, threads)
            if old is not None:
                old.replaced.set()
                if old.engine is not None:
                    old.engine.ring()
            items: list[Item] = []
            fresh = tuple(root for root in roots if old is None or root not in old.roots)
            if fresh:
                items.append(Suspicion("these folders are now watched", fresh, expected=True))
            if reason is not None:
                items.append(Suspicion(reason))
            await self._tell(items)
        await self._wake.wait()
        if self._dirty is not None:
            await self._clock.sleep(self._pauses.after_failure(self._clock.monotonic()))

    async def _set_up(self, roots: tuple[str, ...]) -> tuple[_Standing | None, str | None]:
        if not roots:
            return None, None
        try:
            return await to_thread.run_sync(self._make, roots, limiter=self._limiter), None
        except OSError as error:
            return None, f"the watch could not be set up: {shown(error.strerror or str(error))}"

    def _make(self, roots: tuple[str, ...]) -> _Standing:
        early, self._early = self._early, None
        if early is not None and (made := early.take(self.base, roots)) is not None:
            return _Standing(made.engine, roots, made.identities, {})
        identities = {root: identity(self.base, root) for root in roots}
        refused: dict[str, str] = {}
        while True:
            present = [root for root in roots if identities[root] is not None and root not in refused]
            if not present:
                return _Standing(None, roots, identities, refused)
            try:
                engine = (
                    Engine(self.base, present) if self._recursive else Flat(self.base, present, rest=4 * self._step)
                )
                if self._recursive:
                    log.info("watching %s", count_in_words(engine.directories, "folder"))
            except OSError as error:
                known = error.errno in _OF_ONE and error.filename is not None
                culprit = below(os.fsdecode(error.filename), present) if known else None
                if culprit is None:
                    raise
                refused[culprit] = shown(f"{error.filename}: {error.strerror}")
                continue
            return _Standing(engine, roots, identities, refused)

    async def _read(self, standing: _Standing, threads: CapacityLimiter) -> None:
        why: str | None = None
        try:
            why = await self._read_on(standing, threads)
        finally:
            if standing.engine is not None:
                with anyio.CancelScope(shield=True):
                    await to_thread.run_sync(standing.engine.close, limiter=threads)
            standing.finished.set()
            self._alive.discard(standing)
        if why is not None and not standing.replaced.is_set():
            self.renew(why)

    async def _read_on(self, standing: _Standing, threads: CapacityLimiter) -> str | None:
        engine = standing.engine
        if engine is None:
            await standing.replaced.wait()
            return None
        box, why = _Box(), None
        async with anyio.create_task_group() as group:
            group.start_soon(self._take_from, standing, box)
            try:
                why = await self._read_into(box, standing, engine, threads)
            except (OSError, ValueError) as error:
                why = f"the watch broke: {shown(str(error))}"
            finally:
                box.close()
        return why

    async def _read_into(
        self, box: _Box, standing: _Standing, engine: Engine | Flat, threads: CapacityLimiter
    ) -> str | None:
        """Read on whatever is done with it meanwhile: the kernel's queue is short."""
        while True:
            # A replaced watch is not stopped, as that would drop what waits in its queue: it is read to its end.
            last = standing.replaced.is_set()
            # What is gathered is told together: a burst of single ones costs many times more.
            gather, longest = max(self._step / 10, _GATHERED), max(2 * self._step, 10 * _GATHERED)
            read = partial(engine.read, gather, wait=not last, longest=longest)
            batch = await to_thread.run_sync(read, limiter=threads)
            trouble = box.put(batch)
            if trouble or last:
                return trouble or None

    async def _take_from(self, standing: _Standing, box: _Box) -> None:
        while (batch := await box.get()) is not None:
            try:
                await self._took(standing, batch)
            except (OSError, ValueError) as error:
                self.renew(f"the watch broke: {shown(str(error))}")

    async def _took(self, standing: _Standing, batch: Batch) -> None:
        if self._canaries and not self._canaries.isdisjoint(batch.changed):
            self._canaries -= batch.changed
            if not self._canaries:
                self._sung.set()
        if batch.lost:
            # Whatever stands there next is not watched, even if it has the same inode number.
            standing.identities.update(dict.fromkeys(batch.lost))
            self._lost()
        batch.changed.discard("")
        if not batch.changed and not batch.full:
            return
        digest = await digests.digest_each(
            self._questions,
            self.base,
            standing.roots,
            batch.changed,
            added=batch.added,
            list_added=self._recursive,
        )
        items: list[Item] = list(digest.changes.values())
        if not self._recursive:
            items.extend(Change(path, None, directory=True) for path in sorted(digest.directories & batch.added))
        if much := (*digest.large, *batch.full):
            items.append(Suspicion("these folders hold too much to be listed at once", much, expected=True))
        if self._recursive and digest.unreadable:
            path, error = digest.unreadable[0]
            self.renew(f"{shown(path)} cannot be read: {error.strerror}")
        await self._tell(items)

    def look(self, passes_over: Callable[[str], bool] = lambda _: False) -> Seen | None:
        """See which directories the roots are now, for `compare`; some are passed over. Blocking."""
        standing = self._standing
        if standing is None:
            return None
        return standing, {root: identity(self.base, root) for root in standing.roots if not passes_over(root)}

    def compare(self, seen: Seen | None) -> None:
        """Have the watch set up anew where `look` has seen that a root is not the directory that is watched."""
        if seen is None or seen[0] is not self._standing:
            return
        changed = [root for root, one in seen[1].items() if seen[0].identities[root] != one]
        if changed:
            self.renew(f"{shown(changed[0] or self.base)} is not the directory it was, or its watch was lost")

    async def _stop_at_end(self) -> None:
        """End the waiting threads when the watcher is cancelled."""
        try:
            await anyio.sleep_forever()
        finally:
            for standing in self._alive:
                if standing.engine is not None:
                    standing.engine.ring()

    async def _tell(self, items: list[Item]) -> None:
        self.suspicions += sum(isinstance(item, Suspicion) and not item.expected for item in items)
        if items and self._out is not None:
            await self._out(items)

    async def prove(self, within: float | None = None) -> bool | None:
        """Tell whether the watch hears anything: a harmless event is made, which it must report.

        ``None`` where that could not be tried: no watch stands, or the directories may not be opened. ``within``:
        seconds to wait for it; by default a few steps and three seconds.
        """
        async with self._proving:
            return await self._prove(4 * self._step + 3 if within is None else within)

    async def _prove(self, within: float) -> bool | None:
        standing = self._standing
        if standing is None or standing.engine is None or not self.standing:
            return None
        roots = [r for r in standing.roots if standing.identities[r] is not None and r not in standing.refused]
        roots = roots[:_CANARIES]
        self._canaries, self._sung = set(roots), anyio.Event()
        sang = await to_thread.run_sync(_sing, standing.engine, roots, limiter=self._limiter)
        self._canaries &= sang
        if not sang:
            return None
        if self._canaries:
            with anyio.move_on_after(within):
                await self._sung.wait()
        deaf, self._canaries = bool(self._canaries), set()
        return not deaf


def _sing(engine: Engine | Flat, roots: list[str]) -> set[str]:
    return {root for root in roots if engine.sing(root)}
