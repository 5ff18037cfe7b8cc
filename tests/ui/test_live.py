"""The live hub: a snapshot, then numbered changes; nothing is missed, nothing comes twice, nobody costs much."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from typing import TYPE_CHECKING, Any, TypeAlias

import aiohttp
import anyio
import pytest

from daemon.demo.playground import fixed
from ui.client import MAX_BYTES, Client
from ui.identity import Who

if TYPE_CHECKING:
    from tests.ui.house import House

WITHIN = 20.0
Many: TypeAlias = "list[dict[str, Any]]"


async def _until(live: aiohttp.ClientWebSocketResponse, wanted: int) -> tuple[Many, Many]:
    """Read frames until so many photos have come to an end; give the frames and the photos."""
    frames: Many = []
    ends: Many = []
    with anyio.fail_after(WITHIN):
        while len(ends) < wanted:
            frames.append(await live.receive_json())
            ends += frames[-1]["data"].get("photos", []) if frames[-1]["type"] == "changes" else []
    return frames, ends


async def test_an_upload_is_watched_from_beginning_to_end(house: House) -> None:
    async with house.session.ws_connect("/api/v1/live") as live:
        snapshot = await live.receive_json(timeout=WITHIN)
        assert snapshot["type"] == "snapshot"
        state = snapshot["data"]
        assert state["photos"]["done"] == 0
        for delivery in fixed()[:3]:
            house.playground.upload(delivery)
        frames, ends = await _until(live, 4)
        with anyio.fail_after(WITHIN):
            while True:
                for frame in frames:
                    state |= frame["data"].get("status", {})
                if state["photos"]["done"] == 4:
                    break
                frames = [await live.receive_json()]
    assert sorted((one["user"], one["name"], one["state"]) for one in ends) == [
        ("alice", "IMG_0001.jpg", "done"),
        ("alice", "IMG_0002.heic", "done"),
        ("alice", "IMG_0002.mov", "done"),
        ("bob", "IMG_0001.jpg", "done"),
    ]
    now = await house.get("/status")
    assert {**state, "now": 0, "watch": 0} == {**now, "now": 0, "watch": 0}


async def test_numbers_grow_by_one_and_a_reconnect_misses_nothing(house: House) -> None:
    async with house.session.ws_connect("/api/v1/live") as watching:
        await watching.receive_json(timeout=WITHIN)
        async with house.session.ws_connect("/api/v1/live") as live:
            last = (await live.receive_json(timeout=WITHIN))["seq"]
        house.playground.upload(fixed()[0])
        frames, _ = await _until(watching, 1)
        house.playground.upload(fixed()[1])
        frames += (await _until(watching, 1))[0]
        numbers = [frame["seq"] for frame in frames]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        # Who was away gets the very same frames, from the one after the last it saw.
        async with house.session.ws_connect(f"/api/v1/live?since={last}") as live:
            missed = [await live.receive_json(timeout=WITHIN) for _ in range(numbers[-1] - last)]
        assert [frame["seq"] for frame in missed] == list(range(last + 1, numbers[-1] + 1))
        assert [frame for frame in missed if frame["seq"] in numbers] == frames
        for since in (last - 1_000_000, numbers[-1] + 1000, "nonsense", ""):
            async with house.session.ws_connect(f"/api/v1/live?since={since}") as live:
                assert (await live.receive_json(timeout=WITHIN))["type"] == "snapshot", since


async def test_the_log_comes_to_who_wants_it(house: House) -> None:
    async with house.session.ws_connect("/api/v1/live") as live, house.session.ws_connect("/api/v1/live") as other:
        await other.receive_json(timeout=WITHIN)
        await live.send_json({"log": "info"})
        for nonsense in ("{", "[]", '{"log": 7}', '{"what": 1}', '{"log": "info"}'):
            await live.send_str(nonsense)
        await asyncio.sleep(0.6)
        await house.ask("POST", "/pause")

        logging.getLogger("daemon.test").warning("something to be seen, such as %s", "this")
        with anyio.fail_after(WITHIN):
            while True:
                frame = await live.receive_json()
                if frame["type"] == "log" and any("such as this" in line["message"] for line in frame["data"]["lines"]):
                    break
        with anyio.move_on_after(0.5):
            while True:
                assert (await other.receive_json())["type"] != "log"


async def test_a_frame_that_is_too_large_ends_the_connection(house: House) -> None:
    async with house.session.ws_connect("/api/v1/live") as live:
        await live.send_str("x" * (70 << 10))
        with anyio.fail_after(WITHIN):
            async for _ in live:
                pass
        assert live.close_code == 1009


async def test_other_sites_get_no_connection(house: House) -> None:
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await house.session.ws_connect("/api/v1/live", headers=headers)
        assert refused.value.status in {403, 421}
    async with house.session.get("/api/v1/live") as answer:
        assert answer.status == 400  # no WebSocket was asked for


async def test_only_so_many_may_look_on(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.live.MAX_CLIENTS", 2)
    async with house.session.ws_connect("/api/v1/live"), house.session.ws_connect("/api/v1/live"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await house.session.ws_connect("/api/v1/live")
        assert refused.value.status == 503
    async with house.session.ws_connect("/api/v1/live") as live:
        assert (await live.receive_json(timeout=WITHIN))["type"] == "snapshot"


async def test_who_goes_without_a_word_is_forgotten(house: House) -> None:
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    head = (
        f"GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{house.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", house.port)) as raw:
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_sendall(raw, head.encode())
        answer = await asyncio.get_running_loop().sock_recv(raw, 4096)
        assert answer.startswith(b"HTTP/1.1 101")
        assert (await _clients(house)) == 1
    with anyio.fail_after(WITHIN):
        while True:
            if not await _clients(house):
                break
            await anyio.sleep(0.05)


async def _clients(house: House) -> int:
    async with house.session.get("/metrics") as answer:
        text = await answer.text()
    return int(float(next(line for line in text.splitlines() if line.startswith("photon_relay_live_clients "))[26:]))


async def test_a_client_that_is_too_slow_gets_a_snapshot_instead_of_what_waits() -> None:
    client = Client(Who(kind="loopback", scope="admin", address="127.0.0.1"))
    frame = json.dumps({"x": "y" * 100_000}).encode()
    for _ in range(100):
        client.put(frame)
        assert client.waiting <= MAX_BYTES
    assert client.dropped == 1
    assert await client.next(lambda: b"snapshot") == b"snapshot"
    client.put(b"frame")
    assert await client.next(lambda: b"snapshot") == b"frame"
    client.put(b"frame")
    client.end(4401, "gone")
    assert await client.next(lambda: b"snapshot") is None


@pytest.mark.parametrize(
    "wish", ['{"log": []}', '{"log": {"a": 1}}', "[" * 60_000, '{"log": 1}', "null", '{"log": "x"}', ""]
)
async def test_nonsense_from_a_client_is_passed_over(house: House, wish: str, caplog: pytest.LogCaptureFixture) -> None:
    async with house.session.ws_connect("/api/v1/live") as live:
        await live.receive_json(timeout=WITHIN)
        await live.send_str(wish)
        await live.send_bytes(b"\xff" * 1000)
        await live.send_json({"log": "info"})
        with anyio.fail_after(WITHIN):
            kind = ""
            while kind != "log":
                logging.getLogger("daemon.probe").warning("it listens still")
                with anyio.move_on_after(0.3):
                    kind = (await live.receive_json())["type"]
    assert not [one for one in caplog.records if one.exc_info]


async def test_a_token_that_may_only_look_gets_no_log(house: House) -> None:
    _, made = await house.ask("POST", "/tokens", json={"name": "look", "scope": "read", "days": 1})
    headers = {"Authorization": f"Bearer {made['token']}"}
    for path in ("/log", "/log/download", "/audit", "/photos/export?format=csv", "/sessions", "/tokens"):
        async with house.session.get(f"/api/v1{path}", headers=headers) as answer:
            assert answer.status == 403, path
    async with house.session.ws_connect("/api/v1/live", headers=headers) as live:
        await live.receive_json(timeout=WITHIN)
        await live.send_json({"log": "debug"})
        logging.getLogger("daemon.probe").warning("not for everybody")
        with anyio.move_on_after(1.5):
            while True:
                assert (await live.receive_json())["type"] != "log"


async def test_no_more_clients_than_there_is_room_for(house: House) -> None:
    """They come all at once, while the first look at everything still lasts."""
    async with aiohttp.ClientSession(house.url, connector=aiohttp.TCPConnector(limit=0)) as many:

        async def one() -> aiohttp.ClientWebSocketResponse | int:
            try:
                return await many.ws_connect("/api/v1/live")
            except aiohttp.WSServerHandshakeError as refused:
                return refused.status

        came = await asyncio.gather(*(one() for _ in range(90)))
        inside = [each for each in came if not isinstance(each, int)]
        assert len(inside) == 64
        assert {each for each in came if isinstance(each, int)} == {503}
        await asyncio.gather(*(each.close() for each in inside))
