"""An event loop in a thread of its own, for starting other programs.

A new process begins with a copy of all our open files and closes each, and until it has, the thread that starts it
stands still (vfork). A file that is open on a disk which hangs (through FUSE a close asks the disk, too) keeps it
standing for as long. So that is never the thread on which everything else depends.
"""

from __future__ import annotations

import asyncio
import threading
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
    there = asyncio.run_coroutine_threadsafe(work, _loop())
    over = asyncio.wrap_future(there)
    try:
        return await asyncio.shield(over)
    except asyncio.CancelledError:
        there.cancel()
        with anyio.CancelScope(shield=True), anyio.move_on_after(_LONGEST):
            await asyncio.wait([over])
        raise


def _loop() -> asyncio.AbstractEventLoop:
    with _lock:
        if not _loops:
            _loops.append(asyncio.new_event_loop())
            threading.Thread(target=_loops[0].run_forever, name="programs", daemon=True).start()
        return _loops[0]
