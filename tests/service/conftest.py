"""The service over a world of real parts: what is relayed in the world, its rooms tell of."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from daemon.app import App
from tests.relay.conftest import folder_world, make_world, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from daemon.service import Service
    from tests.relay.world import World

__all__ = ["folder_world", "make_world", "world"]


@asynccontextmanager
async def service_over(world: World) -> AsyncIterator[Service]:
    """Give a service over a world's ledger and settings, with its runs going; the relay is the world's own."""
    app = App(world.settings, world.ledger, world.clock, world.bus)
    # No task group: a fixture's two halves are not of one task.
    serving = asyncio.create_task(app.service.runs.serve())
    try:
        await asyncio.sleep(0)
        yield app.service
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        await app.close()


@pytest.fixture
async def service(folder_world: World) -> AsyncIterator[Service]:
    """A service over ``folder_world``."""
    async with service_over(folder_world) as service:
        yield service
