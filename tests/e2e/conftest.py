"""A world for each test, cleared away at its end whatever happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Give a world with alice and bob included, PhotoPrism up, the daemon not started."""
    with World(tmp_path) as made:
        made.prism.start()
        yield made
