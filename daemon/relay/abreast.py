"""Many files at a time: some threads work through a list, each failure stays with its own file, and all can be stopped.

Where each file were a call into a thread of its own, the calls would cost more than a small photo does. And where each
takes next to no time, a second thread only waits for the interpreter, and makes the first one wait at each system call:
so others join in only where it goes slowly.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio
import anyio.to_thread

from daemon.errors import RelayError
from daemon.files.disks import streams
from daemon.files.pace import PACE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from daemon.settings import Settings

T = TypeVar("T")
R = TypeVar("R")

_MOST_REQUESTS = 8

_QUICK = 0.0005
"""Seconds for one file below which one thread is as quick as several."""
_SMALL = 512 << 10
_QUICK_SMALL = 0.003
"""The same for files of less than half a MiB: on a busy machine they take longer than they would, and that is no disk
that others could be asked of meanwhile. One that turns to each, or answers through a network, takes longer still.
"""
_LOOKS = (0.002, 0.008)
"""Seconds until another thread looks for the first time how it goes, and again."""

_FIRST_LOOK = 1.0
"""Seconds after which it is looked for the first time whether the disk of some file answers at all."""
_EACH_LOOK = 0.1

_mine = threading.local()


class Halted(Exception):
    """Raised in the middle of a file where the program is to end; what was begun with it is begun anew later."""


def threads(settings: Settings, *folders: str) -> int:
    """Give how many files in these folders are read or copied at the same time: as set, or as their disks like it."""
    wanted = settings.relay.workers
    return wanted if isinstance(wanted, int) else min(streams(folder) for folder in folders)


def unless_halted(each_block: Callable[[int], None]) -> Callable[[int], None]:
    """Give what is to be called with the bytes done of a file, so that a large one ends when the program does."""
    halt: threading.Event | None = getattr(_mine, "halt", None)
    if halt is None:
        return each_block
    hand: _Hand | None = getattr(_mine, "hand", None)

    def block(count: int) -> None:
        if halt.is_set():
            raise Halted
        if hand is not None:
            hand.heard = time.monotonic()
        each_block(count)

    return block


def stay() -> None:
    """Have the item in hand not be left from here on, for deeds that nobody may do later; raises `Halted` if it was."""
    hand: _Hand | None = getattr(_mine, "hand", None)
    if hand is None:
        return
    with hand.lock:
        if hand.left:
            raise Halted
        hand.stays = True


def rest() -> None:
    """Sleep for a moment in the middle of an item; raises `Halted` where the program is to end."""
    halt: threading.Event = getattr(_mine, "halt", None) or threading.Event()
    if halt.wait(0.05):
        raise Halted


async def abreast(
    work: Callable[[T], R],
    items: Sequence[T],
    workers: int,
    *,
    size: int = 0,
    of_all: Callable[[Exception], bool] = lambda _: False,
    leave: Callable[[T, float], Exception | None] | None = None,
    back: Callable[[T], None] = lambda _: None,
    at_end: Callable[[], None] = lambda: None,
) -> list[R | Exception]:
    """Give what ``work`` (which blocks) says of each item, or what it raised, in their order.

    ``size`` are the bytes of all together, where that is known: several threads are no help with small files.
    ``of_all`` tells of an exception that it concerns all of them: then no other is begun, and it is raised. Cancelled,
    it returns as soon as each thread has noticed: at the next item, or the next block of a file (``unless_halted``).

    A disk may never answer. ``leave`` is asked, with an item and the seconds since its last block, whether it is to be
    left in its thread, which takes up no other then; what it gives is the item's outcome. Work that does more than
    read says from where on that may not be (``stay``). ``back`` is called with an item that was left, when its thread
    is through with it after all. ``at_end`` is called when the last thread has ended: before
    this returns, or much later.
    """
    if not items:
        at_end()
        return []
    run = _Run(work, items, of_all, _QUICK_SMALL if 0 < size < _SMALL * len(items) else _QUICK, back, at_end)
    try:
        if leave is None:
            await anyio.to_thread.run_sync(run.all, min(workers, len(items)), abandon_on_cancel=True)
        else:
            while not run.has_begun():  # as long as no thread is free for it
                with anyio.move_on_after(_FIRST_LOOK):
                    await anyio.to_thread.run_sync(run.all, min(workers, len(items)), abandon_on_cancel=True)
            while not run.is_over():
                run.look(leave)
                await anyio.sleep(_EACH_LOOK)
    except anyio.get_cancelled_exc_class():
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(run.end)
        raise
    if run.fault is not None:
        raise run.fault
    return run.outcomes


async def together(
    call: Callable[[T], Awaitable[R]],
    items: Sequence[T],
    *,
    of_all: Callable[[Exception], bool] = lambda _: False,
) -> list[R | RelayError]:
    """Give what ``call`` answers for each item, or the ``RelayError`` it raised, in their order; a few at a time.

    ``of_all`` tells of an error that it concerns all of them: then no other is begun, and it is raised.
    """
    answers: list[R | RelayError] = [RelayError("", "")] * len(items)
    numbers = iter(range(len(items)))
    fault: list[RelayError] = []

    async def one_after_another() -> None:
        for number in numbers:
            if fault:
                return
            try:
                answers[number] = await call(items[number])
            except RelayError as error:
                answers[number] = error
                if of_all(error):
                    fault.append(error)

    async with anyio.create_task_group() as group:
        for _ in range(min(_MOST_REQUESTS, len(items))):
            group.start_soon(one_after_another)
    if fault:
        raise fault[0]
    return answers


@dataclass(eq=False, slots=True)
class _Hand:
    """An item that a thread has in hand; ``heard``: when anything was last heard of it."""

    number: int
    thread: int
    heard: float
    lock: threading.Lock
    left: bool = False
    stays: bool = False


class _Run(Generic[T, R]):
    """One list being worked through."""

    def __init__(
        self,
        work: Callable[[T], R],
        items: Sequence[T],
        of_all: Callable[[Exception], bool],
        quick: float,
        back: Callable[[T], None],
        at_end: Callable[[], None],
    ) -> None:
        self._work = work
        self._items = items
        self._of_all = of_all
        self._quick = quick
        self._back = back
        self._at_end = at_end
        self._numbers = iter(range(len(items)))
        self._lock = threading.Lock()
        self._begun = False
        self._halt = threading.Event()
        self._given_out = threading.Event()
        self._done = 0
        self._over = threading.Event()
        self._hands: set[_Hand] = set()
        self._active = self._alive = 0
        """Threads that work, and those that have not ended: what was left may go on for ever."""
        self.outcomes: list[R | Exception] = [Halted()] * len(items)
        self.fault: Exception | None = None

    def all(self, workers: int) -> None:
        with self._lock:
            if self._begun:
                return
            if self._halt.is_set():
                self._at_end()
                return
            self._begun = True
            self._active = self._alive = workers
        others = [threading.Thread(target=self._where_slow, name=f"photos-{number}") for number in range(1, workers)]
        for other in others:
            try:
                other.start()
            except RuntimeError:  # the system gives no more threads: those there are do it
                self._ended()
        self._some()
        self._over.wait()

    def has_begun(self) -> bool:
        """Tell whether a thread works on it, or has."""
        return self._begun

    def is_over(self) -> bool:
        """Tell whether nothing goes on but in threads that were left."""
        return self._over.is_set()

    def look(self, leave: Callable[[T, float], Exception | None]) -> None:
        """Leave those items in their threads of which nothing was heard for too long; others take up the rest."""
        now = time.monotonic()
        with self._lock:
            hands = [hand for hand in self._hands if not PACE.is_waiting(hand.thread)]
        for hand in hands:
            with self._lock:
                if hand not in self._hands or hand.stays:
                    continue
                why = leave(self._items[hand.number], now - hand.heard)
                if why is None:
                    continue
                hand.left = True
                self._hands.discard(hand)
                self.outcomes[hand.number] = why
                self._alive += 1
            try:
                threading.Thread(target=self._some, name="photos-on").start()
            except RuntimeError:  # the system gives no more threads: those there are do it
                self._ended()

    def end(self) -> None:
        with self._lock:
            self._halt.set()
            self._given_out.set()
            if not self._begun:
                return
        self._over.wait()

    def _where_slow(self) -> None:
        """Join in as soon as the files take their time."""
        began, looks = time.monotonic(), iter(_LOOKS)
        pause = next(looks)
        while not self._given_out.wait(pause):
            if time.monotonic() - began > self._quick * max(1, self._done):
                self._some()
                return
            pause = next(looks, pause)
        self._ended()

    def _some(self) -> None:
        """Work on items as long as there are any: one thread's part. One that was left has another in its place."""
        left = None
        try:
            while not self._halt.is_set():
                with self._lock:
                    number = next(self._numbers, None)
                    if number is None:
                        break
                    hand = _Hand(number, threading.get_ident(), time.monotonic(), self._lock)
                    self._hands.add(hand)
                left = self._one(hand)
                if left:
                    break
        finally:
            self._given_out.set()
            _mine.halt = _mine.hand = None
            self._ended(left=bool(left))

    def _one(self, hand: _Hand) -> bool:
        """Work on one item; tell whether it was left meanwhile, so that nobody asks for its outcome any more."""
        _mine.halt, _mine.hand = self._halt, hand
        outcome: R | Exception
        try:
            outcome = self._work(self._items[hand.number])
        except Exception as error:  # noqa: BLE001 - told of its own item; whoever asked looks at each
            outcome = error
        with self._lock:
            if not hand.left:
                self._hands.discard(hand)
                self.outcomes[hand.number] = outcome
                self._done += 1
        if hand.left:
            self._back(self._items[hand.number])
            return True
        if isinstance(outcome, Exception) and self._of_all(outcome):
            self.fault = outcome
            self._halt.set()
        return False

    def _ended(self, *, left: bool = False) -> None:
        with self._lock:
            self._alive -= 1
            self._active -= 0 if left else 1
            last, over = not self._alive, not self._active
        if last:
            self._at_end()
        if over:
            self._over.set()
