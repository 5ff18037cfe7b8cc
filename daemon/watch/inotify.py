"""A watch over directories by inotify that loses nothing in silence.

Kernel and library keep quiet about much: an overflowing queue, a refused watch, a deleted root, what is created in a
new directory before its watch stands. Every sign of such a thing comes out as a ``Suspicion``, and whoever gets one
lists the folders. The library's own engine (``RustNotify``) is used rather than ``awatch``: setting up a watch walks
every directory (1.5 s for 100,000), which ``awatch`` does on the event loop, and only here it is known when the new
watch stands, so that the old one can be ended after it.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio import CapacityLimiter, to_thread
from watchfiles import Change as Kind
from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

from daemon.clock import Clock
from daemon.text import shown
from daemon.watch import canary
from daemon.watch import digest as digests
from daemon.watch.model import Change, Suspicion
from daemon.watch.tree import identity
from daemon.watch.watchdog import Pauses, Watchdog

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

Item = Change | Suspicion
Out = Callable[[list[Item]], Awaitable[None]]

_IDLE_STEP = 1.0
"""Seconds for which events are gathered while none come, where half of that was asked for: each step is a wake-up."""

_IDLE_WAIT = 6.0
"""Seconds after which a thread that hears nothing comes back to look whether it is still wanted."""

_CANARIES = 64
"""As many roots are proved at a time; each costs one event."""


@dataclass(eq=False, slots=True)
class _Standing:
    """One watch that stands: the engine, the roots it was made for and their identities."""

    engine: RustNotify | None
    roots: tuple[str, ...]
    identities: dict[str, tuple[int, int] | None]
    refused: dict[str, str]
    stop: threading.Event = field(default_factory=threading.Event)
    replaced: anyio.Event = field(default_factory=anyio.Event)
    finished: anyio.Event = field(default_factory=anyio.Event)


class Watcher:
    """Watches ``roots`` below ``base`` and hands out what changed, in batches, and every reason for doubt.

    ``recursive=False`` watches the directories themselves only, for folders that appear later; then directories that
    come are reported too. A root that holds a directory we may not read is left out and stands in ``refused`` with
    the reason: the library either fails or leaves others unwatched in silence. ``step``: seconds for which
    events are gathered. ``relist``: seconds after which a new directory is listed a second time, when its own watch
    surely stands. A batch of ``huge`` paths or more means that the kernel's queue may have overflowed.
    """

    def __init__(
        self,
        base: str,
        *,
        clock: Clock | None = None,
        recursive: bool = True,
        step: float = 0.5,
        relist: float = 1.0,
        look: float = 5.0,
        huge: int = 8192,
        limiter: CapacityLimiter | None = None,
    ) -> None:
        self.base = os.path.realpath(base)
        self.failure: str | None = None
        """Why no watch stands at the moment, for people; ``None`` while one does or none is wanted."""
        self.suspicions = 0
        self._clock = clock or Clock()
        self._recursive = recursive
        self._step = step
        self._relist = relist
        self._look = look
        self._huge = huge
        self._limiter = limiter
        self._roots: tuple[str, ...] = ()
        self._standing: _Standing | None = None
        self._wake = anyio.Event()
        self._dirty: str | None = None
        self._pauses = Pauses()
        self._again: list[tuple[float, list[str]]] = []
        self._proving = anyio.Lock()
        self._canaries: set[str] = set()
        self._sung: anyio.Event = anyio.Event()
        self._alive: set[_Standing] = set()
        self._wake_guard = anyio.Event()
        self._relisting = anyio.Event()
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
                group.start_soon(self._guard)
                group.start_soon(self._stop_at_end)
                group.start_soon(self._list_again)
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
        except (OSError, UnicodeEncodeError, RuntimeError) as error:
            return None, f"the watch could not be set up: {shown(str(error))}"

    def _make(self, roots: tuple[str, ...]) -> _Standing:
        identities = {root: identity(self.base, root) for root in roots}
        refused: dict[str, str] = {}
        for root in roots:
            try:
                root.encode()
            except UnicodeEncodeError:
                refused[root] = "its name is not UTF-8"
        while True:
            present = [root for root in roots if identities[root] is not None and root not in refused]
            paths = [f"{self.base}/{root}" if root else self.base for root in present]
            if not paths:
                return _Standing(None, roots, identities, refused)
            try:
                engine = RustNotify(paths, False, False, 300, self._recursive, False)
            except PermissionError as error:
                culprits = [
                    root
                    for root, path in zip(present, paths, strict=True)
                    if f'"{path}"' in str(error) or f'"{path}/' in str(error)
                ]
                if not culprits:
                    raise
                refused[max(culprits, key=len)] = shown(str(error))
                continue
            return _Standing(engine, roots, identities, refused)

    async def _read(self, standing: _Standing, threads: CapacityLimiter) -> None:
        why: str | None = None
        try:
            why = await self._read_on(standing, threads)
        except (WatchfilesRustInternalError, OSError, RuntimeError) as error:
            why = f"the watch broke: {shown(str(error))}"
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
        idle = False
        while True:
            # A replaced watch is not stopped, as that would drop what it has gathered: it is read to its end.
            last = standing.replaced.is_set()
            # The library sleeps for one step at a time, whether anything happens or not.
            seconds = max(self._step, _IDLE_STEP) if idle and self._step >= _IDLE_STEP / 2 else self._step
            step = max(1, round(seconds * 1000))
            wait = step if last else max(round(_IDLE_WAIT * 1000), 2 * step)
            raw = await to_thread.run_sync(engine.watch, 2 * step, step, wait, standing.stop, limiter=threads)
            idle = isinstance(raw, str)
            if isinstance(raw, str):
                if raw != "timeout":
                    return None if standing.stop.is_set() else f"the watch ended: {raw}"
            else:
                await self._took(standing, raw)
            if last:
                return None

    async def _took(self, standing: _Standing, raw: set[tuple[int, str]]) -> None:
        prefix = self.base.rstrip("/") + "/"
        paths: set[str] = set()
        added: set[str] = set()
        for kind, full in raw:
            path = full[len(prefix) :] if full.startswith(prefix) else ""
            if kind == Kind.modified and path in self._canaries:
                self._canaries.discard(path)
                if not self._canaries:
                    self._sung.set()
            if kind == Kind.deleted and path in standing.roots:
                self._wake_guard.set()
            if path:
                paths.add(path)
                if kind == Kind.added:
                    added.add(path)
        items: list[Item] = []
        if len(raw) >= self._huge:
            items.append(Suspicion(f"{len(raw)} changes at once: the kernel's queue may have overflowed"))
        if paths:
            digest = await to_thread.run_sync(
                partial(digests.digest, self.base, standing.roots, paths, added=added, list_added=self._recursive),
                limiter=self._limiter,
            )
            items.extend(digest.changes.values())
            if self._recursive:
                self._note(digest)
            else:
                items.extend(Change(path, None, directory=True) for path in sorted(digest.directories & added))
        await self._tell(items)

    def _note(self, digest: digests.Digest) -> None:
        if digest.listed:
            self._again.append((self._clock.monotonic() + self._relist, digest.listed))
            self._relisting.set()
        if digest.unreadable:
            path, error = digest.unreadable[0]
            self.renew(f"{shown(path)} cannot be read: {error.strerror}")

    async def _list_again(self) -> None:
        """List new directories once more: the first time their own watch may not have stood yet."""
        while True:
            if not self._again:
                self._relisting = anyio.Event()
                await self._relisting.wait()
            due, directories = self._again.pop(0)
            await self._clock.sleep(max(0.0, due - self._clock.monotonic()))
            digest = await to_thread.run_sync(
                digests.list_again, self.base, self._roots, directories, limiter=self._limiter
            )
            await self._tell(list(digest.changes.values()))

    async def _guard(self) -> None:
        """Look for stalls, jumps of the clock and roots that are not the ones being watched any more."""
        # One look at the clocks is enough for all watchers; the one of folders has it.
        period = min(1.0, self._look) if self._recursive else self._look
        watchdog = Watchdog(period)
        looked = self._clock.monotonic()
        while True:
            with anyio.move_on_after(period):
                await self._wake_guard.wait()
            if self._wake_guard.is_set():
                self._wake_guard = anyio.Event()
                looked = -math.inf
            now = self._clock.monotonic()
            reason = watchdog.tick(now, self._clock.wall())
            if reason is not None:
                await self._tell([Suspicion(reason)])
            standing = self._standing
            if standing is not None and now - looked >= self._look:
                looked = now
                current = await to_thread.run_sync(self._identities, standing.roots, limiter=self._limiter)
                changed = [root for root, one in current.items() if standing.identities[root] != one]
                if changed and standing is self._standing:
                    self.renew(f"{shown(changed[0] or self.base)} is not the directory it was")

    def _identities(self, roots: tuple[str, ...]) -> dict[str, tuple[int, int] | None]:
        return {root: identity(self.base, root) for root in roots}

    async def _stop_at_end(self) -> None:
        """End the library's waiting threads when the watcher is cancelled; they look at this once a step."""
        try:
            await anyio.sleep_forever()
        finally:
            for standing in self._alive:
                standing.stop.set()

    async def _tell(self, items: list[Item]) -> None:
        self.suspicions += sum(isinstance(item, Suspicion) and not item.expected for item in items)
        if items and self._out is not None:
            await self._out(items)

    async def prove(self, within: float | None = None) -> bool | None:
        """Tell whether the watch hears anything: a harmless event is made, which it must report.

        ``None`` where that could not be tried: no watch stands, or the directories are not ours to touch. ``within``:
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
        touched = await to_thread.run_sync(self._sing, roots, limiter=self._limiter)
        self._canaries &= touched
        if not touched:
            return None
        if self._canaries:
            with anyio.move_on_after(within):
                await self._sung.wait()
        deaf, self._canaries = bool(self._canaries), set()
        return not deaf

    def _sing(self, roots: list[str]) -> set[str]:
        touched = set()
        for root in roots:
            try:
                canary.sing(self.base, root)
            except OSError:
                continue
            touched.add(root)
        return touched
