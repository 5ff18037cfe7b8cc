"""Runs: work that a person starts and need not wait for, such as a sweep; it goes on in the background and is told of.

A run is kept in memory only: what it did to photos stands in the ledger, and after a restart nobody waits for it.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import anyio

from daemon.clock import iso
from daemon.errors import NeedsPerson, RelayError, Transient
from daemon.text import shown

if TYPE_CHECKING:
    from daemon.clock import Clock
    from daemon.events import Bus

log = logging.getLogger(__name__)

Kind = Literal["sweep", "preview", "restore", "index"]
Say = Callable[[str], Awaitable[None]]
Work = Callable[[Say], Awaitable[dict[str, Any] | None]]


class Sweep(Protocol):
    """Sweeps, or previews, and gives the summary (``Service.sweep``)."""

    async def __call__(self, users: Sequence[str], *, dry_run: bool, say: Say) -> dict[str, Any]:
        """Tell ``say`` how far it is, and give the summary."""


class Index(Protocol):
    """Has Nextcloud look at folders, and gives how that went."""

    async def __call__(self, users: Sequence[str], *, album: bool, say: Say) -> dict[str, Any]:
        """Tell ``say`` how far it is, and give how many folders were done."""


KEPT = 50
"""Runs that are remembered; the oldest that has ended is forgotten first."""
LINES = 500
AT_ONCE = 4
"""Runs that work at the same time; the others wait for their turn."""
WAITING = 12
"""Runs that may be unfinished; more are turned away."""
QUIET = 0.25
"""Seconds between two events that tell of lines of the same run."""


@dataclass(slots=True)
class Run:
    """One piece of work: its lines, and how it ended."""

    id: int
    kind: Kind
    who: str
    began_at: float
    about: object = None
    """What makes two runs of a kind the same; ``None``: never."""
    state: Literal["running", "done", "failed"] = "running"
    ended_at: float | None = None
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LINES))
    line_count: int = 0
    result: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    told_at: float = 0.0

    def as_dict(self, *, lines: bool = True) -> dict[str, Any]:
        """Give the run as plain values; without its lines in a list of many."""
        return {
            "id": self.id,
            "kind": self.kind,
            "state": self.state,
            "began_at": iso(self.began_at),
            "ended_at": iso(self.ended_at),
            "who": self.who,
            "lines": list(self.lines) if lines else [],
            "line_count": self.line_count,
            "result": self.result,
            "error": self.error,
        }


class Runs:
    """The runs of this daemon: who starts one hears of its end by ``run.ended``, or asks."""

    def __init__(self, bus: Bus, clock: Clock, *, sweep: Sweep, index: Index) -> None:
        self._bus = bus
        self._clock = clock
        self._sweep = sweep
        self._index = index
        self._sweeping = anyio.Lock()
        self._runs: dict[int, Run] = {}
        self._group: anyio.abc.TaskGroup | None = None
        self._turns = anyio.Semaphore(AT_ONCE)

    async def serve(self) -> None:
        """Own the runs, until cancelled: those that are under way end with it."""
        try:
            async with anyio.create_task_group() as group:
                self._group = group
                await anyio.sleep_forever()
        finally:
            self._group = None
            for run in self._runs.values():
                if run.state == "running":
                    self._end(run, error=Transient("run.stopped", "the daemon was stopped before this had ended"))

    async def start(self, kind: Kind, who: str, work: Work, *, about: object = None) -> dict[str, Any]:
        """Begin a run and give it as it is now; the same run (equal ``about``) that is under way is given instead.

        ``work(say)`` gives the result, ``await say(line)`` tells how far it is. Raises ``Transient``
        ``run.too_many``, and ``run.not_ready`` in the moment before the daemon's loops are up.
        """
        unfinished = [run for run in self._runs.values() if run.state == "running"]
        if about is not None:
            for run in unfinished:
                if (run.kind, run.about) == (kind, about):
                    return run.as_dict()
        if self._group is None:
            raise Transient("run.not_ready", "the daemon is just starting", hint="try it again in a few seconds")
        if len(unfinished) >= WAITING:
            raise Transient(
                "run.too_many",
                f"{len(unfinished)} runs are under way already; nothing more is begun",
                hint="wait until one of them has ended",
            )
        now = self._clock.wall()
        # Numbers grow over restarts too, so that a page that was left open never takes one run for another.
        identity = max([int(now * 1000), *(number + 1 for number in self._runs)])
        run = self._runs[identity] = Run(identity, kind, who, now, about)
        self._forget()
        self._group.start_soon(self._work, run, work)
        return run.as_dict()

    def background(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Do something beside everything else that nobody has asked for; ``False`` while the loops are not up."""
        if self._group is None:
            return False
        self._group.start_soon(self._beside, work)
        return True

    async def _beside(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception:
            log.exception("work in the background failed")

    async def get(self, identity: int) -> dict[str, Any]:
        """Give a run with its last lines. Raises ``NeedsPerson`` ``run.unknown``."""
        run = self._runs.get(identity)
        if run is None:
            raise NeedsPerson(
                "run.unknown", f"there is no run {identity}", hint=f"the last {KEPT} runs since the start are kept"
            )
        return run.as_dict()

    async def list(self) -> dict[str, Any]:
        """Give all runs that are remembered, newest first, without their lines."""
        return {"runs": [run.as_dict(lines=False) for run in reversed(self._runs.values())]}

    def _forget(self) -> None:
        ended = [run.id for run in self._runs.values() if run.state != "running"]
        for identity in ended[: max(0, len(self._runs) - KEPT)]:
            del self._runs[identity]

    # -- what can be asked for -----------------------------------------------------------------------------------

    async def sweep(self, users: Sequence[str], dry_run: bool, who: str) -> dict[str, Any]:
        """Begin a sweep, or a preview, and give ``{"run": …}`` at once.

        The same one that is under way is joined; another one is waited for. Raises ``NeedsPerson``
        ``sweep.not_included``.
        """
        wanted = tuple(sorted(set(users)))

        async def work(say: Say) -> dict[str, Any]:
            if self._sweeping.locked():
                await say("waits for the sweep that is under way")
            async with self._sweeping:
                return await self._sweep(wanted, dry_run=dry_run, say=say)

        return {"run": await self.start("preview" if dry_run else "sweep", who, work, about=wanted)}

    async def index(self, users: Sequence[str], album: bool, who: str) -> dict[str, Any]:
        """Have Nextcloud look at these users' folders (none named: of all who are included), and at the album."""
        wanted = tuple(sorted(set(users)))

        async def work(say: Say) -> dict[str, Any]:
            return await self._index(wanted, album=album, say=say)

        return {"run": await self.start("index", who, work, about=(wanted, album))}

    # -- working ------------------------------------------------------------------------------------------------

    async def _work(self, run: Run, work: Work) -> None:
        """Do the work; whatever goes wrong in it ends nothing but this run."""

        async def say(line: str) -> None:
            self._said(run, line)

        try:
            async with self._turns:
                result = await work(say)
        except RelayError as error:
            self._end(run, error=error)
        except Exception as fault:
            log.exception("the run %s (%s) failed", run.id, run.kind)
            self._end(run, error=_fault(fault))
        else:
            self._end(run, result=result)

    def _said(self, run: Run, line: str) -> None:
        run.lines.append(line)
        run.line_count += 1
        now = self._clock.monotonic()
        if now - run.told_at >= QUIET or run.line_count == 1:
            run.told_at = now
            self._bus.tell("run.line", id=run.id, kind=run.kind, line=line, line_count=run.line_count)

    def _end(self, run: Run, *, result: dict[str, Any] | None = None, error: RelayError | None = None) -> None:
        run.state = "done" if error is None else "failed"
        run.ended_at = self._clock.wall()
        run.result = result
        run.error = error.as_dict() if error else None
        with suppress(RuntimeError):  # the event loop is gone: nobody listens any more
            self._bus.tell("run.ended", **run.as_dict(lines=False))


def _fault(fault: Exception) -> RelayError:
    words = shown(str(fault))
    return NeedsPerson(
        "task.crashed",
        f"a fault of the program ({type(fault).__name__}: {words})",
        hint="please report it with the lines in the log",
    )
