"""The loop in which other programs are started: it may stand still, and ours goes on."""

from __future__ import annotations

import time
from subprocess import PIPE

import anyio
import pytest

from daemon.elsewhere import elsewhere


async def test_a_start_that_stands_still_keeps_nobody_waiting() -> None:
    async def start() -> str:
        time.sleep(1.0)  # as vfork does
        return "begun"

    said: list[str] = []

    async def begin() -> None:
        said.append(await elsewhere(start()))

    began = time.monotonic()
    async with anyio.create_task_group() as group:
        group.start_soon(begin)
        await anyio.sleep(0.05)
        assert time.monotonic() - began < 0.8
    assert said == ["begun"]


async def test_what_was_begun_is_ended_when_its_caller_is_cancelled() -> None:
    ended: list[int] = []

    async def run() -> None:
        process = await anyio.open_process(["sleep", "60"], stdout=PIPE)
        try:
            await process.wait()
        finally:
            with anyio.CancelScope(shield=True):
                process.kill()
                ended.append(await process.wait())
                await process.aclose()

    with anyio.move_on_after(0.5):
        await elsewhere(run())
    assert ended == [-9]


async def test_what_it_raises_is_raised_here() -> None:
    async def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await elsewhere(fail())
