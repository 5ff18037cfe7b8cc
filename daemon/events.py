"""What happened, as events, and the bus that carries them to whoever looks on.

The relay never waits for a listener: each has a bounded queue, and one that is too slow is told that it has missed
something (``lost``) and takes a new snapshot.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: ``type`` is ``area.event`` (``photo.done``), ``data`` plain values, ready for JSON."""

    type: str
    data: dict[str, Any] = field(default_factory=dict)


class Subscription:
    """One listener's bounded queue; iterate over it to get the events."""

    def __init__(self, limit: int) -> None:
        self._queue: deque[Event] = deque()
        self._limit = limit
        self._wake = anyio.Event()

    def push(self, event: Event) -> None:
        """Put an event in; where the queue is full, all that waits is replaced by one ``lost``."""
        if len(self._queue) >= self._limit:
            self._queue.clear()
            self._queue.append(Event("lost"))
        self._queue.append(event)
        self._wake.set()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            while self._queue:
                yield self._queue.popleft()
            self._wake = anyio.Event()
            await self._wake.wait()


class Bus:
    """Carries events from the event loop's side of the daemon to its listeners. Call it from the loop only."""

    def __init__(self) -> None:
        self._listeners: set[Subscription] = set()

    def tell(self, type_: str, **data: Any) -> None:
        """Tell every listener that something happened; never waits."""
        if self._listeners:
            event = Event(type_, data)
            for listener in self._listeners:
                listener.push(event)

    @contextmanager
    def listen(self, limit: int = 1000) -> Iterator[Subscription]:
        """Listen for as long as the block runs; at most ``limit`` events wait."""
        subscription = Subscription(limit)
        self._listeners.add(subscription)
        try:
            yield subscription
        finally:
            self._listeners.discard(subscription)
