"""Nobody takes all connections: neither by holding many, nor by saying or taking too little over each."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from tests.ui.house import House
from ui import access
from ui.places import MOST, MOST_EACH, RESERVED, Places

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from ui.access import Address

Socket = tuple[asyncio.StreamReader, asyncio.StreamWriter]
STRANGER = "127.0.0.66"
NEIGHBOUR = "127.0.0.7"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let 127.0.0.x stand for 192.168.1.x: other addresses of this machine, as if of other machines."""

    def parse_peer(peer: Any) -> Address | None:
        address = access.parse_peer(peer)
        last = str(address).rsplit(".", 1)[-1]
        return address if last == "1" else ip_address(f"192.168.1.{last}")

    monkeypatch.setattr("ui.wire.parse_peer", parse_peer)


@asynccontextmanager
async def _held(house: House, source: str, many: int, first: bytes = b"") -> AsyncIterator[list[Socket]]:
    """Hold sockets and give those that were not hung up on."""
    made = [await asyncio.open_connection("127.0.0.1", house.port, local_addr=(source, 0)) for _ in range(many)]
    for _, writer in made:
        writer.write(first)
    await asyncio.sleep(0.3)
    try:
        yield [one for one in made if not one[0].at_eof() and one[0].exception() is None]
    finally:
        for _, writer in made:
            writer.close()


async def _answer(house: House, source: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port, local_addr=(source, 0))
    try:
        with suppress(ConnectionError):
            writer.write(HEALTH)
            async with asyncio.timeout(5):
                return await reader.read()
        return b""
    finally:
        writer.close()


@pytest.mark.usefixtures("addresses")
@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"GET /healthz HTTP/1.1\r\nHost: 127",
        b"POST /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{",
    ],
    ids=["silent", "half a head", "half a body"],
)
async def test_one_address_holds_its_share_and_others_come_in(house: House, first: bytes) -> None:
    async with _held(house, STRANGER, MOST_EACH + 20, first) as inside:
        assert len(inside) == MOST_EACH
        assert await _answer(house, STRANGER) == b""
        assert (await _answer(house, NEIGHBOUR)).startswith(b"HTTP/1.1 ")
        assert (await _answer(house, "127.0.0.1")).startswith(b"HTTP/1.1 200")
    await asyncio.sleep(0.2)
    assert (await _answer(house, STRANGER)).startswith(b"HTTP/1.1 ")


@pytest.mark.usefixtures("addresses")
async def test_the_machine_itself_is_answered_while_strangers_hold_all(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.places.MOST", 12)
    monkeypatch.setattr("ui.places.MOST_EACH", 6)
    async with _held(house, STRANGER, 9), _held(house, "127.0.0.67", 9), _held(house, "127.0.0.68", 9):
        assert await _answer(house, NEIGHBOUR) == b""
        assert (await _answer(house, "127.0.0.1")).startswith(b"HTTP/1.1 200")


async def test_a_head_that_comes_byte_by_byte_is_cut_off(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.wire.KEEPALIVE", 0.6)
    # Also the second one on a connection that was good before.
    for before in (b"", HEALTH.replace(b"Connection: close\r\n", b"")):
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        if before:
            writer.write(before)
            assert b"200" in await reader.read(4096)
        began = time.monotonic()
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
        with suppress(ConnectionError):
            while not reader.at_eof() and time.monotonic() < began + 8:
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        assert time.monotonic() - began < 4
        writer.close()


@pytest.mark.parametrize("many", [50, 400], ids=["a little", "a lot"])
async def test_who_takes_nothing_of_the_answers_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr("ui.wire.STALLED", 0.5)
    monkeypatch.setattr("ui.wire.KEEPALIVE", 0.5)
    made: list[Places] = []

    def places(trusted: Any) -> Places:
        made.append(Places(trusted))
        return made[0]

    monkeypatch.setattr("ui.server.Places", places)
    house = House(tmp_path / "playground")
    request = f"GET /api/v1/openapi.json HTTP/1.1\r\nHost: 127.0.0.1:{house.port}\r\n\r\n".encode()
    async with house.open():
        await house.session.close()
        await house.until(lambda: made[0].held == 0, "our own connection to end")
        with socket.socket() as greedy:
            greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            greedy.connect(("127.0.0.1", house.port))
            greedy.setblocking(False)
            greedy.send(request * many)
            await house.until(lambda: made[0].held == 1, "the connection")
            began = time.monotonic()
            await house.until(lambda: made[0].held == 0, "the connection to be cut")
            assert time.monotonic() - began < 8


def test_the_count_is_exact_and_bounded() -> None:
    places = Places(lambda: [ip_network("10.0.0.2/32")])
    stranger, proxy, here = (ip_address(one) for one in ("192.168.1.66", "10.0.0.2", "127.0.0.1"))
    taken = [places.take(stranger) for _ in range(MOST_EACH + 5)]
    assert taken.count(None) == 5
    taken += [places.take(proxy) for _ in range(MOST)]
    assert places.held == MOST
    assert places.take(ip_address("192.168.1.7")) is None
    taken += [places.take(here) for _ in range(RESERVED + 5)]
    assert places.held == MOST + RESERVED
    for key in taken:
        if key is not None:
            places.give_back(key)
    assert places.held == 0
    assert places._held == {}


async def test_one_address_does_not_take_all_places_to_look_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.live.MAX_EACH", 3)
    house = House(tmp_path / "playground")
    house.configure(ui={"trusted_proxies": ["127.0.0.1"], "open": True})
    async with house.open(), AsyncExitStack() as stack:

        async def look_on(address: str) -> int:
            try:
                asked = house.session.ws_connect("/api/v1/live", headers={"X-Forwarded-For": address})
                await stack.enter_async_context(asked)
            except aiohttp.WSServerHandshakeError as refused:
                return refused.status
            return 101

        came = await asyncio.gather(*(look_on("192.168.1.66") for _ in range(8)))
        assert sorted(came) == [101] * 3 + [503] * 5
        # An IPv6 household has a whole /64 of addresses and counts as one.
        assert [await look_on(f"2001:db8::{number}") for number in range(1, 6)] == [101] * 3 + [503] * 2
        assert await look_on("192.168.1.7") == 101
        assert [await look_on("127.0.0.1") for _ in range(5)] == [101] * 5
