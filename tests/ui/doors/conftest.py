from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.ui.doors.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    Make = Callable[..., Awaitable[World]]


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Make]:
    """Give what makes a page with these settings of its own, served until the test ends."""
    async with AsyncExitStack() as stack:

        async def make(context: Any = None, **ui: Any) -> World:
            return await stack.enter_async_context(World(tmp_path / "state", **ui).served(context))

        yield make
