"""Moving a folder of photos: the program's sweep, what people use instead, and the reading alone as a limit.

Each moves the photos into the archive in its own way: rsync compares every byte with what stands there, the loop writes
down the hashes first, rclone moves (a rename where it can). ``sha1sum`` moves nothing: it only reads, on all cores.
"""

from __future__ import annotations

import os
import shutil
import statistics
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from tests.bench import measure
from tests.bench.scene import PROGRAM, Scene, photos_in

if TYPE_CHECKING:
    from pathlib import Path

_LOOP = """
mkdir -p "$2"
find "$1" -type f -print0 | while IFS= read -r -d '' file; do
  sha256sum "$file" >>"$3"
  mv -n "$file" "$2/"
done
"""
_READING = 'find "$1" -type f -print0 | xargs -0 -n 16 -P "$2" sha1sum >"$3"'
RELAY, RSYNC = "photon-relay sweep", "rsync -a --checksum --remove-source-files"
LOOP, RCLONE, SHA1SUM = "sha256sum + mv loop", "rclone move", "sha1sum on all cores"
RELAY_ALONE = "  less a sweep of nothing"
NAMES = (RELAY, RSYNC, LOOP, SHA1SUM)


def names() -> tuple[str, ...]:
    """Give who races on this machine."""
    return (*NAMES, RCLONE) if shutil.which("rclone") else NAMES


def command(name: str, scene: Scene) -> list[str | Path]:
    """Give the command line of a contender in a scene."""
    if name == RELAY:
        return [PROGRAM, "--config", scene.config, "sweep"]
    if name == RSYNC:
        return ["rsync", "-a", "--checksum", "--remove-source-files", f"{scene.source}/", f"{scene.archive}/"]
    if name == RCLONE:
        return ["rclone", "--config", "/dev/null", "move", scene.source, scene.archive]
    if name == SHA1SUM:
        return ["bash", "-c", _READING, "reading", scene.source, str(os.cpu_count() or 1), scene.root / "sums"]
    return ["bash", "-c", _LOOP, "loop", scene.source, scene.archive, scene.root / "sums"]


@dataclass(frozen=True, slots=True)
class Result:
    """The medians of one contender: photos a second, and bytes per byte of the photos."""

    name: str
    rate: float
    read: float
    written: float
    disk_read: float
    disk_written: float


def race(root: Path, archives: Path, master: Path, count: int, payload: int, rounds: int) -> list[Result]:
    """Let the contenders move copies of ``master`` in turn, ``rounds`` times, and give the medians.

    Every round begins with another of them, so that none always runs on a warmer or fuller machine; every run begins
    with what was written before synced to disk, and must have moved every photo.
    """
    racing = names()
    costs: dict[str, list[measure.Cost]] = {name: [] for name in racing}
    for number in range(rounds):
        for turn in range(len(racing)):
            name = racing[(number + turn) % len(racing)]
            scene = Scene(root / "scene", archives / "archive")
            scene.make()
            shutil.copytree(master, scene.source, dirs_exist_ok=True)
            os.sync()
            costs[name].append(measure.run(command(name, scene), root / "cost.json"))
            left, arrived = photos_in(scene.source), photos_in(scene.archive)
            if (left, arrived) != ((count, 0) if name == SHA1SUM else (0, count)):
                raise RuntimeError(f"{name}: {left} photos left, {arrived} of {count} arrived")
            scene.remove()
    nothing = [_sweep_of_nothing(root, archives) for _ in range(rounds)]
    less = {each.name: statistics.median(getattr(one, each.name) for one in nothing) for each in fields(measure.Cost)}
    alone = [
        measure.Cost(**{name: max(getattr(cost, name) - most, 0.001) for name, most in less.items()})
        for cost in costs[RELAY]
    ]
    named = [(RELAY, costs[RELAY]), (RELAY_ALONE, alone), *((name, costs[name]) for name in racing[1:])]
    return [_median(name, each, count, payload) for name, each in named]


def _sweep_of_nothing(root: Path, archives: Path) -> measure.Cost:
    """Give what a sweep costs that finds no photo: the program's start with its own files, its first look, its end."""
    scene = Scene(root / "scene", archives / "archive")
    scene.make()
    try:
        return measure.run(command(RELAY, scene), root / "cost.json")
    finally:
        scene.remove()


def _median(name: str, costs: list[measure.Cost], count: int, payload: int) -> Result:
    middle = {each.name: statistics.median(getattr(cost, each.name) for cost in costs) for each in fields(measure.Cost)}
    shares = (middle[one] / payload for one in ("read", "written", "disk_read", "disk_written"))
    return Result(name, count / middle["seconds"], *shares)
