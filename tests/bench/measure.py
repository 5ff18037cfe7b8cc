"""Measures processes from outside: time, bytes read and written with all children, CPU, memory."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Linux adds a child's counters to its parent's when the child is waited for (kernel/exit.c, wait_task_zombie), so the
# difference around the call is the command's with everything that it started. copy_file_range counts as both reading
# and writing; a reflink (FICLONE) and a rename count as neither.
_LAUNCHER = """
import json, subprocess, sys, time
def io():
    return {k: int(v) for k, v in (line.split(": ") for line in open("/proc/self/io").read().splitlines())}
before, started = io(), time.monotonic()
done = subprocess.run(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
took, after = time.monotonic() - started, io()
report = {"seconds": took, "code": done.returncode, "error": done.stderr.decode(errors="replace")[-2000:]}
json.dump(report | {k: after[k] - before[k] for k in after}, open(sys.argv[1], "w"))
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one command took: seconds, bytes by system calls, bytes from and to the block layer."""

    seconds: float
    read: float
    written: float
    disk_read: float
    disk_written: float


def run(command: Sequence[str | Path], report: Path) -> Cost:
    """Run a command to its end; raises ``RuntimeError`` with what it said where it failed."""
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(report), *map(str, command)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    told = json.loads(report.read_text())
    if told["code"]:
        raise RuntimeError(f"{command[0]} ended with {told['code']}: {told['error']}")
    return Cost(told["seconds"], told["rchar"], told["wchar"], told["read_bytes"], told["write_bytes"])


def tree(pid: int) -> list[int]:
    """Give a process and its descendants."""
    found, queue = [], [pid]
    while queue:
        one = queue.pop()
        found.append(one)
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            queue += map(int, task.read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """Give the CPU time of a process and its living descendants so far."""
    ticks = 0
    for one in tree(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Wakeups:
    """Counts how often the threads of a process and its descendants have waited and were woken."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._first: dict[str, int] = self._look()
        self._last = dict(self._first)

    def count(self) -> int:
        """Give how often so far. A thread that ends counts as it was last seen: look once a second."""
        self._last |= self._look()
        return sum(last - self._first.get(thread, 0) for thread, last in self._last.items())

    def _look(self) -> dict[str, int]:
        found = {}
        for one in tree(self._pid):
            for status in Path(f"/proc/{one}/task").glob("*/status"):
                with contextlib.suppress(OSError):  # it has just ended
                    lines = status.read_text().splitlines()
                    found[status.parent.name] = next(
                        int(one.split()[1]) for one in lines if one.startswith("voluntary")
                    )
        return found


def written(pid: int) -> int:
    """Give the bytes that a process and its living descendants have written so far, by system calls and to disk."""
    total = 0
    for one in tree(pid):
        for line in Path(f"/proc/{one}/io").read_text().splitlines():
            if line.startswith(("wchar:", "write_bytes:")):
                total += int(line.split()[1])
    return total


def memory(pid: int, what: str = "VmRSS") -> int:
    """Give the resident bytes of a process and its descendants; ``VmHWM`` for their peaks."""
    total = 0
    for one in tree(pid):
        for line in Path(f"/proc/{one}/status").read_text().splitlines():
            if line.startswith(f"{what}:"):
                total += int(line.split()[1]) * 1024
    return total
