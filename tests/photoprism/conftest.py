"""A PhotoPrism stand-in on a loopback port, a client that talks to it, and a clock that a test moves on."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from daemon.clock import Clock
from daemon.photoprism.client import PhotoPrism
from tests.standins.photoprism import PhotoPrismStandIn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TOKEN = "AAAAAA-BBBBBB-CCCCCC-DDDDDD"


class TestClock(Clock):
    """Time that stands still until a test moves it; sleeping moves it."""

    __test__ = False

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds
        await anyio.lowlevel.checkpoint()


@dataclass
class Trees:
    """The two folders, and photos put into one of them."""

    imports: Path
    originals: Path

    def put(self, name: str, data: bytes | None = None, *, mtime: float = 1_790_000_000.5) -> str:
        """Put a file below import; gives its SHA-1."""
        path = self.imports / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = data if data is not None else name.encode("utf-8", "surrogateescape") * 50
        path.write_bytes(content)
        os.utime(path, (mtime, mtime))
        return hashlib.sha1(content).hexdigest()

    def left(self) -> list[str]:
        """Give the files still below import."""
        return sorted(str(each.relative_to(self.imports)) for each in self.imports.rglob("*") if each.is_file())

    def stored(self) -> list[str]:
        """Give the files below originals."""
        return sorted(str(each.relative_to(self.originals)) for each in self.originals.rglob("*") if each.is_file())


@pytest.fixture
def trees(tmp_path: Path) -> Trees:
    trees = Trees(tmp_path / "import", tmp_path / "originals")
    trees.imports.mkdir()
    trees.originals.mkdir()
    return trees


@pytest.fixture
async def pp(trees: Trees) -> AsyncIterator[PhotoPrismStandIn]:
    async with PhotoPrismStandIn(trees.imports, trees.originals, token=TOKEN) as standin:
        yield standin


@pytest.fixture
def clock() -> TestClock:
    return TestClock()


@pytest.fixture
async def client(pp: PhotoPrismStandIn, clock: TestClock) -> AsyncIterator[PhotoPrism]:
    client = PhotoPrism(pp.url, TOKEN, clock=clock, timeout=5.0)
    yield client
    await client.close()
