"""A changed file is noticed within two seconds, once, however it was saved."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

from daemon.errors import ConfigError
from daemon.settings_file import Loaded, load, watch_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from anyio.streams.memory import MemoryObjectReceiveStream

Events = "MemoryObjectReceiveStream[Loaded | ConfigError]"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "photon-relay.yaml"
    file.write_text("watch: {settle: 10s}\n")
    return file


@asynccontextmanager
async def watched(
    file: Path, known: str | None = None
) -> AsyncIterator[MemoryObjectReceiveStream[Loaded | ConfigError]]:
    send, receive = anyio.create_memory_object_stream[Loaded | ConfigError](100)

    async def run() -> None:
        async for event in watch_settings(file, {}, known=known):
            await send.send(event)

    async with anyio.create_task_group() as group, send, receive:
        group.start_soon(run)
        await anyio.sleep(0.1)
        yield receive
        group.cancel_scope.cancel()


async def settle_of(events: MemoryObjectReceiveStream[Loaded | ConfigError]) -> float:
    with anyio.fail_after(2):
        event = await events.receive()
    assert isinstance(event, Loaded)
    return event.settings.watch.settle


async def nothing(events: MemoryObjectReceiveStream[Loaded | ConfigError], seconds: float = 1.3) -> None:
    with anyio.move_on_after(seconds):
        pytest.fail(f"unexpected: {await events.receive()}")


async def test_writing_in_place_renaming_and_a_moved_in_folder_are_noticed(file: Path) -> None:
    async with watched(file) as events:
        file.write_text("watch: {settle: 11s}\n")
        assert await settle_of(events) == 11
        other = file.with_name("new")
        other.write_text("watch: {settle: 12s}\n")
        other.rename(file)
        assert await settle_of(events) == 12
        folder = file.parent.with_name(f"{file.parent.name}-other")
        folder.mkdir()
        (folder / file.name).write_text("watch: {settle: 13s}\n")
        file.parent.rename(f"{file.parent}-old")
        folder.rename(file.parent)
        assert await settle_of(events) == 13
        await nothing(events)


async def test_the_same_content_is_no_event(file: Path) -> None:
    async with watched(file) as events:
        content = file.read_bytes()
        file.write_bytes(content)
        file.touch()
        other = file.with_name("new")
        other.write_bytes(content)
        other.rename(file)
        await nothing(events)


async def test_a_fault_is_told_once_and_its_end_too(file: Path) -> None:
    async with watched(file) as events:
        good = file.read_bytes()
        file.write_text("watch: {settle: soon}\n")
        with anyio.fail_after(2):
            event = await events.receive()
        assert isinstance(event, ConfigError)
        assert event.faults[0].startswith(f"{file}:1: watch.settle: ")
        await nothing(events)
        file.write_bytes(good)
        assert await settle_of(events) == 10


async def test_a_file_that_is_gone_is_told_once_and_its_return_too(file: Path) -> None:
    async with watched(file) as events:
        away = file.with_name("away")
        file.rename(away)
        with anyio.fail_after(2.5):
            event = await events.receive()
        assert isinstance(event, ConfigError)
        await nothing(events, 2)
        away.rename(file)
        assert await settle_of(events) == 10


async def test_a_slow_editor_makes_one_event_of_the_whole(file: Path) -> None:
    async with watched(file) as events:
        with file.open("w") as opened:
            opened.flush()
            for part in ("watch:\n", "  settle: ", "17s\n"):
                await anyio.sleep(0.2)
                opened.write(part)
                opened.flush()
        assert await settle_of(events) == 17
        await nothing(events)


async def test_an_emptied_file_is_given_time_to_be_filled(file: Path) -> None:
    async with watched(file) as events:
        file.write_text("")
        await anyio.sleep(0.8)
        file.write_text("watch: {settle: 19s}\n")
        assert await settle_of(events) == 19


async def test_a_change_since_what_is_in_force_is_noticed_at_once(file: Path) -> None:
    known = load(file, {}).etag
    async with watched(file, known) as events:
        await nothing(events)
    file.write_text("watch: {settle: 18s}\n")
    async with watched(file, known) as events:
        assert await settle_of(events) == 18
