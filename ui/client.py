"""One live connection's side of the hub: a bounded queue of frames, and how it ends."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

    from ui.identity import Who

MAX_FRAMES = 64
MAX_BYTES = 1 << 20


class Client:
    """Whoever looks on through one WebSocket."""

    def __init__(self, who: Who) -> None:
        self.who = who
        self.log_level: str | None = None
        self.ended: tuple[int, str] | None = None
        self.dropped = 0
        """How often it was too slow and lost what waited for it."""
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._fresh = False
        self._wake = anyio.Event()

    @property
    def waiting(self) -> int:
        """How many bytes wait for it."""
        return self._bytes

    def put(self, frame: bytes) -> None:
        """Queue a frame. Where it is one too many, all that waits goes, and a snapshot stands for it."""
        if self._fresh:
            return  # the snapshot that it gets next has this in it
        if len(self._frames) >= MAX_FRAMES or self._bytes + len(frame) > MAX_BYTES:
            self.dropped += 1
            self.start_over()
            return
        self._frames.append(frame)
        self._bytes += len(frame)
        self._wake.set()

    def start_over(self) -> None:
        """Forget what waits; the next thing it gets is a snapshot."""
        self._frames.clear()
        self._bytes = 0
        self._fresh = True
        self._wake.set()

    def end(self, code: int, reason: str) -> None:
        """End the connection as soon as the loop comes to it; what waits is not sent any more."""
        if self.ended is None:
            self.ended = code, reason
        self._wake.set()

    async def next(self, snapshot: Callable[[], bytes | None]) -> bytes | None:
        """Give the next frame to send; ``None`` when the connection is to end.

        The snapshot is asked for only now: it is the newest there is, and frames queued before it are in it already.
        """
        while True:
            if self.ended is not None:
                return None
            if self._fresh:
                whole = snapshot()
                if whole is not None:
                    self._fresh = False
                    return whole
            elif self._frames:
                frame = self._frames.popleft()
                self._bytes -= len(frame)
                return frame
            self._wake = anyio.Event()
            await self._wake.wait()
