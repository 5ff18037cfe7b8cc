"""Worlds to relay in: one with a folder as the archive, one with PhotoPrism."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from daemon.relay import photoprism_archive, photoprism_proof
from tests.relay.world import World
from tests.standins.photoprism import PhotoPrismStandIn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class MakeWorld(Protocol):
    async def __call__(self, archive: str = "photoprism", **settings: Any) -> World: ...


@asynccontextmanager
async def a_world(root: Path, archive: str, **settings: Any) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        prism = None
        if archive == "photoprism":
            (root / "import").mkdir()
            (root / "archive").mkdir()
            prism = await stack.enter_async_context(PhotoPrismStandIn(root / "import", root / "archive"))
        world = World(root, prism=prism, settings=settings)
        stack.push_async_callback(world.close)
        yield world


@pytest.fixture
async def make_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakeWorld]:
    monkeypatch.setattr(photoprism_archive, "HEARING", 0.1)
    monkeypatch.setattr(photoprism_proof, "LOOK", 0.05)
    async with AsyncExitStack() as stack:

        async def make(archive: str = "photoprism", **settings: Any) -> World:
            return await stack.enter_async_context(a_world(tmp_path, archive, **settings))

        yield make


@pytest.fixture
async def world(make_world: MakeWorld) -> World:
    """PhotoPrism, originals mounted, after: delete."""
    return await make_world()


@pytest.fixture
async def folder_world(make_world: MakeWorld) -> World:
    """A folder as the archive, after: delete."""
    return await make_world("folder")
