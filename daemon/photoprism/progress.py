"""What PhotoPrism tells about its work while it works, from its WebSocket: for people to watch, never as a proof.

Everything here may be missing (proxies drop WebSockets, command line imports send no events), so nothing depends on
it, and no fault of it leaves this module. Frames and topics: PhotoPrism's ``internal/api/websocket*.go``.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import anyio

from daemon.clock import Clock
from daemon.photoprism.transport import CONNECT_SECONDS, Transport
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable

FRAME_BYTES: Final = 16 * 1024 * 1024
"""``config.updated`` carries PhotoPrism's whole client configuration: albums, cameras, people."""
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 300.0
UNAUTHORISED_PAUSE: Final = 60.0
STEADY_SECONDS: Final = 60.0
"""A connection that lasted so long counts as good: the next pause is the first one again."""
HEARTBEAT: Final = 30.0

_BUSY: Final = re.compile(r"^(import|index)\b.*\b(already|still) running", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FileStarted:
    """PhotoPrism takes up a main file; sent before it is moved, so it may still fail."""

    name: str
    """Path below the imported folder."""
    folder: str
    """The folder prefix in originals; often empty."""


@dataclass(frozen=True, slots=True)
class FileIndexed:
    """PhotoPrism indexes a file of originals, in an import or otherwise."""

    name: str
    """Path below originals."""


@dataclass(frozen=True, slots=True)
class ImportCompleted:
    """An import ended; also sent where it was refused because another job was running."""

    path: str
    """The imported folder, as PhotoPrism sees it (absolute)."""
    seconds: float


@dataclass(frozen=True, slots=True)
class Busy:
    """An import or an index was refused because another job is running; over HTTP that looks like success."""

    message: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of PhotoPrism's log. It drops repeated lines, and newer versions mask hashes."""

    level: str
    """``fatal``, ``error``, ``warning`` or ``info``."""
    message: str


Item = FileStarted | FileIndexed | ImportCompleted | Busy | LogLine


class _UnauthorisedError(Exception):
    """No event came in time after the session frame: PhotoPrism keeps silent to a wrong token."""


def item_of(frame: str) -> Item | None:
    """Read a frame; ``None`` for what is of no interest, or not of the expected form."""
    read = event_of(frame)
    if read is None:
        return None
    event, data = read
    if event == "import.file":
        return FileStarted(_text(data, "fileName"), _text(data, "subFolder"))
    if event == "index.indexing":
        return FileIndexed(_text(data, "fileName"))
    if event == "import.completed":
        seconds = data.get("seconds")
        return ImportCompleted(_text(data, "path"), float(seconds) if isinstance(seconds, (int, float)) else 0.0)
    if event.startswith("notify."):
        # ``messageId`` is the English original of a translated message; only newer versions send it.
        for message in (_text(data, "message"), _text(data, "messageId")):
            if _BUSY.search(message):
                return Busy(shown(message))
        return None
    if event.startswith("log."):
        level = event.removeprefix("log.")
        return LogLine("warning" if level == "warn" else level, shown(_text(data, "message"), 500))
    return None


def event_of(frame: str) -> tuple[str, dict[str, Any]] | None:
    """Give topic and data of a frame ``{"event": …, "data": {…}}``, ``None`` for anything else."""
    try:
        read = json.loads(frame)
    except (ValueError, RecursionError):
        return None
    if not isinstance(read, dict) or not isinstance(read.get("event"), str) or not isinstance(read.get("data"), dict):
        return None
    return read["event"], read["data"]


def _text(data: dict[str, Any], key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else ""


class Progress:
    """Listens to one PhotoPrism, for as long as it is let."""

    def __init__(self, url: str, token: str, *, clock: Clock | None = None, authorised_within: float = 10.0) -> None:
        """Give PhotoPrism ``authorised_within`` seconds to answer the session frame; nothing is sent yet."""
        self._clock = clock or Clock()
        self._http = Transport(url, token, clock=self._clock, timeout=30.0)
        self._within = authorised_within
        self.connected = False
        """Whether events arrive at present."""
        self.fault = ""
        """Why the last connection was not made or ended, for people; empty while connected."""

    async def follow(self, take: Callable[[Item], None]) -> None:
        """Hand every item to ``take`` until cancelled, connecting again with growing pauses; no fault ends it.

        ``take`` is called in the event loop, and must neither block nor raise. No item is stored here: a slow
        ``take`` slows the socket down, and PhotoPrism drops listeners that are too slow.
        """
        pause = 0.0
        try:
            while True:
                started = self._clock.monotonic()
                try:
                    await self._listen(take)
                    self.fault = "the connection ended"
                except _UnauthorisedError:
                    self.fault = "PhotoPrism did not accept the token, or sends this account no events"
                    pause = max(pause, UNAUTHORISED_PAUSE / 2)
                except aiohttp.WSServerHandshakeError as fault:
                    self.fault = f"no WebSocket there (status {fault.status})"
                except (aiohttp.ClientError, OSError) as fault:
                    self.fault = self._http.fault(fault, CONNECT_SECONDS + self._within).message
                finally:
                    self.connected = False
                if self._clock.monotonic() - started >= STEADY_SECONDS:
                    pause = 0.0
                pause = min(LONGEST_PAUSE, pause * 2 or FIRST_PAUSE)
                await self._clock.sleep(pause)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(1.0):
                await self._http.close()

    async def _listen(self, take: Callable[[Item], None]) -> None:
        limits = aiohttp.ClientWSTimeout(ws_close=1.0)
        with anyio.fail_after(CONNECT_SECONDS + self._within):
            socket = await self._http.session(fresh=True).ws_connect(
                self._http.url("ws"), heartbeat=HEARTBEAT, max_msg_size=FRAME_BYTES, timeout=limits
            )
        async with socket:
            await socket.send_str(json.dumps({"session": self._http.token, "css": "", "js": "", "version": ""}))
            with anyio.move_on_after(self._within):
                await self._first_event(socket, take)
            if not self.connected:
                raise _UnauthorisedError
            async for frame in socket:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    self._hand_on(frame.data, take)

    async def _first_event(self, socket: aiohttp.ClientWebSocketResponse, take: Callable[[Item], None]) -> None:
        async for frame in socket:
            # In public mode events may come without ``config.updated``: any event proves the right to listen.
            if frame.type is aiohttp.WSMsgType.TEXT and event_of(frame.data) is not None:
                self.connected, self.fault = True, ""
                self._hand_on(frame.data, take)
                return
        raise ConnectionError("closed before the first event")

    @staticmethod
    def _hand_on(frame: str, take: Callable[[Item], None]) -> None:
        item = item_of(frame)
        if item is not None:
            take(item)
