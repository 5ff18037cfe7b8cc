"""Waking loops that wait for work: cheap, never lost, no polling."""

from __future__ import annotations

import anyio


class Wake:
    """A bell with a counter: who has seen the count before looking for work cannot miss a ring after it.

    With it ring the bells ``also``: whoever has work of one kind only listens to a bell of its own.
    """

    def __init__(self, *also: Wake) -> None:
        self.count = 0
        self._also = also
        self._event: anyio.Event | None = None

    def set(self) -> None:
        """Wake everybody who waits. From the event loop only."""
        self.count += 1
        if self._event is not None:  # mostly nobody waits, and each photo's end rings
            self._event.set()
            self._event = None
        for bell in self._also:
            bell.set()

    async def wait(self, seen: int, seconds: float) -> None:
        """Return when the bell has rung since ``seen``, at the latest after ``seconds``."""
        if self.count == seen:
            if self._event is None:
                self._event = anyio.Event()
            with anyio.move_on_after(seconds):
                await self._event.wait()
