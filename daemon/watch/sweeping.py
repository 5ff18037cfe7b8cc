"""Carries sweeps out: hands on what they find, and counts what of it the live watch should have told of.

Each user's folders are a walk of their own. One walk goes on at a time, in turns; one whose user has brought more than
there is room for waits where it stands, and keeps nobody else waiting. Nor does one whose disk takes its time: it loses
its turn, and where the disk does not answer at all, the walk ends without it.
"""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import anyio

from daemon.watch import questions
from daemon.watch import sweep as sweeps
from daemon.watch.questions import Question, Questions, no_answer
from daemon.watch.remembered import Memory

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    from daemon.clock import Clock
    from daemon.watch.heard import Heard
    from daemon.watch.model import Found
    from daemon.watch.remembered import Target
    from daemon.watch.ripen import Ripener

    Also = Callable[[str], Iterable[Target]]
    Offer = Callable[[list[Found], Ripener], Awaitable[list[Found]]]

_TURN = 0.5
"""Seconds for which one walk goes on while others wait for their turn."""
_WALKS = 32
"""As many may stand half-way at a time: each has its folders open."""


class Sweeping:
    """Sweeps. ``ripener`` holds what is pending, ``offer`` asks which finds are wanted and adds them.

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
    ) -> None:
        self.memory = Memory()
        self.missed = 0
        self._base = base
        self._ripener = ripener
        self._offer = offer
        self._heard = heard
        self._clock = clock
        self._questions = Questions()
        self._of_user: dict[str, anyio.Lock] = {}
        self._turn = anyio.Lock()
        self._walks = anyio.Semaphore(_WALKS)
        self._own_over = anyio.Event()
        self._own_over.set()

    async def run(
        self,
        targets: list[Target],
        *,
        full: bool,
        also: Also | None = None,
        own: Ripener | None = None,
    ) -> sweeps.Swept:
        """Sweep these folders, user by user; a sweep of the same user that is running is waited for first.

        ``also`` gives, asked in a thread, those files of a user, as ``(user, path)``, that are looked at though their
        directory has not changed. What is found settles in ``own``, where it is given, before this returns. Whose disk
        does not answer stands in ``unanswered`` of what is given.
        """
        swept = sweeps.Swept()
        of_user: dict[str, list[Target]] = {}
        for target in targets:
            of_user.setdefault(target[0], []).append(target)
        ripener, faults = own or self._ripener, list[Exception]()

        async def one(user: str) -> None:
            try:
                await self._of_one(user, of_user[user], ripener, swept, full=full, also=also)
            except Exception as error:  # noqa: BLE001 - raised below, by itself and not as one of a group
                faults.append(error)
                group.cancel_scope.cancel()

        # What settles in a ripener of its own is handed over when all is walked through: a walk for the live one that
        # began meanwhile would hand its users' photos over before, whoever they are.
        await self._own_over.wait()
        if own is not None:
            self._own_over = anyio.Event()
        try:
            # In the users' order, which so is the one in which they come to the relay.
            async with anyio.create_task_group() as group:
                for user in sorted(of_user):
                    group.start_soon(one, user)
            if faults:
                raise faults[0]
            if own is not None:
                await own.drain()
        finally:
            if own is not None:
                self._own_over.set()
        return swept

    async def _of_one(
        self,
        user: str,
        targets: list[Target],
        ripener: Ripener,
        swept: sweeps.Swept,
        *,
        full: bool,
        also: Also | None,
    ) -> None:
        async with self._of_user.setdefault(user, anyio.Lock()):
            seen = sweeps.Swept()
            walk = sweeps.Sweep(
                self._base,
                targets,
                ripener.rules,
                seen,
                wall=self._clock.wall,
                racy=ripener.options.racy,
                chunk=ripener.options.chunk,
                memory=self.memory,
                full=full,
            )
            try:
                async with self._walks:
                    await self._go(user, walk.chunks(), ripener, swept, walk)
                    if also is not None and not full:
                        await self._go(user, self._by_name(also(user), ripener), ripener, swept)
                if seen.racy and ripener.options.settle > 0:
                    await self._clock.sleep(ripener.options.racy)
                    async with self._walks:
                        for _, path in seen.racy:
                            await self._go(user, sweeps.again(self._base, user, path, ripener.rules), ripener, swept)
            except TimeoutError as error:
                # Nothing of it is remembered: the next walk lists all of it.
                swept.unanswered.append(user)
                swept.unreadable += [(f"{user}/files/{folder}", error.strerror or "") for _, folder in targets]
                return
            # Where what was found waits in a ripener of its own it is not taken in yet, but its directory is doubted.
            walk.remember()
            swept.add(seen)

    def _by_name(self, also: Iterable[Target], ripener: Ripener) -> Iterator[list[Found]]:
        waiting = iter(also)
        while names := list(islice(waiting, ripener.options.chunk)):
            yield sweeps.by_name(self._base, names, ripener.rules)

    async def _go(
        self,
        user: str,
        chunks: Iterator[list[Found]],
        ripener: Ripener,
        swept: sweeps.Swept,
        walk: sweeps.Sweep | None = None,
    ) -> None:
        """Take in what a walk gives to its end, in turns with others; raises where its disk does not answer."""
        asked: Question[list[Found] | None] | None = None
        while True:
            if ripener is self._ripener:
                await ripener.wait_for_room(user)
            async with self._turn:
                until = self._clock.monotonic() + _TURN
                while asked is not None or ripener is not self._ripener or ripener.has_room(user):
                    asked = asked or self._questions.ask(user, partial(next, chunks, None))
                    if not await asked.wait(_TURN):
                        break
                    chunk, asked = asked.answer(), None
                    if chunk is None:
                        return
                    waiting = await self._take_in(chunk, ripener, swept)
                    if walk is not None:
                        walk.doubt(waiting)
                    if self._clock.monotonic() > until and self._turn.statistics().tasks_waiting:
                        break
            if asked is not None and not await asked.wait(questions.HUNG):
                raise no_answer()

    async def _take_in(self, chunk: list[Found], ripener: Ripener, swept: sweeps.Swept) -> list[Found]:
        """Offer what was found; give what of it waits for something: its directory is looked into again."""
        if ripener is not self._ripener:
            await self._relieve(ripener)
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
                self._ripener.gone(found.user, directory, name)
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
