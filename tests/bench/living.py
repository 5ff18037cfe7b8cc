"""The running program with nothing to do, over a few folders and over very many."""

from __future__ import annotations

import contextlib
import re
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import measure
from tests.bench.figures import Figure
from tests.bench.scene import Scene, make_photos, photos_in
from tests.e2e.world import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.bench import Bench

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Rest:
    """A program with nothing to do: share of one core, wake-ups a second, bytes written, resident bytes, the most."""

    cpu: float
    wakeups: float
    written: int
    memory: int
    peak: int


def plant(scene: Scene, directories: int) -> None:
    """Make a scene with so many folders in which nothing happens."""
    scene.make(settle="10s")
    for number in range(directories):
        Path(scene.source, f"{number // 1000:04}", f"{number % 1000:04}").mkdir(parents=True)


def at_rest(scene: Scene, directories: int, seconds: float) -> Rest:
    """Let the program watch ``directories`` folders for some time, when it has come to rest."""
    plant(scene, directories)
    with scene.daemon(patience=300) as (pid, _):
        _wait_until_calm(pid)
        # What starts and proves itself in the first seconds is no rest yet.
        time.sleep(min(seconds, 40))
        cpu, written, woken = measure.cpu_seconds(pid), measure.written(pid), measure.Wakeups(pid)
        started = time.monotonic()
        while time.monotonic() < started + seconds:
            time.sleep(1)
            woken.count()
        took = time.monotonic() - started
        rest = Rest(
            (measure.cpu_seconds(pid) - cpu) / took,
            woken.count() / took,
            measure.written(pid) - written,
            measure.memory(pid),
            measure.memory(pid, "VmHWM"),
        )
    scene.remove()
    return rest


def starts(scene: Scene, directories: int, runs: int) -> tuple[float, float, float, float]:
    """Start the program, a bare watchfiles and our engine over the same tree in turn; give the medians in seconds.

    They are: the program's until it watches, watchfiles' as a process, and both watches alone, inside of a process.
    """
    plant(scene, directories)
    with scene.daemon(patience=300) as (pid, _):  # the first start lists all that stands there, once and for ever
        _wait_until_calm(pid)
    whole: list[float] = []
    rival: list[float] = []
    theirs: list[float] = []
    ours: list[float] = []
    for _ in range(runs):
        began = time.time()
        with scene.daemon(patience=300):
            end = began + 300
            while not (found := _WATCHING.search((scene.root / "log").read_text(errors="replace"))):
                if time.time() > end:
                    raise RuntimeError("the program does not say that it watches")
                time.sleep(0.05)
        whole.append(datetime.fromisoformat(found[1]).timestamp() - began)
        for script, processes, inside in ((_WATCHFILES, rival, theirs), (_ENGINE, None, ours)):
            began = time.time()
            command = [sys.executable, "-c", script, str(scene.source)]
            told = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()
            inside.append(float(told[0]))
            if processes is not None:
                processes.append(float(told[1]) - began)
    scene.remove()
    return statistics.median(whole), statistics.median(rival), statistics.median(theirs), statistics.median(ours)


_WATCHING = re.compile(r"^(\S+) .*watching [0-9,]+ folders?$", re.MULTILINE)
_WATCHFILES = """
import sys, time
from watchfiles._rust_notify import RustNotify
began = time.perf_counter()
watch = RustNotify([sys.argv[1]], False, False, 300, True, False)
print(time.perf_counter() - began, time.time())
"""
_ENGINE = """
import os, sys, time
from daemon.watch.engine import Engine
began = time.perf_counter()
watch = Engine(os.path.dirname(sys.argv[1]), [os.path.basename(sys.argv[1])])
print(time.perf_counter() - began, time.time())
"""


def batch_memory(scene: Scene, photos: int) -> tuple[int, int]:
    """Have one batch of so many photos relayed; give the most memory before it and during it, in bytes."""
    scene.make(settle="1s", more={"watch": {"settle": "1s", "batch": 100_000}})
    with scene.daemon() as (pid, _):
        make_photos(scene.source, 20, 10_000)
        while photos_in(scene.archive) < 20:
            time.sleep(0.2)
        before = measure.memory(pid, "VmHWM")
        make_photos(scene.source / "many", photos, 10_000)
        end = time.monotonic() + 900
        while photos_in(scene.source):
            if time.monotonic() > end:
                raise RuntimeError(f"{photos_in(scene.source)} photos are left")
            time.sleep(1)
        most = measure.memory(pid, "VmHWM")
    scene.remove()
    return before, most


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
    found = at_rest(Scene(bench.root / "scene", bench.root / "archive"), 100, bench.of(120, 30))
    yield Figure("idle: share of a core", found.cpu, "%", 0.002)
    yield Figure("idle: wake-ups a second", found.wakeups, "", 2)
    yield Figure("idle: bytes written", found.written, "B", 0)
    yield Figure("memory at rest", found.memory / MIB, "MiB", 150)


def memory_figures(bench: Bench) -> Iterator[Figure]:
    """Watch it over very many folders, started beside watchfiles, and during a large batch."""
    scene = Scene(bench.root / "scene", bench.root / "archive")
    directories = bench.of(100_000, 10_000)
    with watches(2 * directories + 1000) as allowed:
        if allowed < directories + 1000:
            bench.note(f"{directories:,} directories: left out; fs.inotify.max_user_watches is {allowed}")
        else:
            few, many = at_rest(scene, 0, 2), at_rest(scene, directories, 2)
            more = (many.memory - few.memory) / MIB
            yield Figure(f"memory for {directories:,} watched directories", more, "MiB", 40)
            runs = bench.of(5, 3)
            whole, rival, theirs, ours = starts(scene, directories, runs)
            name = f"start over {directories:,} directories until watching"
            yield Figure(name, whole, "s", rival, "watchfiles alone", goal=1.5, runs=runs)
            name = f"the watch over {directories:,} directories set up"
            yield Figure(name, ours, "s", theirs, "watchfiles alone", goal=1.5, runs=runs)
    photos = bench.of(20_000, 2_000)
    before, most = batch_memory(scene, photos)
    yield Figure(f"memory for a batch of {photos:,} photos", (most - before) / MIB, "MiB", 60)
    yield Figure("memory at most in that batch", most / MIB, "MiB", 150)
