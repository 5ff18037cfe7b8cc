"""The running program: from quiet upload to placed photo, at rest, and with very many folders."""

from __future__ import annotations

import contextlib
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.demo import samples
from tests import uploads
from tests.bench import measure
from tests.bench.figures import Figure
from tests.bench.scene import FOLDER, USER, Scene, photos_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.bench import Bench

MIB = 1 << 20
SETTLE = 1.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds from the end of an upload until the archive has it under its name, the settle time included."""

    median: float
    worst: float


@dataclass(frozen=True, slots=True)
class Rest:
    """A program with nothing to do: share of one core, wake-ups a second, resident bytes, seconds until it answers."""

    cpu: float
    wakeups: float
    memory: int
    peak: int
    ready: float


def latency(scene: Scene, count: int) -> Latency:
    """Upload ``count`` photos one after another and wait for each in the archive."""
    scene.make(settle=f"{SETTLE:.0f}s")
    took = []
    with scene.daemon():
        for seed in range(count):
            taken = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=seed)
            photo = samples.jpeg(taken, seed, 2_000_000)
            uploads.put(scene.data / USER, f"{FOLDER}/IMG_{seed:04}.jpg", photo, taken)
            quiet = time.monotonic()
            while photos_in(scene.archive) <= seed:
                if time.monotonic() - quiet > 60:
                    raise RuntimeError((scene.root / "log").read_text(errors="replace")[-3000:])
                time.sleep(0.005)
            took.append(time.monotonic() - quiet)
    scene.remove()
    return Latency(statistics.median(took), max(took))


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


def latency_figures(bench: Bench) -> Iterator[Figure]:
    """Upload photo after photo and wait for each."""
    count = bench.of(20, 8)
    took = latency(Scene(bench.root / "scene", bench.root / "archive"), count)
    yield Figure("settled to placed, in the middle", (took.median - SETTLE) * 1000, "ms", 50, runs=count)
    yield Figure("settled to placed, the worst", (took.worst - SETTLE) * 1000, "ms", 200, runs=count)


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
