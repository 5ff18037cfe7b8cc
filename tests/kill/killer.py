"""Numbered points at which a running program may be killed: every call that changes something outside of it.

The wrapping is done from outside, in a forked child that is about to run the real program. A point is named by what is
called and from where, and counted (``commit photos.wait < _batch_waits #2``): loops run side by side, so a plain number
would be another point in every run.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any

import anyio

import daemon
from daemon.nextcloud import runner
from daemon.photoprism import transport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

OURS = str(Path(daemon.__file__).parent) + os.sep
DEEP = 12
"""Frames of other people's code between a call and ours at most; beyond it is not our program that calls."""
SITES = 3
CREATING = os.O_CREAT | os.O_TRUNC
_FUNCTIONS = (BuiltinFunctionType, FunctionType)

BOUNDARY = frozenset({"commit", "rename", "renames", "replace", "unlink", "link", "rmdir", "renameat2", "occ", "http"})
"""Kinds after which a photo stands elsewhere than before, or is known to."""
DISK = ("rename", "renames", "replace", "unlink", "remove", "link", "symlink", "mkdir", "rmdir", "utime", "fchmod",
        "chmod", "fchown", "copy_file_range", "pwrite", "write", "fsync", "ftruncate", "truncate")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Point:
    """One moment of a run: the ``nth`` call of its kind from its place."""

    kind: str
    site: str
    nth: int

    def __str__(self) -> str:
        return f"{self.kind} {self.site} #{self.nth}"

    @property
    def boundary(self) -> bool:
        """Tell whether it lies between two steps."""
        return self.kind in BOUNDARY

    @classmethod
    def read(cls, text: str) -> Point:
        """Take ``str(point)`` apart."""
        kind, _, rest = text.partition(" ")
        site, _, nth = rest.rpartition(" #")
        return cls(kind, site, int(nth))


@dataclass(frozen=True, slots=True)
class Plan:
    """Kill at this point, before or after the call, or ``late`` seconds after it began."""

    point: Point
    when: str = "before"
    late: float = 0.0

    def __str__(self) -> str:
        return f"{self.when} {self.point}" if self.when != "during" else f"{self.late} s into {self.point}"


class Killer:
    """Counts the points of this process, and ends it at one of them."""

    def __init__(self, plan: Plan | None) -> None:
        self.plan = plan
        self.points: list[Point] = []
        self._counts: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def arm(self) -> None:
        """Wrap everything that changes something; for good, in this process."""
        replaced: dict[Any, Any] = {}
        for name in DISK:
            replaced[getattr(os, name)] = self._wrapped(name, getattr(os, name))
        replaced[os.open] = self._wrapped("create", os.open, lambda _path, flags, *_, **__: bool(flags & CREATING))
        syscalls = sys.modules["daemon.files.syscalls"]
        for name, kind in (("renameat2_noreplace", "renameat2"), ("clone", "clone")):
            replaced[getattr(syscalls, name)] = self._wrapped(kind, getattr(syscalls, name))
        for module in [os, *(found for name, found in sys.modules.items() if name.startswith("daemon."))]:
            for name, value in list(vars(module).items()):
                if callable(value) and isinstance(value, _FUNCTIONS) and value in replaced:
                    setattr(module, name, replaced[value])
        setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=self._connection()))  # noqa: B010
        setattr(runner.CommandRunner, "run", self._wrapped_async("occ", _call_occ))  # noqa: B010
        setattr(transport.Transport, "call", self._wrapped_async("http", transport.Transport.call))  # noqa: B010

    # -- points -------------------------------------------------------------------------------------------------

    def _meet(self, kind: str, site: str) -> str:
        """Count a point; tell when to die at it, or an empty string."""
        with self._lock:
            self._counts[kind, site] += 1
            point = Point(kind, site, self._counts[kind, site])
            self.points.append(point)
        if self.plan is None or point != self.plan.point:
            return ""
        if self.plan.when == "before":
            die()
        if self.plan.when == "during":
            threading.Timer(self.plan.late, die).start()
            return ""
        return self.plan.when

    def _wrapped(
        self, kind: str, call: Callable[..., Any], counts: Callable[..., bool] = lambda *_, **__: True
    ) -> Callable[..., Any]:
        @functools.wraps(call)
        def point(*args: Any, **kwargs: Any) -> Any:
            site = where() if counts(*args, **kwargs) else ""
            if not site:
                return call(*args, **kwargs)
            when = self._meet(kind, site)
            try:
                return call(*args, **kwargs)
            finally:
                if when == "after":
                    die()

        return point

    def _wrapped_async(self, kind: str, call: Callable[..., Any]) -> Callable[..., Any]:
        async def point(*args: Any, **kwargs: Any) -> Any:
            when = self._meet(kind, _words(*args))
            try:
                return await call(*args, **kwargs)
            finally:
                if when == "after":
                    die()

        return point

    def _connection(self) -> type[sqlite3.Connection]:
        killer = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
                site = where() if sql == "COMMIT" else ""
                if not site:
                    return super().execute(sql, *args)
                when = killer._meet("commit", site)
                try:
                    return super().execute(sql, *args)
                finally:
                    if when == "after":
                        die()

        return Connection


def die() -> None:
    """End this process as the kernel's OOM killer would."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def where() -> str:
    """Give the innermost functions of ours on the stack, innermost first; nothing where somebody else calls."""
    frame: FrameType | None = sys._getframe(2)
    names: list[str] = []
    for _ in range(DEEP):
        if frame is None:
            break
        code = frame.f_code
        if code.co_filename.startswith(OURS) and code.co_name != "write":
            names.append(f"{Path(code.co_filename).stem}.{code.co_name}")
            if len(names) == SITES:
                break
        frame = frame.f_back
    return " < ".join(names)


def _words(_self: object, what: Any, path: str = "") -> str:
    """Name a call of occ by its command, one of PhotoPrism by method and route."""
    return f"{what} {path.partition('/')[0]}" if isinstance(what, str) else str(what[0])


async def _call_occ(self: Any, argv: Sequence[str], *, timeout: float) -> runner.Answer:  # noqa: ASYNC109
    """Have occ's own process do a call, which goes on when this one is killed."""
    path, *command = self._command
    with anyio.fail_after(timeout):
        async with await anyio.connect_unix(path) as connection:
            await connection.send(json.dumps({"argv": [*command, *argv]}).encode() + b"\n")
            answer = b"".join([block async for block in connection])
    found = json.loads(answer)
    return runner.Answer(found["code"], found["out"], found["err"])


def run(argv: list[str], plan: Plan | None, points: Path) -> int:
    """Run the real program in this process with its points armed; give its exit code and write what points it met."""
    from daemon.cli.main import main

    killer = Killer(plan)
    killer.arm()
    try:
        return main(argv)
    finally:
        points.write_text("".join(f"{point}\n" for point in killer.points))


def warm_up() -> None:
    """Import all that a run imports, so that a forked child need not."""
    import daemon.app
    import daemon.cli.main  # noqa: F401

    asyncio.new_event_loop().close()
