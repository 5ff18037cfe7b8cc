"""Carries sweeps out: hands on what they find, and counts what of it the live watch should have told of."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import anyio
from anyio import CapacityLimiter, to_thread

from daemon.watch import sweep as sweeps
from daemon.watch.remembered import Memory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from daemon.clock import Clock
    from daemon.watch.heard import Heard
    from daemon.watch.model import Found
    from daemon.watch.remembered import Target
    from daemon.watch.ripen import Ripener

    Offer = Callable[[list[Found], Ripener], Awaitable[list[Found]]]


class Sweeping:
    """Sweeps one at a time. ``ripener`` holds what is pending, ``offer`` asks which finds are wanted and adds them.

    ``memory`` is what it trusts: forget it whenever other files may count than before.
    """

    def __init__(
        self,
        base: str,
        ripener: Ripener,
        offer: Offer,
        heard: Heard,
        *,
        clock: Clock,
        limiter: CapacityLimiter | None = None,
    ) -> None:
        self.memory = Memory()
        self.missed = 0
        self._base = base
        self._ripener = ripener
        self._offer = offer
        self._heard = heard
        self._clock = clock
        self._limiter = limiter
        self._one_at_a_time = anyio.Lock()

    async def run(
        self,
        targets: list[Target],
        *,
        full: bool,
        also: Iterable[Target] = (),
        own: Ripener | None = None,
    ) -> sweeps.Swept:
        """Sweep these folders; a sweep that is running is waited for first.

        ``also`` are files, as ``(user, path)``, that are looked at though their directory has not changed. What is
        found settles in ``own``, where it is given, before this returns.
        """
        async with self._one_at_a_time:
            return await self._run(targets, own or self._ripener, full=full, also=also)

    async def _run(
        self, targets: list[Target], ripener: Ripener, *, full: bool, also: Iterable[Target]
    ) -> sweeps.Swept:
        swept = sweeps.Swept()
        walk = sweeps.Sweep(
            self._base,
            targets,
            ripener.rules,
            swept,
            wall=self._clock.wall,
            racy=ripener.options.racy,
            chunk=ripener.options.chunk,
            memory=self.memory,
            full=full,
        )
        chunks = walk.chunks()
        while (chunk := await to_thread.run_sync(next, chunks, None, limiter=self._limiter)) is not None:
            walk.doubt(await self._take_in(chunk, ripener, swept))
        if not full:
            await self._look_by_name(also, ripener, swept)
        if swept.racy and ripener.options.settle > 0:
            await self._clock.sleep(ripener.options.racy)
            for user, path in swept.racy:
                listed = await to_thread.run_sync(
                    sweeps.again, self._base, user, path, ripener.rules, limiter=self._limiter
                )
                await self._take_in(listed, ripener, swept)
        if ripener is not self._ripener:
            await ripener.drain()
        walk.remember()
        return swept

    async def _look_by_name(self, also: Iterable[Target], ripener: Ripener, swept: sweeps.Swept) -> None:
        waiting = iter(also)
        while names := list(islice(waiting, ripener.options.chunk)):
            found = await to_thread.run_sync(sweeps.by_name, self._base, names, ripener.rules, limiter=self._limiter)
            await self._take_in(found, ripener, swept)

    async def _take_in(self, chunk: list[Found], ripener: Ripener, swept: sweeps.Swept) -> list[Found]:
        """Offer what was found; give what of it waits for something: its directory is looked into again."""
        await ripener.wait_for_room() if ripener is self._ripener else await self._relieve(ripener)
        pending = [found for found in chunk if ripener.has(found.user, found.path)]
        fresh = [found for found in chunk if not ripener.has(found.user, found.path)]
        unheard = {(found.user, found.path) for found in fresh if self._should_have_heard(found)}
        taken = await self._offer(fresh, ripener) if fresh else []
        for found in taken:
            swept.wanted += 1
            if (found.user, found.path) in unheard:
                swept.missed += 1
                self.missed += 1
            if ripener is not self._ripener:
                directory, _, name = found.path.rpartition("/")
                self._ripener.settler.gone((found.user, directory), name)
        return [*pending, *taken]

    async def _relieve(self, ripener: Ripener) -> None:
        """Hand over in between where a sweep settles by itself, so that what it holds stays bounded."""
        while len(ripener.settler) >= ripener.options.pending:
            if not await ripener.hand_over():
                await self._clock.sleep(0.1)

    def _should_have_heard(self, found: Found) -> bool:
        """Tell whether the live watch owed us this photo; a side file may wait for its photo for ever."""
        return (
            self._heard.owed(found, self._clock.wall())
            and not self._ripener.has(found.user, found.path)
            and self._ripener.rules.is_main(found.path.rpartition("/")[2])
        )
