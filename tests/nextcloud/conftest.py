"""A Nextcloud of three users with an album, and the real ``occ`` process that stands in for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from daemon.clock import Clock
from daemon.nextcloud.occ import Occ
from daemon.nextcloud.runner import CommandRunner
from tests.standins.occ import StandInOcc

if TYPE_CHECKING:
    from pathlib import Path


class SetClock(Clock):
    """A monotonic clock that stands still until a test sets it."""

    seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Cloud:
    data: Path
    album: Path
    server: StandInOcc
    clock: SetClock
    occ: Occ

    def photo(self, user: str, path: str, content: bytes = b"photo") -> Path:
        return _write(self.data / user / "files" / path, content)

    def archived(self, path: str, content: bytes = b"archived") -> Path:
        return _write(self.album / path, content)


def _write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    data, album = tmp_path / "data", tmp_path / "archive"
    album.mkdir()
    for user in ("alice", "bob", "o'neil @home"):
        (data / user / "files").mkdir(parents=True)
    (data / ".ncdata").touch()
    server = StandInOcc(data, tmp_path / "occ.json", {album: "/Album"})
    clock = SetClock()
    return Cloud(data, album, server, clock, Occ(CommandRunner(server.command), timeout=30, clock=clock))
