"""The running program with nothing to do, over a few folders and over very many."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import measure
from tests.bench.figures import Figure
from tests.bench.scene import Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.bench import Bench

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Rest:
    """A program with nothing to do: share of one core, wake-ups a second, resident bytes, seconds until it answers."""

    cpu: float
    wakeups: float
    memory: int
    peak: int
    ready: float


def at_rest(scene: Scene, directories: int, seconds: float) -> Rest:
    """Let the program watch ``directories`` folders in which nothing happens."""
    scene.make(settle="10s")
    for number in range(directories):
        Path(scene.source, f"{number // 1000:04}", f"{number % 1000:04}").mkdir(parents=True)
    with scene.daemon(patience=300) as (pid, ready):
        _wait_until_calm(pid)
        before, woken, started = measure.cpu_seconds(pid), measure.wakeups(pid), time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - started
        rest = Rest(
            (measure.cpu_seconds(pid) - before) / took,
            (measure.wakeups(pid) - woken) / took,
            measure.memory(pid),
            measure.memory(pid, "VmHWM"),
            ready,
        )
    scene.remove()
    return rest


def _wait_until_calm(pid: int, patience: float = 120) -> None:
    """Wait until two seconds pass with less than a tenth of a core: the first sweep is over."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        before = measure.cpu_seconds(pid)
        time.sleep(2)
        if measure.cpu_seconds(pid) - before < 0.2:
            return
    raise RuntimeError(f"the program did not come to rest within {patience:.0f} s")


@contextlib.contextmanager
def watches(wanted: int) -> Iterator[int]:
    """Give how many directories one user may watch, raised to ``wanted`` for a while where this process may do that."""
    limit = Path("/proc/sys/fs/inotify/max_user_watches")
    before = int(limit.read_text())
    raised = False
    if before < wanted:
        with contextlib.suppress(OSError):
            limit.write_text(str(wanted))
            raised = True
    try:
        yield int(limit.read_text())
    finally:
        if raised:
            limit.write_text(str(before))


def idle_figures(bench: Bench) -> Iterator[Figure]:
    """Watch the program do nothing over a few folders."""
    found = at_rest(Scene(bench.root / "scene", bench.root / "archive"), 100, bench.of(60, 20))
    yield Figure("idle: share of a core", found.cpu, "%", 0.002)
    yield Figure("idle: wake-ups a second", found.wakeups, "", 2)
    yield Figure("memory", found.memory / MIB, "MiB", 150)


def memory_figures(bench: Bench) -> Iterator[Figure]:
    """Watch it over very many folders."""
    directories = bench.of(100_000, 10_000)
    with watches(directories + 1000) as allowed:
        if allowed < directories + 1000:
            bench.note(f"{directories:,} directories: left out; fs.inotify.max_user_watches is {allowed}")
            return
        found = at_rest(Scene(bench.root / "scene", bench.root / "archive"), directories, 5)
    yield Figure(f"memory with {directories:,} directories", found.memory / MIB, "MiB", 190)
