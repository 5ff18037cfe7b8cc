"""An event loop in a thread of its own, for starting other programs.

A new process begins with a copy of all our open files and closes each, and until it has, the thread that starts it
stands still (vfork). A file that is open on a disk which hangs (through FUSE a close asks the disk, too) keeps it
standing for as long. So that is never the thread on which everything else depends.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

_LONGEST = 5.0
"""Seconds for which a cancelled call is waited for, so that it can end what it has started."""
_lock = threading.Lock()
_loops: list[asyncio.AbstractEventLoop] = []


async def elsewhere(work: Coroutine[Any, Any, T]) -> T:
    """Await ``work`` in that loop; cancelled, it is cancelled there and mostly waited for."""
    here, there, over = asyncio.get_running_loop(), _loop(), anyio.Event()
    tasks: list[asyncio.Task[T]] = []

    def begin() -> None:
        tasks.append(there.create_task(work))
        tasks[0].add_done_callback(end)

    def end(_task: asyncio.Task[T]) -> None:
        with suppress(RuntimeError):  # the program has ended meanwhile
            here.call_soon_threadsafe(over.set)

    there.call_soon_threadsafe(begin)
    try:
        await over.wait()
    except asyncio.CancelledError:
        there.call_soon_threadsafe(lambda: tasks[0].cancel())
        with anyio.CancelScope(shield=True), anyio.move_on_after(_LONGEST):
            await over.wait()
        raise
    return tasks[0].result()


def _loop() -> asyncio.AbstractEventLoop:
    with _lock:
        if not _loops:
            _loops.append(asyncio.new_event_loop())
            threading.Thread(target=_loops[0].run_forever, name="programs", daemon=True).start()
        return _loops[0]
