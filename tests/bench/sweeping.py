"""A sweep with nothing new, against `find -type f` over the same tree, both with warm caches."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.watch.remembered import Memory
from daemon.watch.rules import Rules
from daemon.watch.sweep import Sweep, Swept
from tests.bench.figures import Figure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.bench import Bench

FILES = 10
"""Files in each directory."""


@dataclass(frozen=True, slots=True)
class Sweeps:
    """Median seconds of an ordinary sweep, of a full one, and of ``find``."""

    ordinary: float
    full: float
    find: float


def sweeps(data: Path, directories: int, rounds: int = 5) -> Sweeps:
    """Make a tree and look through it in turn."""
    top = data / "alice/files/Up"
    for number in range(directories):
        folder = top / f"{number // 1000:04}" / f"{number % 1000:04}"
        folder.mkdir(parents=True)
        for photo in range(FILES):
            (folder / f"IMG_{photo:04}.jpg").touch()
    time.sleep(2.1)  # a directory made just now is not trusted
    memory = Memory()
    _sweep(data, memory, full=True)
    took: dict[str, list[float]] = {"ordinary": [], "full": [], "find": []}
    for _ in range(rounds):
        took["ordinary"].append(_sweep(data, memory, full=False))
        began = time.perf_counter()
        subprocess.run(["find", top, "-type", "f"], stdout=subprocess.DEVNULL, check=True)
        took["find"].append(time.perf_counter() - began)
    took["full"].append(_sweep(data, memory, full=True))
    return Sweeps(**{name: statistics.median(seconds) for name, seconds in took.items()})


def _sweep(data: Path, memory: Memory, *, full: bool) -> float:
    swept, rules = Swept(), Rules(folders={"alice": ("Up",)})
    walk = Sweep(str(data), [("alice", "Up")], rules, swept, wall=time.time, memory=memory, full=full)
    began = time.perf_counter()
    for _ in walk.chunks():
        pass
    walk.remember()
    took = time.perf_counter() - began
    if not full and swept.listed:
        raise RuntimeError(f"{swept.listed} directories were listed though nothing had changed")
    return took


def figures(bench: Bench) -> Iterator[Figure]:
    """Sweep where nothing is new."""
    directories = bench.of(100_000, 10_000)
    found = sweeps(bench.root / "swept", directories, bench.runs)
    shutil.rmtree(bench.root / "swept")
    bench.note(f"a full sweep of {directories * FILES:,} files: {found.full * 1000:.0f} ms without the ledger")
    yield Figure(
        f"a sweep over {directories * FILES:,} files, nothing new",
        found.ordinary * 1000,
        "ms",
        found.find * 1000,
        "find -type f",
        goal=1 / 3,
        runs=bench.runs,
    )
