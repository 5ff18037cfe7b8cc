"""The live hub in a storm: very many events, one client that reads, and one that does not."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from tests.bench.figures import Figure
from tests.ui.house import House

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.bench import Bench

STEP = 0.01


@dataclass(frozen=True, slots=True)
class Storm:
    """What the storm did."""

    events: float
    """Events a second that were told."""
    frames: float
    """Frames a second that the reading client got, at most, over any second."""
    photos: int
    """Photos' ends that the reading client got."""
    missed: int
    """Ends that it did not get, and for which no snapshot stood: a page that shows too little."""
    told: int
    lag: float
    """The longest time in seconds for which the event loop did not come to a task that was due."""
    grown: int
    """Bytes by which the process grew while one client read nothing, after the first second."""
    healthy: float
    """The slowest answer of ``/healthz`` in seconds."""
    cpu: float
    """Processor seconds for a second's worth of events, the making of them and the reading client included."""


async def storm(folder: Path, rate: int, seconds: float) -> Storm:
    """Tell ``rate`` events a second on the daemon's own bus while two clients are connected over real sockets."""
    async with House(folder).open() as house:
        deaf = await _deaf(house.port)
        got: list[tuple[float, list[int] | None]] = []
        reading = asyncio.create_task(_read(house, got))
        lags: list[float] = []
        asking = asyncio.create_task(_ask(house, lags))
        while not got:  # noqa: ASYNC110
            await asyncio.sleep(STEP)
        loop = asyncio.get_running_loop()
        began, told, lag, at_first = loop.time(), 0, 0.0, 0
        spent = time.process_time()
        while (now := loop.time()) < began + seconds:
            due = int((now - began) * rate)
            for number in range(told, due):
                house.front.bus.tell("photo.done", id=number, user="alice", name=f"IMG_{number:06}.jpg", code="")
            told = due
            if not at_first and now > began + 1.0:
                at_first = psutil.Process().memory_info().rss
            before = loop.time()
            await asyncio.sleep(STEP)
            lag = max(lag, loop.time() - before - STEP)
        grown = psutil.Process().memory_info().rss - at_first
        took = loop.time() - began
        cpu = (time.process_time() - spent) / (told / rate)
        await asyncio.sleep(1.0)
        reading.cancel()
        asking.cancel()
        deaf.close()
        times = [when for when, _ in got]
        most = max((sum(1 for other in times if when <= other < when + 1.0) for when in times), default=0)
        missed = _missed([numbers for _, numbers in got], told)
        photos = sum(len(numbers) for _, numbers in got if numbers)
        return Storm(told / took, most, photos, missed, told, lag, grown, max(lags), cpu)


async def _deaf(port: int) -> socket.socket:
    """Give a connection that has shaken hands and reads nothing ever after."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, ("127.0.0.1", port))
    head = (
        f"GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await loop.sock_sendall(raw, head.encode())
    if not (await loop.sock_recv(raw, 12)).endswith(b" 101"):
        raise RuntimeError("no WebSocket")
    return raw


def _missed(frames: list[list[int] | None], told: int) -> int:
    """Count the ends that neither a frame nor a snapshot after them told. ``None`` is a snapshot."""
    missed, reached, anew = 0, 0, False
    for numbers in frames:
        if numbers is None:
            anew = True
        for number in numbers or ():
            missed += 0 if anew else number - reached
            reached, anew = number + 1, False
    return missed + (0 if anew else told - reached)


async def _read(house: House, got: list[tuple[float, list[int] | None]]) -> None:
    async with house.session.ws_connect("/api/v1/live", max_msg_size=0) as live:
        while True:
            frame = await live.receive_json()
            changes = frame["type"] == "changes"
            numbers = [photo["id"] for photo in frame["data"].get("photos", ())] if changes else None
            got.append((asyncio.get_running_loop().time(), numbers))


async def _ask(house: House, lags: list[float]) -> None:
    loop = asyncio.get_running_loop()
    while True:
        before = loop.time()
        async with house.session.get("/healthz"):
            lags.append(loop.time() - before)
        await asyncio.sleep(0.05)


def figures(bench: Bench) -> Iterator[Figure]:
    """Tell 10,000 events a second."""
    rate = 10_000
    found = asyncio.run(storm(bench.root / "storm", rate, bench.of(20, 5)))
    bench.note(f"events told: {found.events:,.0f} a second; the loop was late by {found.lag * 1000:.0f} ms at most")
    yield Figure(f"{rate:,} events a second: frames a second for a client", found.frames, "", 10)
    yield Figure(f"{rate:,} events a second: share of a core", found.cpu, "%", 0.5)
