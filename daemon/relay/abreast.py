"""Many files at a time: some threads work through a list, each failure stays with its own file, and all can be stopped.

Where each file were a call into a thread of its own, the calls would cost more than a small photo does. And where each
takes next to no time, a second thread only waits for the interpreter, and makes the first one wait at each system call:
so others join in only where it goes slowly.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio
import anyio.to_thread

from daemon.errors import RelayError
from daemon.files.disks import streams

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

    def block(count: int) -> None:
        if halt.is_set():
            raise Halted
        each_block(count)

    return block


async def abreast(
    work: Callable[[T], R],
    items: Sequence[T],
    workers: int,
    *,
    size: int = 0,
    of_all: Callable[[Exception], bool] = lambda _: False,
) -> list[R | Exception]:
    """Give what ``work`` (which blocks) says of each item, or what it raised, in their order.

    ``size`` are the bytes of all together, where that is known: several threads are no help with small files.
    ``of_all`` tells of an exception that it concerns all of them: then no other is begun, and it is raised. Cancelled,
    it returns as soon as each thread has noticed: at the next item, or the next block of a file (``unless_halted``).
    """
    if not items:
        return []
    run = _Run(work, items, of_all, _QUICK_SMALL if 0 < size < _SMALL * len(items) else _QUICK)
    try:
        await anyio.to_thread.run_sync(run.all, min(workers, len(items)), abandon_on_cancel=True)
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


class _Run(Generic[T, R]):
    """One list being worked through."""

    def __init__(
        self, work: Callable[[T], R], items: Sequence[T], of_all: Callable[[Exception], bool], quick: float
    ) -> None:
        self._work = work
        self._items = items
        self._of_all = of_all
        self._quick = quick
        self._numbers = iter(range(len(items)))
        self._lock = threading.Lock()
        self._begun = False
        self._halt = threading.Event()
        self._given_out = threading.Event()
        self._done = 0
        self._over = threading.Event()
        self.outcomes: list[R | Exception] = [Halted()] * len(items)
        self.fault: Exception | None = None

    def all(self, workers: int) -> None:
        with self._lock:
            if self._halt.is_set():
                return
            self._begun = True
        others = [threading.Thread(target=self._where_slow, name=f"photos-{number}") for number in range(1, workers)]
        try:
            for other in others:
                other.start()
            self._some()
        finally:
            for other in others:
                if other.ident is not None:
                    other.join()
            self._over.set()

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
            if time.monotonic() - began > self._quick * self._done:
                self._some()
                return
            pause = next(looks, pause)

    def _some(self) -> None:
        _mine.halt = self._halt
        try:
            while not self._halt.is_set():
                with self._lock:
                    number = next(self._numbers, None)
                if number is None:
                    return
                try:
                    self.outcomes[number] = self._work(self._items[number])
                except Exception as error:  # noqa: BLE001 - told of its own item; whoever asked looks at each
                    self.outcomes[number] = error
                    if self._of_all(error):
                        self.fault = error
                        self._halt.set()
                self._done += 1
        finally:
            self._given_out.set()
            _mine.halt = None
