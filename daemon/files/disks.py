"""What kind of disk a folder is on, and how many files at once that disk likes."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

_MOST = 4
_UNTRUE = ("/virtio", "/vbd-", "/vmbus", "/virtual/block/loop", "/virtual/block/nbd")
"""In whose paths a disk stands that says that it spins, as all do of which nobody knows: those of virtual machines."""


def streams(path: str, sys: str = "/sys", mounts: str = "/proc/self/mountinfo") -> int:
    """Give how many files are best read or written at the same time: one where heads must move, else one a processor.

    Four at most. A disk whose kind cannot be told counts as one without heads. Blocking.
    """
    try:
        device = os.stat(path).st_dev
    except OSError:
        device = 0
    return 1 if _spins_on(device, path, sys, mounts) else max(1, min(_MOST, os.cpu_count() or 1))


@lru_cache(32)
def _spins_on(_device: int, path: str, sys: str, mounts: str) -> bool | None:
    """Ask once of each folder, as long as the same device is there: each step of each batch wants to know."""
    return spins(path, sys, mounts)


def spins(path: str, sys: str = "/sys", mounts: str = "/proc/self/mountinfo") -> bool | None:
    """Tell whether a folder is on a spinning disk; ``None`` where that cannot be told (memory, network, FUSE)."""
    try:
        device = os.stat(path).st_dev
        name = _block(device, sys)
        if name is not None:
            return _rotational(name)
        return _behind(path, sys, mounts)
    except OSError:
        return None


def _block(device: int, sys: str) -> Path | None:
    """Give the folder of a block device; a partition's is that of its disk."""
    link = Path(f"{sys}/dev/block/{os.major(device)}:{os.minor(device)}")
    if not link.exists():
        return None
    found = link.resolve()
    return found.parent if (found / "partition").exists() else found


def _rotational(block: Path) -> bool:
    """Read what the kernel says of a disk, or of those that it is made of (LVM, RAID, encryption)."""
    slaves = list((block / "slaves").iterdir()) if (block / "slaves").is_dir() else []
    if slaves:
        parts = [one.resolve() for one in slaves]
        return any(_rotational(one.parent if (one / "partition").exists() else one) for one in parts)
    said = (block / "queue/rotational").read_text().strip() == "1"
    return said and not any(one in str(block) for one in _UNTRUE)


def _behind(path: str, sys: str, mounts: str) -> bool | None:
    """Look behind a file system whose device number is none of a disk: btrfs, overlayfs."""
    real = os.path.realpath(path)
    found: tuple[str, str, str, str] | None = None
    with open(mounts, encoding="utf-8", errors="surrogateescape") as table:
        for line in table:
            before, _, after = line.rstrip("\n").partition(" - ")
            point = before.split(" ")[4]
            inside = real == point or real.startswith(point.rstrip("/") + "/")
            if inside and (found is None or len(point) >= len(found[0])):
                kind, source, options = (*after.split(" "), "", "")[:3]
                found = point, kind, source, options
    if found is None:
        return None
    _, kind, source, options = found
    if kind == "btrfs":
        return _of_btrfs(source, sys)
    if kind == "overlay":
        upper = next((one[9:] for one in options.split(",") if one.startswith("upperdir=")), "")
        return spins(upper, sys, mounts) if upper and os.path.realpath(upper) != real else None
    return None


def _of_btrfs(source: str, sys: str) -> bool | None:
    """Tell of a btrfs over one disk or several, of which the mount table names one; one that spins is enough."""
    one = _block(os.stat(source).st_rdev, sys)
    if one is None:
        return None
    for devices in Path(f"{sys}/fs/btrfs").glob("*/devices"):
        found = [device.resolve() for device in devices.iterdir()]
        disks = [disk.parent if (disk / "partition").exists() else disk for disk in found]
        if one in disks:
            return any(_rotational(disk) for disk in disks)
    return _rotational(one)
