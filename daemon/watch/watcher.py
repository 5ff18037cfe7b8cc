"""The watch as a whole: who is watched, how, what it finds, and what it must have missed.

Kernel events are the engine, sweeps the safety net: one at the start, one at every suspicion, and whenever somebody
asks. Where events cannot come (network file systems, limits, a watch proved deaf) it looks again and again instead.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio import CapacityLimiter, to_thread

from daemon.clock import Clock
from daemon.errors import RelayError
from daemon.files.faults import disk_fault
from daemon.nextcloud import homes
from daemon.text import shown
from daemon.watch import limits, tree, users
from daemon.watch.doubts import Doubts
from daemon.watch.heard import Heard
from daemon.watch.lookouts import Lookouts
from daemon.watch.model import Change, Suspicion, WatchOptions, below
from daemon.watch.questions import SOON, Questions
from daemon.watch.ripen import Ripener
from daemon.watch.rules import Rules
from daemon.watch.sweeping import Sweeping
from daemon.watch.taking_in import TakingIn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from daemon.watch import sweep as sweeps
    from daemon.watch.early import Early
    from daemon.watch.inotify import Item
    from daemon.watch.model import Sink
    from daemon.watch.remembered import Target
    from daemon.watch.sweeping import Also
    from daemon.watch.users import Folders, Plan


_MOST_NAMED = 100
"""Folders that cannot be read and are named."""


@dataclass(frozen=True, slots=True)
class WatchStatus:
    """How the watch is doing. Times are wall times in seconds; ``mode`` is inotify, poll, mixed or off.

    ``why`` says why folders are looked through by polling, ``problem`` why nothing can be watched at all. ``missed``
    counts what sweeps found that the live watch should have reported.
    """

    mode: str
    why: str
    problem: str
    verified_at: float | None
    swept_at: float | None
    directories: int
    pending: int
    missed: int
    suspicions: int
    unreadable: tuple[str, ...]
    shortage: limits.Shortage | None


class Watch:
    """Runs all of the watching for one data directory and tells ``sink`` of it.

    ``included`` gives the users to watch and their folders (relative to ``files/``) at the start; later
    ``set_folders`` does. ``announces_partner(fd, name)`` reads whether a lone photo in an open folder names a partner;
    it runs in a thread. ``homes_seen`` is called with everybody who has a home, at first and when that changes,
    ``data_seen`` with what keeps the data directory from being looked at, and with ``None`` when it is there again.
    ``early``: a watch that may stand already.
    """

    def __init__(
        self,
        options: WatchOptions,
        root: str,
        sink: Sink,
        included: Callable[[], Folders],
        *,
        clock: Clock | None = None,
        announces_partner: Callable[[int, str], bool] = lambda _folder, _name: False,
        homes_seen: Callable[[frozenset[str]], Awaitable[None]] | None = None,
        data_seen: Callable[[RelayError | None], None] = lambda _: None,
        limiter: CapacityLimiter | None = None,
        early: Early | None = None,
    ) -> None:
        self._options = options
        self._root = os.path.realpath(root)
        self._sink = sink
        self._included = included
        self._clock = clock or Clock()
        self._announces = announces_partner
        self._homes_seen = homes_seen
        self._data_seen = data_seen
        self._limiter = limiter or CapacityLimiter(4)
        self._questions = Questions()
        self._rules = self._rules_for({})
        self._ripener = self._new_ripener(options)
        self._heard = Heard(options.grace)
        self._taking_in = TakingIn(
            self._root,
            self._ripener,
            sink,
            self._heard,
            doubt=self._take_note,
            there=self._there,
            questions=self._questions,
        )
        self._lookouts = Lookouts(
            self._root,
            options,
            lambda: self._rules.folders,
            self._receive,
            doubt=self._take_note,
            suspect=self.suspect,
            planned=self._planned,
            cannot=self._cannot_look,
            clock=self._clock,
            limiter=self._limiter,
            early=early,
        )
        self._sweeping = Sweeping(self._root, self._ripener, self._taking_in.offer, self._heard, clock=self._clock)
        self._doubts = Doubts(
            lambda: {user: users.outermost(folders) for user, folders in self._rules.folders.items()},
            self._whose,
            tell=self._tell,
            sweep=self._sweep_some,
            all_swept=self._all_swept,
        )
        self._asking = anyio.Lock()
        self._homes: frozenset[str] | None = None
        self._swept_at: float | None = None
        self._directories = 0
        self._suspicions = 0
        self._unreadable: dict[str, str] = {}
        self._shortage: limits.Shortage | None = None

    def _rules_for(self, folders: Folders) -> Rules:
        return Rules(self._options.extensions, self._options.archived, users.normal(folders))

    def _new_ripener(self, options: WatchOptions) -> Ripener:
        return Ripener(
            self._root,
            options,
            self._rules,
            self._sink,
            clock=self._clock,
            announces=self._announces,
            there=self._there,
        )

    async def run(self) -> None:
        """Watch until cancelled. A second call after an end or an error goes on with what was pending."""
        self._sweeping.memory.forget()
        self.set_folders(self._included())
        async with anyio.create_task_group() as group:
            group.start_soon(self._lookouts.run)
            group.start_soon(self._ripener.run)
            group.start_soon(self._doubts.run)

    # What is asked of it from outside

    def set_folders(self, folders: Folders) -> None:
        """Watch these users and folders from now on; what is new is watched first, then swept."""
        before, self._rules = self._rules, self._rules_for(folders)
        if self._rules.folders != before.folders:
            # A folder that is watched or not decides whether one of another name beside it is entered.
            self._sweeping.memory.forget()
        self._ripener.configure(self._options, self._rules)
        self._lookouts.replan()

    def set_options(self, options: WatchOptions) -> None:
        """Put new times, extensions or another mode in force.

        Other files may count from now on, whatever was changed: the next sweep trusts nothing that was seen before,
        and where other names count it comes at once.
        """
        self._sweeping.memory.forget()
        wider = (options.extensions, options.archived) != (self._options.extensions, self._options.archived)
        self._options = options
        self._lookouts.set_options(options)
        self.set_folders(self._rules.folders)
        if wider:
            self.suspect("which files are taken has changed")

    def suspect(self, reason: str) -> None:
        """Have everything swept at once and in full, because something may have been missed."""
        self._sweeping.memory.forget()
        self._doubts.add(Suspicion(reason))

    async def look_again(self, user: str, path: str) -> None:
        """Let one file settle anew (relative to ``files/``): it changed after it had settled, whoever noticed."""
        directory, _, name = f"{user}/files/{path}".rpartition("/")
        try:
            there = await self._questions.answer(user, partial(tree.fingerprints, self._root, directory, [name]), SOON)
        except TimeoutError:
            self._doubts.add(Suspicion("a disk does not answer", (directory,), expected=True))
            return
        await self._receive([Change(f"{directory}/{name}", there.get(name))])

    async def sweep(
        self,
        users_: Collection[str] | None = None,
        settle: float | None = None,
        *,
        full: bool = True,
        also: Also | None = None,
    ) -> sweeps.Swept:
        """Look through the watched folders of these users (``None``: all) and take in what stands there.

        With ``settle=None`` what is found settles along with all else that is pending, which needs ``run``. With a
        number of seconds it is settled by this call alone, which returns when all of it has been handed over; ``0``
        takes what stands. Without ``full`` only directories that have changed since they were last listed, or in which
        something waited then, are listed again; what may have been written in place in the others is looked at where
        ``also`` names it, as ``(user, path)``, asked in a thread for each user's. Raises what ``homes.check_data``
        raises where the data directory is not in its place.
        """
        await to_thread.run_sync(homes.check_data, self._root, limiter=self._limiter)
        if not self._rules.folders:
            self._rules = self._rules_for(self._included())
            self._ripener.configure(self._options, self._rules)
        targets = [
            (user, folder)
            for user, folders in sorted(self._rules.folders.items())
            if users_ is None or user in users_
            for folder in users.outermost(folders)
        ]
        own = None
        if settle is not None:
            partner = self._options.partner if settle > 0 else 0.0
            own = self._new_ripener(replace(self._options, settle=settle, partner=partner))
        swept = await self._sweeping.run(targets, full=full, also=also, own=own)
        self._note_unreadable(targets, swept)
        if missing := tuple(f"{user}/files/{folder}" for user, folder in targets if user in swept.unanswered):
            self._doubts.add(Suspicion("a disk does not answer", missing, expected=True))
        if users_ is None:
            self._directories = swept.directories
            await self._all_swept()
        return swept

    def status(self) -> WatchStatus:
        """Tell how the watch is doing."""
        return WatchStatus(
            mode=self._lookouts.mode,
            why=self._lookouts.why,
            problem=self._lookouts.problem,
            verified_at=self._lookouts.verified_at,
            swept_at=self._swept_at,
            directories=self._directories,
            pending=len(self._ripener.settler),
            missed=self._sweeping.missed,
            suspicions=self._suspicions,
            unreadable=tuple(f"{shown(path)}: {why}" for path, why in self._unreadable.items()),
            shortage=self._shortage,
        )

    def trust(self) -> int | None:
        """Give a number that stays the same as long as the watch can be believed, ``None`` while it cannot.

        It can while all is watched by events, it was proved to hear them, and nothing gave reason to doubt it.
        """
        return self._suspicions + self._sweeping.missed if self._lookouts.is_proved() else None

    async def ready(self) -> None:
        """Wait until the folders that stand are watched; for whoever starts it and must not be too early."""
        await self._lookouts.ready()

    # What its parts tell it

    async def _receive(self, items: list[Item]) -> None:
        await self._taking_in.receive(items)

    async def _there(self) -> bool:
        try:
            await to_thread.run_sync(homes.check_data, self._root, limiter=self._limiter)
        except RelayError:
            return False
        return True

    async def _planned(self, plan: Plan, live: list[str]) -> None:
        self._heard.keep(live)
        if plan.users != self._homes:
            self._homes = plan.users
            if self._homes_seen is not None:
                await self._homes_seen(plan.users)

    async def _cannot_look(self, error: RelayError | OSError | None) -> None:
        """Leave what stood as it is: an empty mount point must not look like photos that were deleted."""
        if error is None:
            self._data_seen(None)
            self.suspect("the data directory is back")
            return
        if not self._lookouts.problem:
            await self._sink.suspicion(f"the data directory cannot be looked at: {shown(str(error))}")
        self._data_seen(error if isinstance(error, RelayError) else disk_fault(error, "listing", self._root))

    def _take_note(self, suspicion: Suspicion) -> None:
        if suspicion.expected:
            self._heard.watched(suspicion.roots or (), self._clock.wall())
        self._doubts.add(suspicion)

    def _whose(self, path: str) -> Target | None:
        place = self._rules.locate(f"{path}/.")
        if place is None:
            return None
        inside = below(place.directory, users.outermost(self._rules.folders[place.user]))
        return None if inside is None else (place.user, inside)

    async def _tell(self, reason: str) -> None:
        self._suspicions += 1
        await self._sink.suspicion(reason)

    async def _sweep_some(self, targets: list[Target]) -> bool:
        """Sweep what is doubted, unless it is not there: the plan says so, and when it is back all is swept.

        Tell whether the disk answered.
        """
        # One after the other: who asks first begins first, and comes to the relay first.
        async with self._asking:
            there = await self._there()
        if not there:
            return True
        swept = await self._sweeping.run(targets, full=False)
        self._note_unreadable(targets, swept)
        self._directories = max(self._directories, swept.directories)
        return not swept.unanswered

    async def _all_swept(self) -> None:
        """Compare the watches that are needed with those that the kernel allows, before it refuses one."""
        self._swept_at = self._clock.wall()
        if self._lookouts.live.roots and not self._lookouts.poller.roots:
            allowed = await to_thread.run_sync(limits.read_limits, limiter=self._limiter)
            self._shortage = limits.assess(self._directories, allowed)

    def _note_unreadable(self, targets: list[Target], swept: sweeps.Swept) -> None:
        tops = [f"{user}/files/{folder}".rstrip("/") for user, folder in targets]
        known = {path: why for path, why in self._unreadable.items() if below(path, tops) is None}
        self._unreadable = known | dict(swept.unreadable[: _MOST_NAMED - len(known)])
