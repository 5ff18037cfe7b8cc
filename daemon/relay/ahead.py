"""Preparing further batches while the archive, which works by itself, takes one in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskGroup

    from daemon.wake import Wake

IDLE = 30.0
"""Seconds after which it looks for work without being woken."""


class Ahead:
    """One task beside the loop of batches, at most; that loop calls everything here.

    ``prepare`` takes one further batch as far as it goes while the given one (its id) is taken in, and tells whether
    there may be more to do. What it raises ends the task group.
    """

    def __init__(self, beside: TaskGroup, wake: Wake, prepare: Callable[[int], Awaitable[bool]]) -> None:
        self._beside = beside
        self._wake = wake
        self._prepare = prepare
        self._over = True
        self._waiting = anyio.CancelScope()
        self._ended = anyio.Event()
        self._ended.set()

    def begin(self, busy_with: int) -> None:
        """Begin to prepare what comes after a batch that the archive is about to take in."""
        self._over, self._ended = False, anyio.Event()
        self._beside.start_soon(self._run, busy_with)

    def over(self) -> None:
        """Begin no further batch: the archive is done with the one it took in."""
        self._over = True
        self._waiting.cancel()

    async def rest(self) -> None:
        """Return when the batch that was begun, if any, is prepared."""
        await self._ended.wait()

    async def _run(self, busy_with: int) -> None:
        try:
            while not self._over:
                seen = self._wake.count
                if not await self._prepare(busy_with) and not self._over:
                    with anyio.CancelScope() as self._waiting:
                        await self._wake.wait(seen, IDLE)
        finally:
            self._ended.set()
