"""Numbered points at which a running program may be killed: every system call of it that changes something.

The calls are found by tracing (``syscalls.py``), in whatever thread or child they are made, SQLite's own included;
nothing of the program is known here but the names that it makes up. A point is named by the call and by what it is
called on, and counted (``renameat2 archive/a.jpg #1``): threads run side by side, so a plain number would be another
point in every run.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import select
import signal
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from daemon.nextcloud import runner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.kill.syscalls import Call, Listener

_BY_PATH = {
    "open", "creat", "truncate", "mkdir", "rmdir", "unlink", "chmod", "chown", "lchown", "mknod", "setxattr",
    "lsetxattr", "utimes",
}  # fmt: skip
_BY_FOLDER = {"openat", "mkdirat", "mknodat", "fchownat", "unlinkat", "fchmodat", "fchmodat2", "utimensat"}
_FROM_TO = {"rename", "link"}
_FROM_TO_BY_FOLDER = {"renameat", "renameat2", "linkat"}
_TARGET_THIRD = {"copy_file_range", "splice"}
_MOVES = {"sendto", "unlink", "unlinkat", "rmdir", "rename", "renameat", "renameat2", "link", "linkat"}
_AT_FDCWD = -100
_SAYS = re.compile(rb"(GET|POST|PUT|DELETE|PATCH) (\S+) HTTP")
_NOT_OURS = ("/dev/", "/proc/", "/sys/", "/memfd:")
_MADE_UP = (
    (re.compile(r"\.photon-relay-[a-z]+"), ".photon-relay-*"),
    (re.compile(r"\b[a-z]{14}\b"), "*"),
    (re.compile(r"(import/[^/]+/)[a-z]{8}(?=/|$)"), r"\1*"),
    (re.compile(r"[0-9a-f]{16,}|\d{9,}"), "#"),
)
"""Names and numbers that are others in every run."""


@dataclass(frozen=True, slots=True)
class Point:
    """One moment of a run: the ``nth`` call of its kind on its object."""

    kind: str
    site: str
    nth: int

    def __str__(self) -> str:
        return f"{self.kind} {self.site} #{self.nth}"

    @property
    def boundary(self) -> bool:
        """Tell whether it lies between two steps: a name comes or goes, somebody is asked, or the ledger commits."""
        return self.kind in _MOVES or (self.kind == "fdatasync" and "ledger.db" in self.site)

    @property
    def shape(self) -> tuple[str, str]:
        """Give what it has in common with the same call on another file: its kind, and the folders."""
        return self.kind, " ".join(one.rpartition("/")[0] or one for one in self.site.split(" -> "))

    @classmethod
    def read(cls, text: str) -> Point:
        """Take ``str(point)`` apart."""
        kind, _, rest = text.partition(" ")
        site, _, nth = rest.rpartition(" #")
        return cls(kind, site, int(nth))


@dataclass(frozen=True, slots=True)
class Plan:
    """Kill instead of the call at this point, ``after`` it (instead of the next), or ``late`` seconds into it."""

    point: Point | None
    when: str = "before"
    late: float = 0.0

    def __str__(self) -> str:
        return f"{self.when} {self.point}" if self.when != "during" else f"{self.late} s into {self.point or 'the run'}"


class Killer:
    """Lets a watched child run, counts its points, and ends it at one of them as the kernel's OOM killer would."""

    def __init__(
        self, child: int, listener: Listener, plan: Plan | None, roots: Sequence[str], apart: set[str]
    ) -> None:
        self.points: list[Point] = []
        self._child = child
        self._listener = listener
        self._plan = plan
        self._roots = sorted(roots, key=len, reverse=True)
        self._apart = apart
        self._counts: Counter[tuple[str, str]] = Counter()
        self._next_too = False
        self._die_at = float("inf") if plan is None or plan.point else time.monotonic() + plan.late

    def watch(self, patience: float) -> int:
        """Go on until the child has ended; gives its exit code, negative where a signal ended it."""
        pidfd, until = os.pidfd_open(self._child), time.monotonic() + patience
        try:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            poll.register(self._listener.fd, select.POLLIN)
            while True:
                now = time.monotonic()
                if now >= min(until, self._die_at):
                    os.kill(self._child, signal.SIGKILL if self._die_at <= until else signal.SIGABRT)
                    self._die_at = until = float("inf")
                left = min(until, self._die_at) - time.monotonic()
                ready = dict(poll.poll(None if left == float("inf") else max(0, left) * 1000))
                if pidfd in ready:
                    break
                if ready.get(self._listener.fd, 0) & select.POLLIN:
                    self._one()
                elif ready:  # it has exited, all but the waiting for it
                    poll.unregister(self._listener.fd)
        finally:
            os.close(pidfd)
            os.close(self._listener.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self._child, 0)[1])

    def _one(self) -> None:
        call = self._listener.receive()
        if call is None:
            return
        site = self._site(call)
        if site:
            self._counts[call.name, site] += 1
            point = Point(call.name, site, self._counts[call.name, site])
            self.points.append(point)
            if self._dies_at(point):
                os.kill(self._child, signal.SIGKILL)
                return
        self._listener.go_on(call)

    def _dies_at(self, point: Point) -> bool:
        if self._next_too:
            return True
        if self._plan is None or point != self._plan.point:
            return False
        self._next_too = self._plan.when == "after"
        if self._plan.when == "during":
            self._die_at = time.monotonic() + self._plan.late
        return self._plan.when == "before"

    # -- what a call is about -----------------------------------------------------------------------------------

    def _site(self, call: Call) -> str:
        """Say what a call changes; empty where that is nothing of ours (a pipe, the output)."""
        args, name = call.args, call.name
        try:
            if name == "sendto":
                return self._said(call.thread, args[1], args[2])
            if name in _FROM_TO:
                found = [self._text(call.thread, args[0]), self._text(call.thread, args[1])]
            elif name in _FROM_TO_BY_FOLDER:
                found = [self._below(call.thread, args[0], args[1]), self._below(call.thread, args[2], args[3])]
            elif name in _BY_PATH:
                found = [self._text(call.thread, args[0])]
            elif name in _BY_FOLDER:
                found = [self._below(call.thread, args[0], args[1])]
            elif name in {"symlink", "symlinkat"}:
                last = call.thread, *args[1:3]
                found = [self._below(*last) if name == "symlinkat" else self._text(call.thread, args[1])]
            elif name == "sync":
                found = ["/"]
            else:
                found = [self._open(call.thread, args[2] if name in _TARGET_THIRD else args[0])]
        except OSError:  # it has died, or gives a bad address: the kernel will say so
            return ""
        if any(not path.startswith("/") or path.startswith(_NOT_OURS) or path in self._apart for path in found[-1:]):
            return ""
        return " -> ".join(self._named(path) for path in found)

    def _named(self, path: str) -> str:
        for root in self._roots:
            if path.startswith(root + "/"):
                path = path[len(root) + 1 :]
                break
        for pattern, instead in _MADE_UP:
            path = pattern.sub(instead, path)
        return path

    def _said(self, thread: int, address: int, size: int) -> str:
        """Say what is sent to others: a request's method and route, a command; nothing of what a loop tells itself."""
        data = _memory(thread, address, min(size, 4096))
        if match := _SAYS.match(data):
            route = match[2].decode(errors="replace").partition("?")[0].removeprefix("/api/v1")
            return f"{match[1].decode()} {self._named(route)}"
        if data.startswith(b'{"argv"'):
            argv = json.loads(data)["argv"]
            return f"occ {argv[argv.index('--') + 1]}"
        return ""

    @staticmethod
    def _open(thread: int, fd: int) -> str:
        return os.readlink(f"/proc/{thread}/fd/{_signed(fd)}")  # noqa: PTH115

    @staticmethod
    def _text(thread: int, address: int) -> str:
        path = os.fsdecode(_memory(thread, address, 4096).partition(b"\0")[0])
        if path.startswith("/proc/self/fd/"):
            return os.readlink(f"/proc/{thread}/fd/{path.rpartition('/')[2]}")  # noqa: PTH115
        return path if path.startswith("/") else f"{os.readlink(f'/proc/{thread}/cwd')}/{path}"  # noqa: PTH115

    def _below(self, thread: int, folder: int, address: int) -> str:
        path = os.fsdecode(_memory(thread, address, 4096).partition(b"\0")[0]) if address else ""
        if path.startswith("/") or _signed(folder) == _AT_FDCWD:
            return self._text(thread, address)
        return f"{self._open(thread, folder)}/{path}".rstrip("/")


