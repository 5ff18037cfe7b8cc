from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.ui.house import House

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Give a whole daemon that runs until the test ends."""
    async with House(tmp_path / "playground").open() as running:
        yield running
