"""Moving a folder of photos: the program's sweep, what people use instead, and the reading alone as a limit.

Each moves the photos into the archive in its own way: rsync compares every byte with what stands there, the loop writes
down the hashes first; ``FOUND`` says what those do that race only where they are installed. ``sha1sum`` moves nothing:
it only reads, on all cores.
"""

from __future__ import annotations

import os
import shutil
import statistics
from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from tests.bench import measure
from tests.bench.scene import PROGRAM, Scene, marks

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
PHOCKUP, ELODIE = "phockup --move, on all cores", "elodie import --trash"
RELAY_ALONE = "  less a sweep of nothing"
NAMES = (RELAY, RSYNC, LOOP, SHA1SUM)
CORES = os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Found:
    """A program that races where it is installed: what it does and leaves undone, and with how many photos at most."""

    program: str
    about: str
    most: int | None = None


FOUND = {
    RCLONE: Found(
        "rclone",
        "a rename on one file system, which reads nothing, so that no program that reads the photos can be as fast as"
        " it there; across two it copies and does not read the copy again. It does not sync.",
    ),
    PHOCKUP: Found(
        "phockup",
        f"asks an exiftool process of its own about each photo's date (--max-concurrency {CORES}), then renames or"
        " copies it to a name made of the date. It hashes and syncs nothing, and compares only where a name is taken.",
        most=100,
    ),
    ELODIE: Found(
        "elodie",
        "one photo after another: SHA-256 into a JSON file, the date from one exiftool process that stays, which also"
        " writes the old name into the photo, so that the archive has other bytes than the user had; the original goes"
        " to the desktop's bin, where it still takes its room. It compares and syncs nothing.",
        most=100,
    ),
}
"""Found in the field. Who has a limit would take minutes for all photos: its rate is that of fewer."""


def names() -> tuple[str, ...]:
    """Give who races on this machine."""
    return (*NAMES, *(name for name, found in FOUND.items() if shutil.which(found.program)))


def photos_for(name: str, count: int) -> int:
    """Give how many of ``count`` photos a contender moves."""
    most = FOUND[name].most if name in FOUND else None
    return count if most is None else min(count, most)


def command(name: str, scene: Scene) -> list[str | Path]:
    """Give the command line of a contender in a scene."""
    if name == RELAY:
        return [PROGRAM, "--config", scene.config, "sweep"]
    if name == RSYNC:
        return ["rsync", "-a", "--checksum", "--remove-source-files", f"{scene.source}/", f"{scene.archive}/"]
    if name == RCLONE:
        return ["rclone", "--config", "/dev/null", "move", scene.source, scene.archive]
    if name == PHOCKUP:
        return ["phockup", "--quiet", "--move", "--max-concurrency", str(CORES), scene.source, scene.archive]
    if name == ELODIE:
        # Its list of hashes and the bin are in the home directory: in one of its own, no run knows of an earlier one.
        home = ["env", f"HOME={scene.root}", f"XDG_DATA_HOME={scene.root / 'share'}"]
        return [*home, "elodie", "import", "--trash", f"--destination={scene.archive}", scene.source]
    if name == SHA1SUM:
        return ["bash", "-c", _READING, "reading", scene.source, str(CORES), scene.root / "sums"]
    return ["bash", "-c", _LOOP, "loop", scene.source, scene.archive, scene.root / "sums"]


@dataclass(frozen=True, slots=True)
class Result:
    """The medians of one contender: with how many photos, photos a second, and bytes per byte of the photos."""

    name: str
    count: int
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
    photos = sorted(master.iterdir())
    costs: dict[str, list[measure.Cost]] = {name: [] for name in racing}
    for number in range(rounds):
        for turn in range(len(racing)):
            name = racing[(number + turn) % len(racing)]
            scene = Scene(root / "scene", archives / "archive")
            scene.make()
            for photo in photos[: photos_for(name, count)]:
                shutil.copy2(photo, scene.source)
            brought = marks(scene.source, payload // count)
            os.sync()
            costs[name].append(measure.run(command(name, scene), root / "cost.json"))
            check(name, scene, brought, payload // count)
            scene.remove()
    nothing = [_sweep_of_nothing(root, archives) for _ in range(rounds)]
    less = {each.name: statistics.median(getattr(one, each.name) for one in nothing) for each in fields(measure.Cost)}
    alone = [
        measure.Cost(**{name: max(getattr(cost, name) - most, 0.001) for name, most in less.items()})
        for cost in costs[RELAY]
    ]
    named = [(RELAY, costs[RELAY]), (RELAY_ALONE, alone), *((name, costs[name]) for name in racing[1:])]
    return [_median(name, each, photos_for(name, count), payload // count) for name, each in named]


def check(name: str, scene: Scene, brought: Counter[bytes], size: int) -> None:
    """Raise ``RuntimeError`` unless each photo that was brought went, and stands in the archive once."""
    left, arrived = marks(scene.source, size), marks(scene.archive, size)
    if (left, arrived) != ((brought, Counter()) if name == SHA1SUM else (Counter(), brought)):
        there = (brought & arrived).total()
        raise RuntimeError(f"{name}: {left.total()} photos left, {there} of {brought.total()} arrived")


def _sweep_of_nothing(root: Path, archives: Path) -> measure.Cost:
    """Give what a sweep costs that finds no photo: the program's start with its own files, its first look, its end."""
    scene = Scene(root / "scene", archives / "archive")
    scene.make()
    try:
        return measure.run(command(RELAY, scene), root / "cost.json")
    finally:
        scene.remove()


def _median(name: str, costs: list[measure.Cost], count: int, size: int) -> Result:
    middle = {each.name: statistics.median(getattr(cost, each.name) for cost in costs) for each in fields(measure.Cost)}
    shares = (middle[one] / (count * size) for one in ("read", "written", "disk_read", "disk_written"))
    return Result(name, count, count / middle["seconds"], *shares)
