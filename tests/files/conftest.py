"""Real file systems to work on: the disk, a tmpfs, and ext4, btrfs and XFS in files mounted as loop devices."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# A busy machine is no fault of the code: what hangs is caught by the time limit of each test.
settings.register_profile("patient", settings.default, deadline=None)
settings.load_profile("patient")

# The smallest sizes that the mkfs programs accept, in MiB; the files are sparse.
_SIZES = {"tmpfs": 64, "ext4": 64, "btrfs": 128, "xfs": 320}


def mount(kind: str, folder: Path, *, megabytes: int | None = None) -> Path:
    """Make and mount a file system of its own below ``folder``; the caller unmounts it."""
    if os.geteuid() != 0:
        pytest.skip(f"mounting {kind} needs root")
    point = folder / f"mount-{kind}"
    point.mkdir()
    size = megabytes or _SIZES[kind]
    if kind == "tmpfs":
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", str(point)]
    else:
        if shutil.which(f"mkfs.{kind}") is None:
            pytest.skip(f"mkfs.{kind} is not installed (apt-get install btrfs-progs xfsprogs)")
        image = folder / f"{kind}.img"
        with image.open("wb") as file:
            file.truncate(size << 20)
        subprocess.run([f"mkfs.{kind}", "-q", str(image)], check=True, capture_output=True)
        command = ["mount", "-o", "loop", str(image), str(point)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"mounting {kind} failed: {done.stderr.strip()}")
    return point


def unmount(point: Path) -> None:
    subprocess.run(["umount", "--lazy", str(point)], check=True, capture_output=True)


@pytest.fixture(scope="session")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    """Mount each kind of file system once, when it is first asked for."""
    points: dict[str, Path] = {}

    def give(kind: str) -> Path:
        if kind not in points:
            points[kind] = mount(kind, tmp_path_factory.mktemp(kind))
        return points[kind]

    yield give
    for point in points.values():
        unmount(point)


@pytest.fixture(params=["disk", "tmpfs", "ext4", "btrfs", "xfs"])
def filesystem(request: pytest.FixtureRequest, mounted: Callable[[str], Path], tmp_path: Path) -> Iterator[Path]:
    """An empty folder on each of the file systems in turn."""
    if request.param == "disk":
        yield tmp_path
        return
    folder = mounted(request.param) / tmp_path.name
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    """An open, empty folder on the disk, as a descriptor."""
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)