def _signed(number: int) -> int:
    """Give an ``int`` argument, of which the kernel passes the lower half of a register."""
    return ((number & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000


def _memory(thread: int, address: int, size: int) -> bytes:
    fd = os.open(f"/proc/{thread}/mem", os.O_RDONLY)
    try:
        # Up to the end of the page, behind which there may be nothing.
        near = min(size, 4096 - address % 4096)
        found = os.pread(fd, near, address)
        if near < size and b"\0" not in found:
            with contextlib.suppress(OSError):
                found += os.pread(fd, size - near, address + near)
        return found
    finally:
        os.close(fd)


# -- the child's side -----------------------------------------------------------------------------------------------


async def _call_occ(self: Any, argv: Sequence[str], *, timeout: float) -> runner.Answer:  # noqa: ASYNC109
    """Have occ's own process do a call, which goes on when this one is killed."""
    path, *command = self._command
    with anyio.fail_after(timeout):
        async with await anyio.connect_unix(path) as connection:
            await connection.send(json.dumps({"argv": [*command, *argv]}).encode() + b"\n")
            answer = b"".join([block async for block in connection])
    found = json.loads(answer)
    return runner.Answer(found["code"], found["out"], found["err"])


def run(argv: list[str]) -> int:
    """Run the real program in this process; only ``occ``, no part of it, is asked of a process that outlives it."""
    from daemon.cli.main import main

    setattr(runner.CommandRunner, "run", _call_occ)  # noqa: B010  a method to mypy, which may not be assigned to
    return main(argv)


def warm_up() -> None:
    """Import all that a run imports, so that a forked child need not."""
    import daemon.app
    import daemon.cli.main  # noqa: F401
    from daemon import homekeeper
    from daemon.relay import folder_stock

    # A listing of a dozen files has several parts then, each written by itself, as one of many thousands has.
    for module in (folder_stock, homekeeper):
        setattr(module, "_CHUNK", 3)  # noqa: B010  a constant to mypy
    asyncio.new_event_loop().close()
