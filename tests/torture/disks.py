"""Real disks to be cruel to: file systems in files, made small, filled, taken away under way and given back."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.torture.counts import COUNTS

if TYPE_CHECKING:
    from pathlib import Path

BALLAST = "ballast-"
# The smallest sizes that the mkfs programs accept, in MiB; the files are sparse.
SIZES = {"tmpfs": 64, "ext4": 64, "btrfs": 128, "xfs": 320, "overlay": 64}


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60)


@dataclass
class Disk:
    """One file system that can be mounted at ``point``, taken away and given back with what is on it.

    ``options`` go to ``mount``, ``make`` to ``mkfs``. A tmpfs, and the upper layer of an overlay, live as long as
    they are mounted only.
    """

    kind: str
    point: Path
    images: Path
    options: str = ""
    make: tuple[str, ...] = ()
    megabytes: int = 0
    where: Path = field(init=False)

    def __post_init__(self) -> None:
        self.where = self.images / f"{self.point.name}-{self.kind}"
        self.point.mkdir(parents=True, exist_ok=True)
        size = (self.megabytes or SIZES[self.kind]) << 20
        if self.kind == "overlay":
            for name in ("lower", "upper", "work"):
                (self.where / name).mkdir(parents=True)
        elif self.kind != "tmpfs":
            if shutil.which(f"mkfs.{self.kind}") is None:
                pytest.skip(f"mkfs.{self.kind} is not installed (apt-get install btrfs-progs xfsprogs)")
            with self.where.open("wb") as file:
                file.truncate(size)
            done = _run(f"mkfs.{self.kind}", "-q", *self.make, str(self.where))
            assert done.returncode == 0, done.stderr
        self.mount()

    def mount(self, options: str = "") -> None:
        """Give it (back)."""
        extra = ",".join(one for one in (self.options, options) if one)
        if self.kind == "tmpfs":
            words = ["-t", "tmpfs", "-o", f"size={self.megabytes or SIZES['tmpfs']}m{',' + extra if extra else ''}"]
            words += ["tmpfs"]
        elif self.kind == "overlay":
            layers = ",".join(f"{name}dir={self.where / name}" for name in ("lower", "upper", "work"))
            words = ["-t", "overlay", "-o", f"{layers}{',' + extra if extra else ''}", "overlay"]
        else:
            words = ["-o", f"loop{',' + extra if extra else ''}", str(self.where)]
        done = _run("mount", *words, str(self.point))
        if done.returncode != 0:
            pytest.skip(f"mounting {self.kind} failed: {done.stderr.strip()}")

    def remount(self, options: str) -> None:
        """Change how it is mounted: ``ro``, ``rw``, ``size=…``."""
        COUNTS.faults += "ro" in options.split(",")
        done = _run("mount", "-o", f"remount,{options}", str(self.point))
        assert done.returncode == 0, done.stderr

    def unmount(self) -> None:
        """Take it away, whoever has something open on it."""
        COUNTS.faults += 1
        done = _run("umount", "--lazy", str(self.point))
        assert done.returncode == 0, done.stderr

    def close(self) -> None:
        """Clear up, whatever state it is in."""
        while os.path.ismount(self.point):
            if _run("umount", "--lazy", str(self.point)).returncode:
                break
        with contextlib.suppress(OSError):
            if self.where.is_file():
                self.where.unlink()


class Disks:
    """The disks of one test below one folder; all are taken away at its end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images = folder / "images"
        self.images.mkdir()
        self._open: list[Disk] = []
        self._bound: list[Path] = []

    def __enter__(self) -> Disks:
        return self

    def __exit__(self, *_: object) -> None:
        for point in reversed(self._bound):
            _run("umount", "--lazy", str(point))
        for disk in reversed(self._open):
            disk.close()

    def give(self, kind: str, name: str, **how: Any) -> Disk:
        """Mount a new disk of this kind at ``name`` below the folder."""
        if os.geteuid() != 0:
            pytest.skip("mounting needs root")
        disk = Disk(kind, self.folder / name, self.images, **how)
        self._open.append(disk)
        return disk

    def bind(self, source: Path, name: str) -> Path:
        """Show one folder at another place too, as a mount of its own: no rename leads from one to the other."""
        point = self.folder / name
        point.mkdir(parents=True, exist_ok=True)
        return self._bind(source, point)

    def bind_file(self, source: Path, name: str) -> Path:
        """Show one file at another place too: a mount of its own, over which nothing can be renamed."""
        point = self.folder / name
        point.parent.mkdir(parents=True, exist_ok=True)
        point.touch()
        return self._bind(source, point)

    def _bind(self, source: Path, point: Path) -> Path:
        done = _run("mount", "--bind", str(source), str(point))
        if done.returncode:
            pytest.skip(f"bind mounts are refused: {done.stderr.strip()}")
        self._bound.append(point)
        return point


def fill(folder: Path, leave: int = 0) -> Path:
    """Fill a disk to the last byte (but for ``leave``) with a file, and give that file."""
    COUNTS.faults += 1
    ballast = folder / f"{BALLAST}{len(list(folder.iterdir()))}"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 16, 1 << 12, 1 << 9):
            with contextlib.suppress(OSError):
                while file.write(b"\1" * size):
                    pass
        with contextlib.suppress(OSError):
            os.fsync(file.fileno())
    if leave:
        os.truncate(ballast, max(0, ballast.stat().st_size - leave))
    return ballast


def fill_inodes(folder: Path) -> Path:
    """Make empty files until no more can be made, and give the folder that holds them."""
    COUNTS.faults += 1
    many = folder / f"{BALLAST}inodes"
    many.mkdir()
    with contextlib.suppress(OSError):
        for number in range(1_000_000):
            (many / str(number)).touch()
    return many
