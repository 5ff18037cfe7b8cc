"""The watch as a whole: who is watched, how, what it finds, and what it must have missed.

Kernel events are the engine, sweeps the safety net: one at the start, one at every suspicion, and whenever somebody
asks. Where events cannot come (network file systems, limits, a watch proved deaf) it looks again and again instead.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio
from anyio import CapacityLimiter, to_thread

from daemon.clock import Clock
from daemon.errors import RelayError
from daemon.files.faults import disk_fault
from daemon.nextcloud import homes
from daemon.text import shown
from daemon.watch import filesystems, limits, media, tree, users
from daemon.watch.heard import Heard
from daemon.watch.inotify import Item, Watcher
from daemon.watch.model import Change, Found, Suspicion, WatchOptions
from daemon.watch.polling import Poller
from daemon.watch.ripen import Ripener
from daemon.watch.rules import Place, Rules
from daemon.watch.sweeping import Sweeping
from daemon.watch.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable

    from daemon.watch import sweep as sweeps
    from daemon.watch.early import Early
    from daemon.watch.inotify import Seen
    from daemon.watch.model import Sink
    from daemon.watch.users import Folders, Plan


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
        self._rules = self._rules_for({})
        self._ripener = self._new_ripener(options)
        self._live = self._new_watcher(recursive=True, early=early)
        self._flat = self._new_watcher(recursive=False)
        self._poller = Poller(self._root, clock=self._clock, interval=options.poll_every, limiter=self._limiter)
        self._heard = Heard(options.grace)
        self._replan = anyio.Event()
        self._planned = anyio.Event()
        self._suspect = anyio.Event()
        self._suspects: set[str] | None = set()
        self._reasons: dict[str, None] = {}
        self._sweeping = Sweeping(
            self._root, self._ripener, self._offer, self._heard, clock=self._clock, limiter=self._limiter
        )
        self._homes: frozenset[str] | None = None
        self._silent: dict[str, str] = {}
        self._deaf = ""
        self._problem = ""
        self._verified_at: float | None = None
        self._swept_at: float | None = None
        self._directories = 0
        self._suspicions = 0
        self._unreadable: tuple[str, ...] = ()
        self._shortage: limits.Shortage | None = None

    def _new_watcher(self, *, recursive: bool, early: Early | None = None) -> Watcher:
        return Watcher(
            self._root,
            clock=self._clock,
            recursive=recursive,
            step=self._options.step,
            lost=lambda: self._replan.set(),
            limiter=self._limiter,
            early=early,
        )

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
            limiter=self._limiter,
        )

    async def run(self) -> None:
        """Watch until cancelled. A second call after an end or an error goes on with what was pending."""
        self._sweeping.memory.forget()
        self.set_folders(self._included())
        async with anyio.create_task_group() as group:
            group.start_soon(self._keep_plan)
            group.start_soon(self._live.run, self._receive)
            group.start_soon(self._poller.run, self._receive)
            group.start_soon(self._flat.run, self._receive_flat)
            group.start_soon(self._ripener.run)
            group.start_soon(self._sweep_on_suspicion)
            group.start_soon(self._keep_proving)

    # What is asked of it from outside

    def set_folders(self, folders: Folders) -> None:
        """Watch these users and folders from now on; what is new is watched first, then swept."""
        before, self._rules = self._rules, self._rules_for(folders)
        if self._rules.folders != before.folders:
            # A folder that is watched or not decides whether one of another name beside it is entered.
            self._sweeping.memory.forget()
        self._ripener.configure(self._options, self._rules)
        self._replan.set()

    def set_options(self, options: WatchOptions) -> None:
        """Put new times, extensions or another mode in force.

        Other files may count from now on, whatever was changed: the next sweep trusts nothing that was seen before,
        and where other names count it comes at once.
        """
        self._sweeping.memory.forget()
        wider = (options.extensions, options.archived) != (self._options.extensions, self._options.archived)
        self._options = options
        self._deaf = ""
        self.set_folders(self._rules.folders)
        if wider:
            self.suspect("which files are taken has changed")

    def suspect(self, reason: str) -> None:
        """Have everything swept at once and in full, because something may have been missed."""
        self._sweeping.memory.forget()
        self._suspects = None
        self._reasons[reason] = None
        self._suspect.set()

    async def look_again(self, user: str, path: str) -> None:
        """Let one file settle anew (relative to ``files/``): it changed after it had settled, whoever noticed."""
        directory, _, name = f"{user}/files/{path}".rpartition("/")
        there = await to_thread.run_sync(tree.fingerprints, self._root, directory, [name], limiter=self._limiter)
        await self._receive([Change(f"{directory}/{name}", there.get(name))])

    async def sweep(
        self,
        users_: Collection[str] | None = None,
        settle: float | None = None,
        *,
        full: bool = True,
        also: Iterable[tuple[str, str]] = (),
    ) -> sweeps.Swept:
        """Look through the watched folders of these users (``None``: all) and take in what stands there.

        With ``settle=None`` what is found settles along with all else that is pending, which needs ``run``. With a
        number of seconds it is settled by this call alone, which returns when all of it has been handed over; ``0``
        takes what stands. Without ``full`` only directories that have changed since they were last listed, or in which
        something waited then, are listed again; what may have been written in place in the others is looked at where
        it is named in ``also``, as ``(user, path)``. Raises what ``homes.check_data`` raises where the data directory
        is not in its place.
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
        if users_ is None:
            self._swept_at = self._clock.wall()
            self._directories = swept.directories
            self._unreadable = tuple(f"{shown(path)}: {why}" for path, why in swept.unreadable[:100])
            await self._count_watches()
        return swept

    def status(self) -> WatchStatus:
        """Tell how the watch is doing."""
        live = self._live.roots if not self._live.failure else ()
        polled = self._poller.roots
        mode = "mixed" if live and polled else "inotify" if live else "poll" if polled else "off"
        reasons = [self._deaf, self._live.failure or "", *self._silent.values(), *self._live.refused.values()]
        return WatchStatus(
            mode=mode,
            why="; ".join(dict.fromkeys(reason for reason in reasons if reason)) if polled or self._deaf else "",
            problem=self._problem,
            verified_at=self._verified_at,
            swept_at=self._swept_at,
            directories=self._directories,
            pending=len(self._ripener.settler),
            missed=self._sweeping.missed,
            suspicions=self._suspicions,
            unreadable=self._unreadable,
            shortage=self._shortage,
        )

    def trust(self) -> int | None:
        """Give a number that stays the same as long as the watch can be believed, ``None`` while it cannot.

        It can while all is watched by events, it was proved to hear them, and nothing gave reason to doubt it.
        """
        proved = self._verified_at is not None and not self._deaf and not self._problem and not self._live.failure
        if not proved or self._poller.roots or not self._live.roots or not self._live.standing:
            return None
        return self._suspicions + self._sweeping.missed

    async def ready(self) -> None:
        """Wait until the folders that stand are watched; for whoever starts it and must not be too early."""
        await self._planned.wait()
        while not all(one.standing or not one.roots or one.failure for one in (self._live, self._poller, self._flat)):
            await self._clock.sleep(0.02)

    # Who is watched where, and how

    async def _keep_plan(self) -> None:
        """Look from time to time, in one turn of one thread, for all that may have changed without a word."""
        watchdog = Watchdog(self._options.look)
        while True:
            self._replan = anyio.Event()
            live, flat, planned = await to_thread.run_sync(self._look, limiter=self._limiter)
            self._live.compare(live)
            self._flat.compare(flat)
            if isinstance(planned, Exception):
                await self._cannot_plan(planned)
            else:
                if self._problem:
                    self._problem = ""
                    self._data_seen(None)
                    self.suspect("the data directory is back")
                await self._apply(*planned)
            # Of what was done so far only the clocks tell: a large home that is listed is no stall.
            self._doubt(watchdog, early=True)
            with anyio.move_on_after(self._options.look):
                await self._replan.wait()
                # A log-in makes a home in many steps; look once for all of them.
                await self._clock.sleep(min(0.2, self._options.look))
            self._doubt(watchdog, early=self._replan.is_set())

    def _doubt(self, watchdog: Watchdog, *, early: bool) -> None:
        reason = watchdog.tick(self._clock.monotonic(), self._clock.wall(), early=early)
        if reason is not None:
            self._take_note(Suspicion(reason))

    async def _cannot_plan(self, error: RelayError | OSError) -> None:
        """Leave what stood as it is: an empty mount point must not look like photos that were deleted."""
        if not self._problem:
            await self._sink.suspicion(f"the data directory cannot be looked at: {shown(str(error))}")
        self._problem = str(error)
        self._data_seen(error if isinstance(error, RelayError) else disk_fault(error, "listing", self._root))

    def _look(self) -> tuple[Seen | None, Seen | None, tuple[Plan, list[str], list[str]] | RelayError | OSError]:
        live, flat = self._live.look(), self._flat.look()
        try:
            plan = users.plan(self._root, self._rules.folders)
            return live, flat, (plan, *self._divide(plan.deep))
        except (RelayError, OSError) as error:
            return live, flat, error

    async def _apply(self, plan: Plan, live: list[str], polled: list[str]) -> None:
        self._live.set_roots(live)
        self._poller.set_roots(polled)
        self._flat.set_roots(plan.flat if live or not polled else ())
        self._heard.keep(live)
        self._planned.set()
        if plan.users != self._homes:
            self._homes = plan.users
            if self._homes_seen is not None:
                await self._homes_seen(plan.users)

    def _divide(self, deep: tuple[str, ...]) -> tuple[list[str], list[str]]:
        """Say which folders are watched by events and which by looking again and again."""
        self._silent = {}
        mode = self._options.mode
        if mode == "poll" or (mode == "auto" and self._deaf):
            return [], list(deep)
        if mode == "auto" and self._live.failure:
            return list(deep), list(deep)  # it goes on trying
        live: list[str] = []
        polled: list[str] = []
        for root in deep:
            kind = filesystems.silent_kind(f"{self._root}/{root}") if mode == "auto" else None
            if kind is not None:
                self._silent[root] = f"{kind} sends no events"
            (live if kind is None else polled).append(root)
            if root in self._live.refused:
                polled.append(root)
        return live, polled

    async def _receive_flat(self, items: list[Item]) -> None:
        if any(isinstance(item, Suspicion) or item.kind != "present" for item in items):
            self._replan.set()

    async def _keep_proving(self) -> None:
        """Prove from time to time that the watch hears; where it is deaf or refused, go round it and try again."""
        while True:
            await self.ready()
            if self._deaf:
                self._deaf = ""
                self._replan.set()
                await self._clock.sleep(self._options.look)
                await self.ready()
            elif self._live.refused:
                self._live.renew("folders that could not be watched are tried again")
            heard = await self._live.prove()
            if heard is False and await self._live.prove() is False:
                self._deaf = "the watch by inotify reports nothing"
                self.suspect(self._deaf)
                self._replan.set()
            elif heard or (not self._live.roots and await self._poller.prove()):
                self._verified_at = self._clock.wall()
            await self._clock.sleep(self._options.prove_every if heard is not None else 2 * self._options.look)

    async def _count_watches(self) -> None:
        """Compare the watches that are needed with those that the kernel allows, before it refuses one."""
        if self._live.roots and not self._poller.roots:
            allowed = await to_thread.run_sync(limits.read_limits, limiter=self._limiter)
            self._shortage = limits.assess(self._directories, allowed)

    # What comes in

    async def _there(self) -> bool:
        try:
            await to_thread.run_sync(homes.check_data, self._root, limiter=self._limiter)
        except RelayError:
            return False
        return True

    async def _receive(self, items: list[Item]) -> None:
        """Take in a batch from a watcher; it waits for us, and so nothing piles up but in the kernel's readers."""
        present: list[tuple[Place, Found]] = []
        gone: list[Place] = []
        for item in items:
            if isinstance(item, Suspicion):
                self._take_note(item)
                continue
            place = self._rules.locate(item.path)
            if place is None or item.directory:
                continue
            if media.is_temporary(place.name):
                if item.fingerprint is not None and not place.name.startswith(".photon-relay-"):
                    self._ripener.active(place.user, place.directory, item.fingerprint)
            elif self._rules.is_candidate(place.name):
                if item.fingerprint is None:
                    gone.append(place)
                else:
                    present.append((place, Found(place.user, place.path, item.fingerprint)))
        if present:
            await self._take_in(present)
        if gone and await self._there():
            for place in gone:
                self._ripener.settler.gone((place.user, place.directory), place.name)
            await self._sink.gone([(place.user, place.path) for place in gone])

    async def _take_in(self, present: list[tuple[Place, Found]]) -> None:
        closed = await to_thread.run_sync(self._closed, [place for place, _ in present], limiter=self._limiter)
        fresh: list[Found] = []
        # In the order in which they came: who comes last is told from those who were there before.
        for place, found in sorted(present, key=lambda one: one[1].fingerprint.ctime_ns):
            if (place.user, place.directory) in closed:
                continue
            # Only what is wanted keeps its folder from being at rest: the relay itself touches what it takes away.
            if self._ripener.has(found.user, found.path):
                self._ripener.seen(found)
            else:
                fresh.append(found)
        for start in range(0, len(fresh), self._options.chunk):
            await self._ripener.wait_for_room()
            await self._offer(fresh[start : start + self._options.chunk], self._ripener)

    def _closed(self, places: list[Place]) -> set[tuple[str, str]]:
        directories = {(place.user, place.directory): place for place in places}
        return {key for key, place in directories.items() if self._rules.is_closed(self._root, place)}

    async def _offer(self, chunk: list[Found], ripener: Ripener) -> list[Found]:
        """Ask which of these are wanted and let those settle."""
        wanted = await self._sink.found(chunk)
        taken = [found for found in chunk if (found.user, found.path) in wanted]
        for found in taken:
            ripener.seen(found)
            self._heard.told(found)
        return taken

    # Sweeps

    def _take_note(self, suspicion: Suspicion) -> None:
        if suspicion.roots is None:
            self._suspects = None
        elif self._suspects is not None:
            self._suspects.update(suspicion.roots)
        if suspicion.expected:
            self._heard.watched(suspicion.roots or (), self._clock.wall())
        else:
            self._reasons[suspicion.reason] = None
        self._suspect.set()

    async def _sweep_on_suspicion(self) -> None:
        while True:
            await self._suspect.wait()
            self._suspect = anyio.Event()
            roots, self._suspects = self._suspects, set()
            reasons, self._reasons = self._reasons, {}
            for reason in reasons:
                self._suspicions += 1
                await self._sink.suspicion(reason)
            if roots is None:
                try:
                    await self.sweep(full=False)
                except RelayError:  # not there: the plan says so, and when it is back all is swept
                    continue
            elif roots:
                places = [self._rules.locate(f"{root}/.") for root in sorted(roots)]
                targets = [(place.user, place.directory) for place in places if place is not None]
                swept = await self._sweeping.run(targets, full=False)
                self._directories = max(self._directories, swept.directories)
