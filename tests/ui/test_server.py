"""The page as a server: it answers from the first moment to the last, in one form, whatever the parts behind it do."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio
import pytest

from daemon.demo.playground import fixed
from tests.e2e.world import ROOT
from tests.ui.house import House
from ui import security

if TYPE_CHECKING:
    from pathlib import Path


async def test_it_is_alive_and_ready(house: House) -> None:
    async with house.session.get("/healthz") as answer:
        assert (answer.status, await answer.json()) == (200, {"ok": True})
    async with house.session.get("/readyz") as answer:
        assert (answer.status, await answer.json()) == (200, {"ready": True, "reasons": []})


PLACES = ("/", "/healthz", "/metrics", "/nothing/here", "/static/js/app.js", "/api/v1/status", "/api/v1/nothing")


async def test_every_answer_carries_the_headers(house: House) -> None:
    for path in PLACES:
        async with house.session.get(path) as answer:
            for name, value in security.HEADERS.items():
                assert answer.headers[name] == value, (path, name)
            assert answer.headers["Server"] == "photon-relay"
            assert "Cache-Control" in answer.headers
            assert "unsafe" not in answer.headers["Content-Security-Policy"]
            assert "Strict-Transport-Security" not in answer.headers  # over http it would be a lie


JSON, YAML = {"Content-Type": "application/json"}, {"Content-Type": "text/yaml"}
WRONG: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("GET", "/nothing", {}, 404, "request.no_route"),
    ("DELETE", "/status", {}, 405, "request.method"),
    ("GET", "/photos/1x", {}, 404, "request.no_route"),
    ("GET", "/photos/999999", {}, 404, "photo.unknown"),
    ("GET", "/photos/999999/thumbnail", {}, 404, "photo.unknown"),
    ("GET", "/batches/999999", {}, 404, "batch.unknown"),
    ("GET", "/runs/999999", {}, 404, "run.unknown"),
    ("GET", "/users/nobody", {}, 404, "user.unknown"),
    ("GET", "/config/versions/999999", {}, 404, "version.unknown"),
    ("GET", "/photos?limit=0", {}, 422, "request.invalid"),
    ("GET", "/photos?limit=201", {}, 422, "request.invalid"),
    ("GET", "/photos?limit=1_0", {}, 422, "request.invalid"),
    ("GET", "/photos?lmit=10", {}, 422, "request.invalid"),
    ("GET", "/photos?limit=10&limit=20", {}, 422, "request.invalid"),
    ("GET", "/photos?since=yesterday", {}, 422, "request.invalid"),
    ("GET", "/status?x=1", {}, 422, "request.invalid"),
    ("POST", "/sweeps", {"data": b"{", "headers": JSON}, 400, "request.malformed"),
    ("POST", "/sweeps", {"json": {"dry_run": "yes"}}, 422, "request.invalid"),
    ("POST", "/sweeps", {"json": {"dryrun": True}}, 422, "request.invalid"),
    ("POST", "/sweeps", {"data": b"users=a"}, 415, "request.media_type"),
    ("POST", "/sweeps", {"data": b"{}", "headers": {**JSON, "Content-Encoding": "gzip"}}, 415, "request.media_type"),
    ("POST", "/sweeps", {"json": {"users": ["x" * 150] * 600}}, 413, "request.too_large"),
    ("PUT", "/config", {"data": io.BytesIO(b"#" * (2 << 20)), "headers": YAML}, 413, "request.too_large"),
    ("PUT", "/config", {"data": b"\xff\xfe", "headers": YAML}, 400, "request.malformed"),
    ("POST", "/act/nonsense", {}, 404, "act.unknown"),
]


async def test_errors_have_one_form(house: House) -> None:
    found = []
    for method, path, more, *_ in WRONG:
        status, body = await house.ask(method, path, **more)
        error = body.get("error", {})
        assert error.keys() >= {"code", "message", "hint"}, (path, body)
        found.append((method, path, status, error["code"]))
    assert found == [(method, path, status, code) for method, path, _, status, code in WRONG]


async def test_before_the_parts_are_there_it_says_so(tmp_path: Path) -> None:
    house = House(tmp_path / "playground")
    (house.playground.data / ".ncdata").unlink()  # the data directory is not mounted
    async with house.open(ready=False):
        with anyio.fail_after(10):
            while True:
                try:
                    async with house.session.get("/healthz") as answer:
                        assert answer.status == 200
                        break
                except aiohttp.ClientConnectionError:
                    await anyio.sleep(0.05)
        await house.log_in()
        # Until then whoever looks sees what is missing, and deeds wait.
        await house.until(lambda: house.front.service() is not None, "the parts")
        with anyio.fail_after(10):
            while True:
                issues = (await house.get("/status"))["issues"]
                if "nextcloud.mount_missing" in {one["code"] for one in issues}:
                    break
                await anyio.sleep(0.05)
        async with house.session.get("/readyz") as answer:
            assert answer.status == 503
            codes = {one["code"] for one in (await answer.json())["reasons"]}
            assert codes == {"daemon.starting", "nextcloud.mount_missing"}
        headers = {"X-CSRF-Token": house.csrf}
        async with house.session.post("/api/v1/photos/1/retry", headers=headers) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (503, "daemon.starting")
            assert answer.headers["Retry-After"] == "2"
        (house.playground.data / ".ncdata").touch()
        await house.until_ready()


async def test_the_page_and_its_connections_outlive_the_parts(house: House) -> None:
    async with house.session.ws_connect("/api/v1/live") as live:
        first = await live.receive_json(timeout=10)
        assert first["type"] == "snapshot"
        before = house.front.service()
        house.configure(nextcloud={"occ": {**house.playground.settings(0)["nextcloud"]["occ"], "timeout": "20m"}})
        await house.until(lambda: house.front.started() and house.front.service() is not before, "new parts")
        assert (await house.get("/status"))["version"]
        house.playground.upload(fixed()[0])
        seen: set[int] = set()
        with anyio.fail_after(20):
            while not seen:
                frame = await live.receive_json()
                seen |= {one["id"] for one in frame["data"].get("photos", []) if one["state"] == "done"}
    assert len(seen) == 1


async def test_a_port_in_use_is_told_and_tried_again_while_the_relay_goes_on(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        house = House(tmp_path / "playground", port=taken.getsockname()[1])
        async with house.open(ready=False):
            await house.until(lambda: hasattr(house, "front") and house.front.started(), "the relay")
            service = house.front.service()
            assert service is not None
            await house.until(lambda: any(one["code"] == "ui.listen" for one in service.open_issues()), "the issue")
            house.playground.upload(fixed()[0])
            await house.until(lambda: house.ledger.photos.counts()["done"] == 1, "a photo relayed all the same")
            taken.close()
            await house.until_ready()
            assert not service.open_issues()


async def test_a_new_address_counts_without_a_restart(house: House) -> None:
    port = House(house.playground.root.parent / "other").port
    house.configure(ui={"listen": f"127.0.0.1:{port}"})
    with anyio.fail_after(10):
        while True:
            try:
                async with aiohttp.request("GET", f"http://127.0.0.1:{port}/healthz") as answer:
                    assert answer.status == 200
                    break
            except aiohttp.ClientConnectionError:
                await anyio.sleep(0.05)


async def test_at_the_end_live_connections_are_told(tmp_path: Path) -> None:
    house = House(tmp_path / "playground")
    words = [sys.executable, "-m", "daemon", "run", "--config", str(house.playground.config)]
    process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.DEVNULL)
    try:
        async with aiohttp.ClientSession(house.url) as house.session:
            await house.until_ready()
            live = await house.session.ws_connect("/api/v1/live")
            await live.receive_json(timeout=10)
            silent = socket.create_connection(("127.0.0.1", house.port))  # says nothing, and keeps nobody waiting
            began = asyncio.get_running_loop().time()
            process.send_signal(signal.SIGTERM)
            with anyio.fail_after(10):
                async for _ in live:
                    pass
            assert live.close_code == 1001
            assert await asyncio.to_thread(process.wait, 10) == 0
            assert asyncio.get_running_loop().time() - began < 7  # by itself, not because its patience was over
            silent.close()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    "sent", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 20_000 + b"\r\n\r\n"]
)
async def test_what_is_no_request_gets_an_answer_in_the_same_form(
    house: House, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(sent)
    head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    writer.close()
    assert head.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    assert b"Content-Security-Policy: default-src 'none'" in head
    assert b"aiohttp" not in head
    assert json.loads(body)["error"]["code"] == "request.malformed"
    assert not [one for one in caplog.records if one.levelname in {"ERROR", "CRITICAL"}]


async def test_who_connects_and_says_nothing_is_hung_up_on(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.wire.KEEPALIVE", 0.5)
    for beginning in (b"", b"GET /healthz HTTP/1.1\r\nHost: 127"):
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(beginning)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()


async def test_only_so_many_connections_are_held(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.places.MOST", 20)
    monkeypatch.setattr("ui.places.RESERVED", 0)
    held = [await asyncio.open_connection("127.0.0.1", house.port) for _ in range(40)]
    hung_up = 0
    for reader, writer in held:
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(0.05):
                await reader.read(1)
                hung_up += 1
                continue
        writer.close()
    assert hung_up >= 20
    for _, writer in held:
        writer.close()
    await asyncio.sleep(0.1)
    async with house.session.get("/healthz") as answer:
        assert answer.status == 200


async def test_nobody_is_sent_away_while_the_parts_are_built_anew(house: House) -> None:
    before = house.front.service()
    house.configure(archive={"via": "photoprism"}, photoprism={"url": "http://127.0.0.1:9", "token": "not-a-token"})
    with anyio.fail_after(20):
        while house.front.service() in {before, None}:
            assert (await house.ask("GET", "/status"))[0] == 200
            status, found = await house.ask("POST", "/photos/999/retry")
            assert (status, found["error"]["code"]) == (404, "photo.unknown")
