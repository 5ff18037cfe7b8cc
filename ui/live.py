"""The live hub: one snapshot, then numbered changes, the same frames for every client.

However much happens in the daemon, a frame goes out each tenth of a second at most, and it is encoded once for all.
Every client has a bounded queue: one that reads too slowly loses what waits for it and gets a new snapshot instead, so
that a slow browser never costs the daemon memory.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

import anyio

from daemon.errors import RelayError
from daemon.logs import redact
from ui.pending import Pending

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.clock import Clock
    from daemon.events import Bus
    from daemon.service import Service
    from ui.client import Client
    from ui.identity import Who

log = logging.getLogger(__name__)

TICK = 0.11
"""Seconds for which changes are gathered into one frame: ten of them are more than a second, whichever it is."""
STATUS_EVERY = 0.5
"""Seconds between two looks at the status, which costs the ledger some reading."""
LINGER = 60.0
"""Seconds for which frames are made and kept after the last client has gone: it may come back for them."""
MAX_CLIENTS = 64
MAX_EACH = 24
"""Clients from one address at most, so that one caller does not take the places of all; this machine may take all."""
RING_FRAMES = 600
RING_BYTES = 2 << 20


class Hub:
    """Makes the frames and hands them to the clients; one task for all of them."""

    def __init__(self, bus: Bus, service: Callable[[], Service | None], clock: Clock) -> None:
        self._bus = bus
        self._service = service
        self._clock = clock
        self._clients: set[Client] = set()
        self._coming: set[Client] = set()
        """Those who wait for the first look; they count, or any number could come in while it lasts."""
        self._pending = Pending()
        self._ring: deque[tuple[int, bytes]] = deque()
        self._ring_bytes = 0
        # Numbers grow over restarts, too: ten frames a second at most are made, and a clock has a thousand numbers.
        self._seq = int(clock.wall() * 1000)
        self._state: dict[str, Any] | None = None
        self._state_of: Service | None = None
        self._encoded: tuple[int, bytes] | None = None
        self._looked = float("-inf")
        self._wanted = anyio.Event()
        self._come = anyio.Event()
        self._left_at = float("-inf")
        self._refreshing = anyio.Lock()
        self._logs_last = False
        self.on_join: Callable[[], None] = lambda: None
        """Called when a client has come."""
        self.closing = False

    # -- for the route ------------------------------------------------------------------------------------------

    @property
    def seq(self) -> int:
        """The number of the last frame."""
        return self._seq

    @property
    def clients(self) -> frozenset[Client]:
        """Who is connected."""
        return frozenset(self._clients)

    def full(self, who: Who) -> bool:
        """Tell whether there is no room for another client, or none for another one of the same address."""
        inside = self._clients | self._coming
        if len(inside) >= MAX_CLIENTS:
            return True
        place = who.place
        return bool(place) and sum(one.who.place == place for one in inside) >= MAX_EACH

    async def join(self, client: Client, since: int | None) -> None:
        """Take a client in: with what it has missed since frame ``since`` where that is known, else with a snapshot."""
        # The state must be there before the client is: from then on it gets every frame, and none before its snapshot.
        if self._state is None or not self._alive():
            self._coming.add(client)
            try:
                await self._look()
            finally:
                self._coming.discard(client)
        self._clients.add(client)
        self._wanted.set()
        self._come.set()
        self.on_join()
        missed = self._since(since)
        if missed is None:
            client.start_over()
        else:
            for frame in missed:
                client.put(frame)

    def leave(self, client: Client) -> None:
        """Let a client go."""
        self._clients.discard(client)
        if not self._clients:
            self._left_at = self._clock.monotonic()

    def judge(self, verdict: Callable[[Who], int | None]) -> None:
        """Ask of every client whether it may stay; ``verdict`` gives the code with which it must end, else ``None``."""
        for client in self._clients:
            code = verdict(client.who)
            if code is not None:
                client.end(code, "the session has ended" if code == 4401 else "not let in any more")

    def close(self) -> None:
        """Tell every client that the daemon goes away; nobody new is taken in."""
        self.closing = True
        for client in self._clients:
            client.end(1001, "the daemon goes away")

    def snapshot(self) -> bytes | None:
        """Give the snapshot as of the last frame, encoded once for all who need it; ``None`` before there is one."""
        if self._state is None:
            return None
        if self._encoded is None or self._encoded[0] != self._seq:
            self._encoded = self._seq, encode(self._seq, "snapshot", self._state)
        return self._encoded[1]

    # -- making frames ------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Make frames until cancelled."""
        with self._bus.listen(limit=20_000) as events:
            async with anyio.create_task_group() as group:
                group.start_soon(self._tick_for_ever)
                group.start_soon(self._gather_log)
                async for event in events:
                    if self._alive():
                        self._pending.add(event)

    def _alive(self) -> bool:
        return bool(self._clients) or self._clock.monotonic() - self._left_at < LINGER

    async def _tick_for_ever(self) -> None:
        while True:
            if not self._alive():
                self._forget()
                self._wanted = anyio.Event()
                await self._wanted.wait()
            try:
                await self._tick()
            except RelayError as error:
                log.debug("no live frame: %s", error)
            except Exception:
                log.exception("a live frame could not be made")
            await self._clock.sleep(TICK)

    async def _tick(self) -> None:
        if self._log_due():
            return
        changed = await self._look()
        if self._state is None:
            self._pending.take()
            return
        if self._pending.lost:
            self._start_over()
            return
        data = self._pending.take()
        if changed:
            data["status"] = changed
        if data:
            self._send(data)

    async def _look(self) -> dict[str, Any]:
        """Look at the status if it is time to; give the keys that differ from what the clients have."""
        async with self._refreshing:
            service = self._service()
            time = self._clock.monotonic()
            if service is None:
                if self._state is not None:
                    self._state_of = None
                return {}
            if self._state is not None and self._state_of is service and time - self._looked < STATUS_EVERY:
                return {}
            self._looked = time
            if self._state is None:
                self._state = await service.now.snapshot()
                self._state_of, self._encoded = service, None
                for client in self._clients:
                    client.start_over()
                return {}
            changed: dict[str, Any] = await service.now.changes(self._state)
            self._state_of = service
            if set(changed) <= {"now"}:
                return {}  # time alone is no news
            self._state = self._state | changed
            return changed

    def _send(self, data: dict[str, Any]) -> None:
        self._seq += 1
        frame = encode(self._seq, "changes", data)
        self._ring.append((self._seq, frame))
        self._ring_bytes += len(frame)
        while self._ring and (len(self._ring) > RING_FRAMES or self._ring_bytes > RING_BYTES):
            self._ring_bytes -= len(self._ring.popleft()[1])
        for client in self._clients:
            client.put(frame)

    def _start_over(self) -> None:
        """Give everybody a new snapshot: too much happened to tell it one by one."""
        self._pending.take()
        self._ring.clear()
        self._ring_bytes = 0
        self._seq += 1
        self._looked = float("-inf")
        for client in self._clients:
            client.start_over()

    def _forget(self) -> None:
        """Keep nothing while nobody looks on."""
        self._pending.take()
        self._ring.clear()
        self._ring_bytes = 0
        self._state = self._state_of = self._encoded = None

    def _since(self, since: int | None) -> list[bytes] | None:
        """Give the frames after ``since``; ``None`` where they are not all here any more."""
        if since is None or since > self._seq:
            return None
        if since == self._seq:
            return []
        if not self._ring or self._ring[0][0] > since + 1:
            return None
        return [frame for number, frame in self._ring if number > since]

    # -- the log ------------------------------------------------------------------------------------------------

    def _log_due(self) -> bool:
        """Send log lines in this tick, if it is their turn: one frame a tick, of the one kind or the other."""
        levels = {client.log_level for client in self._clients if client.log_level}
        lines = self._pending.take_log() if levels and not self._logs_last else []
        self._logs_last = bool(lines)
        for level in levels if lines else ():
            chosen = [line for line in lines if rank(str(line.get("level", ""))) >= rank(level)]
            if chosen:
                frame = encode(self._seq, "log", {"lines": chosen})
                for client in self._clients:
                    if client.log_level == level:
                        client.put(frame)
        return self._logs_last

    async def _gather_log(self) -> None:
        """Listen to the log for as long as somebody wants it."""
        while True:
            if not self._clients:
                self._come = anyio.Event()
                await self._come.wait()
            service = self._service()
            if service is None or not any(one.log_level for one in self._clients):
                await self._clock.sleep(0.25)
                continue
            try:
                await self._listen_to_log(service)
            except Exception:
                log.exception("the live log stopped; it is listened to again")
                await self._clock.sleep(5.0)

    async def _listen_to_log(self, service: Service) -> None:
        with service.log.subscribe() as lines, anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(self._until_unwanted, service, scope)
                async for some in lines:
                    for line in some:
                        self._pending.add_log(line)

    async def _until_unwanted(self, service: Service, scope: anyio.CancelScope) -> None:
        while self._service() is service and any(one.log_level for one in self._clients):
            await self._clock.sleep(0.5)
        scope.cancel()


_RANKS = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


def rank(level: str) -> int:
    """Give a level's place in the order of the log's levels; an unknown one counts as ``info``."""
    return _RANKS.get(level.lower(), 20)


def encode(seq: int, kind: str, data: object) -> bytes:
    """Give one message as JSON; a secret that came into it by mistake is taken out."""
    text = json.dumps({"seq": seq, "type": kind, "data": data}, ensure_ascii=False, separators=(",", ":"), default=str)
    return redact.clean(text).encode("utf-8", "replace")
