"""A house with everything a start needs: a Nextcloud of two users, PhotoPrism's folders, a state folder, stand-ins."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from daemon.clock import Clock
from daemon.nextcloud.occ import Occ
from daemon.nextcloud.runner import CommandRunner
from daemon.settings import Settings
from tests.standins.occ import StandInOcc

if TYPE_CHECKING:
    from pathlib import Path

MOUNT = {
    "mount_id": 3,
    "mount_point": "/Album",
    "storage": "\\OC\\Files\\Storage\\Local",
    "configuration": {"datadir": "/archive"},
    "options": {"readonly": True},
    "applicable_users": [],
    "applicable_groups": [],
}


def snapshot(folder: Path) -> dict[str, tuple[int, int, int, int]]:
    """Everything below a folder: inode, mode, size and mtime (folders without it: ours came and went in them)."""
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        status = path.lstat()
        mtime = 0 if path.is_dir() else status.st_mtime_ns
        found[os.fsdecode(path)] = (status.st_ino, status.st_mode, status.st_size if mtime else 0, mtime)
    return found


@dataclass
class House:
    root: Path
    server: StandInOcc
    occ: Occ

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def imports(self) -> Path:
        return self.root / "import"

    @property
    def originals(self) -> Path:
        return self.root / "originals"

    @property
    def archive(self) -> Path:
        return self.root / "archive"

    def folder(self, user: str, name: str = "InstantUpload") -> Path:
        path = self.data / user / "files" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def settings(self, **changes: dict[str, Any]) -> Settings:
        """The settings of this house, with whole sections changed by key."""
        given: dict[str, dict[str, Any]] = {
            "nextcloud": {"data": str(self.data), "occ": {"via": "command", "command": self.server.command}},
            "users": {"include": {"alice": {"after": "delete"}, "bob": {"after": "archive"}}},
            "archive": {"folder": {"path": str(self.archive)}},
            "photoprism": {"import": str(self.imports), "originals": str(self.originals)},
            "relay": {"min_free": "1MB"},
        }
        for section, keys in changes.items():
            given[section] = given.get(section, {}) | keys
        return Settings.model_validate(given | {"state": str(self.root / "state")})

    def mounts(self, *mounts: dict[str, Any]) -> None:
        """What ``occ files_external:list`` says."""
        self.server.switch(answers={"files_external:list": {"stdout": json.dumps(mounts)}})


@pytest.fixture
def house(tmp_path: Path) -> House:
    root = tmp_path / "house"
    for name in ("import", "originals/2026/11", "archive", "state", "data/admin/files"):
        (root / name).mkdir(parents=True)
    (root / "originals/2026/11/a.jpg").write_bytes(b"a")
    (root / "data/.ncdata").write_text("# Nextcloud data directory\n")
    # Beside the house: what it writes is not what the checks leave behind.
    server = StandInOcc(root / "data", tmp_path / "occ.json", {root / "archive": "/Album"})
    house = House(root, server, Occ(CommandRunner(server.command), timeout=30, clock=Clock()))
    for user in ("alice", "bob"):
        (house.folder(user) / "x.jpg").write_bytes(user.encode())
        (house.folder(user) / "x.jpg").chmod(0o640)
    house.mounts(MOUNT)
    return house
