"""The stand-in as a process of its own: driven over its control route, and remembering across a kill."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from daemon.photoprism.client import PhotoPrism
from tests.photoprism.conftest import TOKEN, Trees

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def process(trees: Trees, port: int) -> AsyncIterator[str]:
    arguments = ["--import", str(trees.imports), "--originals", str(trees.originals), "--token", TOKEN]
    arguments += ["--port", str(port), "--db", str(trees.imports.parent / "pp.db")]
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.standins.photoprism", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert running.stdout is not None
        yield (await asyncio.wait_for(running.stdout.readline(), 20.0)).decode().strip()
    finally:
        running.kill()
        await running.communicate()


async def control(url: str, body: dict[str, Any] | None = None) -> Any:
    async with (
        aiohttp.ClientSession() as session,
        session.request("GET" if body is None else "POST", f"{url}/_control", json=body) as answer,
    ):
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def test_a_process_that_is_killed_and_started_again(trees: Trees) -> None:
    sha1, port = trees.put("batch/a.jpg"), free_port()
    client = PhotoPrism(f"http://127.0.0.1:{port}", TOKEN, timeout=5.0)
    async with process(trees, port) as url:
        await control(url, {"traps": {"outage": "503"}})
        assert [each.code for each in (await client.probe()).faults] == ["photoprism.busy"]
        await control(url, {"clear": True})
        await client.import_folder("batch", timeout=10.0)
        state = await control(url)
        assert [row["hash"] for row in state["rows"]] == [sha1]
        assert [each["path"] for each in state["imports"]] == ["batch"]
    assert [each.code for each in (await client.probe()).faults] == ["photoprism.unreachable"]
    async with process(trees, port) as url:
        assert await client.lookup(sha1) is not None
        await control(url, {"archive": [sha1]})
        assert await client.visible([sha1]) == set()
        await control(url, {"delete_original": sha1, "forget": sha1})
        assert await client.lookup(sha1) is None
        assert trees.stored() == []
    await client.close()
