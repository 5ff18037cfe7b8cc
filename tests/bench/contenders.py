"""Moving a folder of photos: the program's sweep, rsync, and the loop of ``sha1sum`` and ``mv`` that people write."""

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
  sha1sum "$file" >>"$3"
  mv -n "$file" "$2/"
done
"""
RELAY, RSYNC, LOOP = "photon-relay sweep", "rsync -a --remove-source-files", "sha1sum + mv loop"
NAMES = (RELAY, RSYNC, LOOP)


def command(name: str, scene: Scene) -> list[str | Path]:
    """Give the command line of a contender in a scene."""
    if name == RELAY:
        return [PROGRAM, "--config", scene.config, "sweep"]
    if name == RSYNC:
        return ["rsync", "-a", "--remove-source-files", f"{scene.source}/", f"{scene.archive}/"]
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
    costs: dict[str, list[measure.Cost]] = {name: [] for name in NAMES}
    for number in range(rounds):
        for turn in range(len(NAMES)):
            name = NAMES[(number + turn) % len(NAMES)]
            scene = Scene(root / "scene", archives / "archive")
            scene.make()
            shutil.copytree(master, scene.source, dirs_exist_ok=True)
            os.sync()
            costs[name].append(measure.run(command(name, scene), root / "cost.json"))
            left, arrived = photos_in(scene.source), photos_in(scene.archive)
            if (left, arrived) != (0, count):
                raise RuntimeError(f"{name}: {left} photos left, {arrived} of {count} arrived")
            scene.remove()
    return [_median(name, costs[name], count, payload) for name in NAMES]


def _median(name: str, costs: list[measure.Cost], count: int, payload: int) -> Result:
    middle = {each.name: statistics.median(getattr(cost, each.name) for cost in costs) for each in fields(measure.Cost)}
    shares = (middle[one] / payload for one in ("read", "written", "disk_read", "disk_written"))
    return Result(name, count / middle["seconds"], *shares)
