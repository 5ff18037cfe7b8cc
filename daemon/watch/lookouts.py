"""The watches that stand: kept in line with who is to be watched where, and proved from time to time.

Folders are watched by events; where those cannot come (network file systems, limits, a watch proved deaf) they are
looked at again and again. Beside them a flat watch tells of new homes and folders.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio

from daemon.errors import RelayError
from daemon.watch import filesystems, users
from daemon.watch.inotify import Watcher
from daemon.watch.model import Suspicion
from daemon.watch.polling import Poller
from daemon.watch.questions import SOON, Asking, Question
from daemon.watch.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio import CapacityLimiter

    from daemon.clock import Clock
    from daemon.watch.early import Early
    from daemon.watch.inotify import Item, Out, Seen
    from daemon.watch.model import WatchOptions
    from daemon.watch.users import Folders, Plan

    _Looked = tuple[Seen | None, Seen | None, tuple[Plan, list[str], list[str], dict[str, str]] | RelayError | OSError]


class Lookouts:
    """Sets up what watches ``folders()`` below ``base``; what they tell goes to ``receive``.

    ``doubt`` is called with every reason to sweep, ``suspect`` with one to trust nothing that was seen before.
    ``planned`` is awaited with the plan that is now in force and the folders watched by events, ``cannot`` with what
    keeps the data directory from being looked at, ``None`` when it is there again.
    """

    def __init__(
        self,
        base: str,
        options: WatchOptions,
        folders: Callable[[], Folders],
        receive: Out,
        *,
        doubt: Callable[[Suspicion], None],
        suspect: Callable[[str], None],
        planned: Callable[[Plan, list[str]], Awaitable[None]],
        cannot: Callable[[RelayError | OSError | None], Awaitable[None]],
        clock: Clock,
        limiter: CapacityLimiter,
        early: Early | None = None,
    ) -> None:
        self.options = options
        self.problem = ""
        """Why nothing can be watched at all, for people; empty while something can."""
        self.verified_at: float | None = None
        self._base = base
        self._folders = folders
        self._receive = receive
        self._doubt = doubt
        self._suspect = suspect
        self._planned_now = planned
        self._cannot = cannot
        self._clock = clock
        self._limiter = limiter
        self.live = self._new_watcher(recursive=True, early=early)
        self._flat = self._new_watcher(recursive=False)
        self.poller = Poller(base, clock=clock, interval=options.poll_every)
        self._replan = anyio.Event()
        self._planned = anyio.Event()
        self._silent: dict[str, str] = {}
        """By root: the type of its file system, which sends no events."""
        self._plan: Plan | None = None
        self._hanging: dict[str, Question[_Looked]] = {}
        """By user: the look that their disk has not answered."""
        self._deaf = ""

    def _new_watcher(self, *, recursive: bool, early: Early | None = None) -> Watcher:
        return Watcher(
            self._base,
            clock=self._clock,
            recursive=recursive,
            step=self.options.step,
            lost=self.replan,
            limiter=self._limiter,
            early=early,
        )

    async def run(self) -> None:
        """Watch until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._keep_plan)
            group.start_soon(self.live.run, self._receive)
            group.start_soon(self.poller.run, self._receive)
            group.start_soon(self._flat.run, self._receive_flat)
            group.start_soon(self._keep_proving)

    def replan(self) -> None:
        """Look at once at what is to be watched."""
        self._replan.set()

    def set_options(self, options: WatchOptions) -> None:
        """Watch in another way from now on, as far as that can be changed."""
        self.options = options
        self._deaf = ""

    @property
    def mode(self) -> str:
        """Give how it watches: inotify, poll, mixed or off."""
        live = self.live.roots if not self.live.failure else ()
        polled = self.poller.roots
        return "mixed" if live and polled else "inotify" if live else "poll" if polled else "off"

    @property
    def why(self) -> str:
        """Give why folders are looked through by polling, for people."""
        if not self.poller.roots and not self._deaf:
            return ""
        silent = [f"{kind} sends no events" for kind in self._silent.values()]
        reasons = [self._deaf, self.live.failure or "", *silent, *self.live.refused.values()]
        return "; ".join(dict.fromkeys(reason for reason in reasons if reason))

    def is_proved(self) -> bool:
        """Tell whether all is watched by events and the watch was proved to hear them."""
        if self.verified_at is None or self._deaf or self.problem or self.live.failure:
            return False
        return not self.poller.roots and bool(self.live.roots) and self.live.standing

    async def ready(self) -> None:
        """Wait until the folders that stand are watched; for whoever starts it and must not be too early."""
        await self._planned.wait()
        while not all(one.standing or not one.roots or one.failure for one in (self.live, self.poller, self._flat)):
            await self._clock.sleep(0.02)

    async def _keep_plan(self) -> None:
        """Look from time to time, in one turn of one thread, for all that may have changed without a word."""
        watchdog = Watchdog(self.options.look)
        while True:
            self._replan = anyio.Event()
            live, flat, planned = await self._looked()
            self.live.compare(live)
            self._flat.compare(flat)
            if isinstance(planned, Exception):
                await self._cannot(planned)
                self.problem = str(planned)
            else:
                if self.problem:
                    self.problem = ""
                    await self._cannot(None)
                await self._apply(*planned)
            # Of what was done so far only the clocks tell: a large home that is listed is no stall.
            self._tick(watchdog, early=True)
            with anyio.move_on_after(self.options.look):
                await self._replan.wait()
                # A log-in makes a home in many steps; look once for all of them.
                await self._clock.sleep(min(0.2, self.options.look))
            self._tick(watchdog, early=self._replan.is_set())

    def _tick(self, watchdog: Watchdog, *, early: bool) -> None:
        reason = watchdog.tick(self._clock.monotonic(), self._clock.wall(), early=early)
        if reason is not None:
            self._doubt(Suspicion(reason))

    async def _looked(self) -> _Looked:
        """Look at all, in a thread; where somebody's disk hangs, look at the others' and leave theirs as it was."""
        while True:
            asking = Asking(frozenset(user for user, question in self._hanging.items() if not question.over))
            question = Question(partial(self._look, asking))
            while not await question.wait(SOON):
                if user := asking.hangs():
                    self._hanging[user], asking.given_up = question, True
                    break
            else:
                return question.answer()

    def _look(self, asking: Asking) -> _Looked:
        live, flat = self.live.look(asking.passes_over), self._flat.look(asking.passes_over)
        asking.passes_over("")
        try:
            plan = users.plan(self._base, self._folders(), asking, self._plan)
            return live, flat, (plan, *self._divide(plan.deep, asking))
        except (RelayError, OSError) as error:
            return live, flat, error

    async def _apply(self, plan: Plan, live: list[str], polled: list[str], silent: dict[str, str]) -> None:
        self.live.set_roots(live)
        self.poller.set_roots(polled)
        self._flat.set_roots(plan.flat if live or not polled else ())
        self._plan, self._silent = plan, silent
        self._planned.set()
        await self._planned_now(plan, live)

    def _divide(self, deep: tuple[str, ...], asking: Asking) -> tuple[list[str], list[str], dict[str, str]]:
        """Say which folders are watched by events and which by looking again and again, and which send no events."""
        silent: dict[str, str] = {}
        mode = self.options.mode
        if mode == "poll" or (mode == "auto" and self._deaf):
            return [], list(deep), silent
        if mode == "auto" and self.live.failure:
            return list(deep), list(deep), silent  # it goes on trying
        live: list[str] = []
        polled: list[str] = []
        for root in deep:
            if mode != "auto":
                kind = None
            elif asking.passes_over(root):
                kind = self._silent.get(root)
            else:
                kind = filesystems.silent_kind(f"{self._base}/{root}")
            if kind is not None:
                silent[root] = kind
            (live if kind is None else polled).append(root)
            if root in self.live.refused:
                polled.append(root)
        return live, polled, silent

    async def _receive_flat(self, items: list[Item]) -> None:
        if any(isinstance(item, Suspicion) or item.kind != "present" for item in items):
            self.replan()

    async def _keep_proving(self) -> None:
        """Prove from time to time that the watch hears; where it is deaf or refused, go round it and try again."""
        while True:
            await self.ready()
            if self._deaf:
                self._deaf = ""
                self.replan()
                await self._clock.sleep(self.options.look)
                await self.ready()
            elif self.live.refused:
                self.live.renew("folders that could not be watched are tried again")
            heard = await self.live.prove()
            if heard is False and await self.live.prove() is False:
                self._deaf = "the watch by inotify reports nothing"
                self._suspect(self._deaf)
                self.replan()
            elif heard or (not self.live.roots and await self.poller.prove()):
                self.verified_at = self._clock.wall()
            await self._clock.sleep(self.options.prove_every if heard is not None else 2 * self.options.look)
