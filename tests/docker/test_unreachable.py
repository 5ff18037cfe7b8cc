"""The engine that is not there, does not answer, says no, or says nonsense: over real sockets, without an engine."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from daemon.docker.engine import Container, Engine
from daemon.errors import NeedsPerson, RelayError, Transient
from daemon.nextcloud.container import DockerRunner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HERE = Container("1", "nextcloud", "running")


async def code_of(engine: Engine) -> tuple[str, bool]:
    try:
        with pytest.raises(RelayError) as caught:
            await engine.containers()
    finally:
        await engine.aclose()
    return caught.value.code, isinstance(caught.value, Transient)


@pytest.mark.parametrize(
    "host", ["unix:///nowhere/docker.sock", "tcp://127.0.0.1:1", "nonsense", "http://[", "unix://"]
)
async def test_nobody_there(host: str) -> None:
    assert await code_of(Engine(host)) == ("docker.unreachable", True)


async def test_docker_host_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/else.sock")
    assert Engine().host == "unix:///nowhere/else.sock"
    assert Engine("unix:///here.sock").host == "unix:///here.sock"
    monkeypatch.delenv("DOCKER_HOST")
    assert Engine().host == "unix:///var/run/docker.sock"


async def test_one_that_never_answers(tmp_path: Path) -> None:
    done = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        done.set()

    server = await asyncio.start_unix_server(silent, tmp_path / "silent.sock")
    began = time.monotonic()
    assert await code_of(Engine(f"unix://{tmp_path}/silent.sock", request_seconds=0.3)) == ("docker.unreachable", True)
    assert time.monotonic() - began < 5
    await done.wait()
    server.close()
    await server.wait_closed()


@asynccontextmanager
async def gate(tmp_path: Path, *routes: web.RouteDef) -> AsyncIterator[Engine]:
    async def version(_: web.Request) -> web.Response:
        return web.json_response({"ApiVersion": "1.41"})

    app = web.Application()
    app.add_routes([web.get("/version", version), *routes])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "gate.sock")).start()
    engine = Engine(f"unix://{tmp_path}/gate.sock")
    try:
        yield engine
    finally:
        await engine.aclose()
        await runner.cleanup()


async def test_a_gate_that_says_no(tmp_path: Path) -> None:
    async def no(_: web.Request) -> web.Response:
        return web.json_response({"message": "not on the list"}, status=403)

    async def listed(_: web.Request) -> web.Response:
        return web.json_response([{"Id": "1", "Names": ["/nextcloud"], "State": "running", "Labels": None}])

    async with gate(
        tmp_path, web.get("/v1.41/containers/json", listed), web.post("/v1.41/containers/1/exec", no)
    ) as engine:
        assert await engine.containers() == [HERE]
        with pytest.raises(NeedsPerson, match=r"not on the list") as caught:
            await DockerRunner(engine, "nextcloud").run(["status"], timeout=5)
        assert caught.value.code == "docker.forbidden"


@pytest.mark.parametrize("body", ["[", '{"a": 1}', "null", '[{"Names": 3}]', "[3]", "[{}]"])
async def test_one_that_talks_nonsense(tmp_path: Path, body: str) -> None:
    async def nonsense(_: web.Request) -> web.Response:
        return web.Response(text=body, content_type="application/json")

    async with gate(tmp_path, web.get("/v1.41/containers/json", nonsense)) as engine:
        with pytest.raises(Transient) as caught:
            await DockerRunner(engine, "nextcloud").run(["status"], timeout=5)
    assert caught.value.code in {"docker.unreachable", "docker.container_missing"}


async def test_a_fault_of_the_engine(tmp_path: Path) -> None:
    async def broken(_: web.Request) -> web.Response:
        return web.json_response({"message": "disk full"}, status=500)

    async with gate(tmp_path, web.get("/v1.41/containers/json", broken)) as engine:
        assert await code_of(engine) == ("docker.failed", True)


@pytest.mark.parametrize("item", ["bad\udcff", "zero\0byte"])
async def test_what_the_api_cannot_carry_is_not_sent(item: str) -> None:
    engine = Engine("unix:///nowhere/docker.sock")
    with pytest.raises(NeedsPerson, match=r"docker\.not_utf8") as caught:
        await engine.exec(HERE, ["php", item], user="www-data", seconds=5)
    caught.value.message.encode()
