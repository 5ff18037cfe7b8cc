"""Prints the table of ratios: ``python -m tests.bench`` (``make bench``)."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from tests.bench import contenders, lists, living, sweeping
from tests.bench.scene import PROGRAM, Scene, make_photos, second_file_system

MIB = 1 << 20
PARTS = ("race", "latency", "idle", "memory", "sweep", "lists")
NOTES = """\
Read and written are bytes by system calls (copy_file_range counts as both, reflink and rename as neither), disk r and
disk w those from and to the block layer, each per byte of the photos. photon-relay proves every byte, writes a ledger
and syncs to disk before it removes; rsync and the loop do not sync. rsync reads and writes twice, since
its two processes pass every byte through a socket."""


def table(results: list[contenders.Result]) -> str:
    """Give the race as lines; the ratio is to the contender named."""
    rates = {one.name: one.rate for one in results}
    heads = ("photos/s", "x rsync", "x loop", "read", "written", "disk r", "disk w")
    lines = [" " * 30 + "".join(f"{head:>10}" for head in heads)]
    for one in results:
        ratios = (one.rate / rates[contenders.RSYNC], one.rate / rates[contenders.LOOP])
        shares = (one.read, one.written, one.disk_read, one.disk_written)
        lines.append(f"{one.name:30}{one.rate:10.1f}" + "".join(f"{value:10.2f}" for value in (*ratios, *shares)))
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--dir", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--photos", type=int, default=150, help="photos in each race (150)")
    parser.add_argument("--size", type=float, default=2.0, help="MiB of each photo (2)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds, of which the medians are shown (5)")
    parser.add_argument("--uploads", type=int, default=10, help="uploads for the latency (10)")
    parser.add_argument("--idle", type=float, default=20.0, help="seconds of watching it do nothing (20)")
    parser.add_argument("--directories", type=int, default=100_000, help="directories for the memory (100,000)")
    parser.add_argument("--swept", type=int, default=10_000, help="directories for the sweeps (10,000)")
    parser.add_argument(
        "--ledger", type=int, nargs="*", default=[100_000, 1_000_000], help="photos in the ledger for the lists"
    )
    parser.add_argument("--only", nargs="*", choices=PARTS, help="just these parts")
    return parser.parse_args()


def main() -> int:
    """Measure and print."""
    asked = arguments()
    parts = set(asked.only or PARTS)
    for needed in ("rsync", str(PROGRAM)):
        if shutil.which(needed) is None:
            print(f"{needed} is not here; rsync: apt-get install rsync, the program: make .venv/.dev", file=sys.stderr)
            return 1
    with tempfile.TemporaryDirectory(prefix="photon-relay-bench-", dir=asked.dir) as folder:
        root = Path(folder)
        print(f"Python {platform.python_version()}, Linux {platform.release()}, {os.cpu_count()} cores, {root}")
        if "race" in parts:
            races(root, asked)
        if "latency" in parts:
            took = living.latency(Scene(root / "scene", root / "archive"), asked.uploads)
            print(
                f"\nUpload quiet to placed, settle {living.SETTLE:.0f} s included: median {took.median:.2f} s, "
                f"worst of {asked.uploads} {took.worst:.2f} s"
            )
        if "idle" in parts:
            rest(root, 100, asked.idle)
        if "memory" in parts:
            rest(root, asked.directories, min(asked.idle, 5.0))
        if "sweep" in parts:
            look_through(root, asked.swept)
        slow = [pages(root, photos) for photos in asked.ledger] if "lists" in parts else []
    return 1 if any(slow) else 0


def races(root: Path, asked: argparse.Namespace) -> None:
    """Race on one file system and across two."""
    size = int(asked.size * MIB)
    payload = make_photos(root / "master", asked.photos, size)
    print(f"\n{asked.photos} photos of {asked.size:g} MiB, medians of {asked.rounds} rounds in turn.\n{NOTES}")
    print("\nOn one file system\n" + table(_race(root, root, asked.photos, payload, asked.rounds)), flush=True)
    with second_file_system(root, 3 * payload + 256 * MIB) as (second, what):
        print(
            f"\nAcross two, to {what}\n" + table(_race(root, second, asked.photos, payload, asked.rounds)), flush=True
        )
    shutil.rmtree(root / "master")


def _race(root: Path, archives: Path, count: int, payload: int, rounds: int) -> list[contenders.Result]:
    return contenders.race(root, archives, root / "master", count, payload, rounds)


def pages(root: Path, photos: int) -> bool:
    """Ask for pages of a large ledger; tell whether one took too long."""
    state = root / f"ledger-{photos}"
    lists.fill(state, photos)
    found = lists.pages(state, photos)
    print(f"\nOne page of a ledger of {photos:,} photos, limit {lists.LIMIT * 1000:.0f} ms")
    print(lists.table(found), flush=True)
    shutil.rmtree(state)
    return any(one.median > lists.LIMIT for one in found)


def look_through(root: Path, directories: int) -> None:
    """Sweep where nothing is new."""
    found = sweeping.sweeps(root / "swept", directories)
    print(
        f"\nA sweep over {directories * sweeping.FILES:,} files in {directories:,} directories with nothing new: "
        f"{found.ordinary * 1000:.0f} ms, {found.ordinary / found.find:.2f} x find -type f "
        f"({found.find * 1000:.0f} ms); a full one {found.full * 1000:.0f} ms without the ledger",
        flush=True,
    )
    shutil.rmtree(root / "swept")


def rest(root: Path, directories: int, seconds: float) -> None:
    """Watch the program do nothing."""
    wanted = directories + 1000
    with living.watches(wanted) as allowed:
        if allowed < wanted:
            print(f"\n{directories:,} directories: left out; it needs sysctl fs.inotify.max_user_watches={wanted}")
            return
        found = living.at_rest(Scene(root / "scene", root / "archive"), directories, seconds)
    print(
        f"\nAt rest with {directories:,} directories: {found.cpu:.2%} of a core over {seconds:g} s, "
        f"{found.wakeups:.1f} wake-ups a second, {found.memory / MIB:.0f} MiB resident "
        f"({found.peak / MIB:.0f} MiB at most), answers after {found.ready:.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
