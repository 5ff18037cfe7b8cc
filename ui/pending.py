"""What has happened since the last frame, bounded: more than a frame can hold becomes one word, ``lost``."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daemon.events import Event

MAX_PHOTOS = 2000
MAX_EVENTS = 500
MAX_LOG_LINES = 500
_ENDS = frozenset({"done", "refused", "restored", "held", "waiting"})
"""What a photo has come to, for good or until something happens."""
_COUNTED = frozenset({"photos.found", "photos.settled", "watch.suspicion"})
"""What the status says better; told one by one it would only fill the frame."""


class Pending:
    """Gathers events between two frames."""

    def __init__(self) -> None:
        self._photos: list[dict[str, Any]] = []
        self._events: list[dict[str, Any]] = []
        self._log: deque[Any] = deque(maxlen=MAX_LOG_LINES)
        self.lost = False

    def add(self, event: Event) -> None:
        """Take in an event of the bus. A photo's end is never dropped silently: where there are too many, ``lost``."""
        if self.lost:
            return
        area, _, what = event.type.partition(".")
        if event.type == "lost":
            self.lost = True
        elif area == "photo" and what in _ENDS:
            self._photos.append({"state": what, **event.data})
        elif event.type not in _COUNTED:
            self._events.append({"type": event.type, "data": event.data})
        if len(self._photos) > MAX_PHOTOS or len(self._events) > MAX_EVENTS:
            self.lost = True
        if self.lost:
            self._photos, self._events = [], []

    def add_log(self, line: Any) -> None:
        """Take in a line of the log; the oldest fall out where there are too many."""
        self._log.append(line)

    def take(self) -> dict[str, Any]:
        """Give what there is, without empty keys, and begin anew."""
        found: dict[str, Any] = {}
        if self._photos:
            found["photos"] = self._photos
        if self._events:
            found["events"] = self._events
        self._photos, self._events = [], []
        self.lost = False
        return found

    def take_log(self) -> list[Any]:
        """Give the log's lines, oldest first, and begin anew."""
        lines = list(self._log)
        self._log.clear()
        return lines
