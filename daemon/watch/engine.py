"""Directories watched through ``watchfiles``: what is named there since the last look, and every sign of a loss.

The library's own engine (``RustNotify``) is used rather than ``awatch``: setting up a watch walks every directory
(1.5 s for 100,000), which ``awatch`` does on the event loop, and only here it is known when the new watch stands, so
that the old one can be read to its end after it. It sleeps for one step at a time, whether anything happens or not, so
the step at rest is what an idle program costs. It keeps quiet about an overflowing queue, a refused watch and what is
created in a new directory before its watch stands: whoever uses this looks for those.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from watchfiles import Change
from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

from daemon.watch import canary

if TYPE_CHECKING:
    from collections.abc import Iterable

NO_MORE = "the kernel grants no more watches (fs.inotify.max_user_watches)"
HUGE = 2048
"""So many paths at once mean that the kernel's queue may have overflowed: it holds 16,384 events, and an upload makes
seven for its two names."""
LATE = 1.0
"""Seconds by which a look may come late; in more a fast machine could fill that queue."""


@dataclass(slots=True)
class Batch:
    """What happened, as paths below the base: ``changed`` has all, ``added`` those that came among them.

    ``lost``: roots that are not where they were. ``doubt``: why something may be missing, for people; empty: no.
    ``sung``: the canary without a place was heard.
    """

    changed: set[str] = field(default_factory=set)
    added: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    doubt: str = ""
    sung: bool = False


class Engine:
    """Watches ``roots`` (relative to ``base``; "" is the base itself), with ``recursive`` all directories below too.

    ``step``: seconds for which events are gathered while some come; ``rest``: while none do. Raises
    ``PermissionError``, whose ``filename`` is the root below the base in which something may not be read, and
    ``OSError`` where the watch cannot be set up. Memory: some 200 bytes a directory. One thread at a time may read.
    """

    def __init__(
        self,
        base: str,
        roots: Iterable[str],
        *,
        recursive: bool,
        step: float = 0.5,
        rest: float = 1.0,
        huge: int = HUGE,
    ) -> None:
        self._base = base.rstrip("/")
        self._roots = tuple(sorted(roots))
        self._step = max(1, round(step * 1000))
        self._rest = max(self._step, round(rest * 1000))
        self._huge = huge
        self._stop = threading.Event()
        self._rung = threading.Event()
        for root in self._roots:
            try:
                root.encode()
            except UnicodeEncodeError:
                raise PermissionError(errno.EILSEQ, "its name is not UTF-8", root) from None
        # A file in memory, watched as the directories are: it proves the watch alive without a write to any disk.
        self._perch = os.memfd_create("photon-relay-canary", os.MFD_CLOEXEC)
        self._perched = f"/proc/self/fd/{self._perch}"
        self.sings = os.access(self._perched, os.R_OK)
        """Whether there is that canary: a process that has changed its user may not look at its own descriptors."""
        try:
            self._rust = self._made([self._full(root) for root in self._roots], recursive)
        except BaseException:
            os.close(self._perch)
            raise

    def _made(self, paths: list[str], recursive: bool) -> RustNotify:
        try:
            return RustNotify([*paths, self._perched] if self.sings else paths, False, False, 300, recursive, False)
        except PermissionError as error:
            said = str(error)
            culprits = [
                root
                for root, path in zip(self._roots, paths, strict=True)
                if f'"{path}"' in said or f'"{path.rstrip("/")}/' in said
            ]
            if not culprits:
                raise OSError(errno.EACCES, said) from error
            raise PermissionError(errno.EACCES, said, max(culprits, key=len)) from error
        except (UnicodeEncodeError, RuntimeError, OSError) as error:
            if "watch limit" in str(error):
                raise OSError(errno.ENOSPC, NO_MORE) from error
            raise OSError(errno.EIO, str(error)) from error

    def close(self) -> None:
        """End all watches; not while a thread reads."""
        self._rust.close()
        if self._perch >= 0:
            os.close(self._perch)
            self._perch = -1

    def ring(self) -> None:
        """Have `read` return within a step, for good, with what was gathered. From any thread, at any time."""
        self._rung.set()

    def stop(self) -> None:
        """Have `read` return within a step, for good; what was gathered is dropped. From any thread, at any time."""
        self._stop.set()

    def read(self, *, wait: bool = True) -> Batch:
        """Give what has happened: as soon as something has, and nothing more came within a step.

        Without ``wait``: what there is within one step. Returns also when `ring` or `stop` is called. Blocking: at rest
        the thread stays here, since each hand-over to the event loop would wake two more. Raises ``OSError`` where the
        library gives up, as it does at a name that is not UTF-8.
        """
        while True:
            batch = self._look(self._rest if wait else self._step)
            if batch != Batch() or not wait or self._stop.is_set() or self._rung.is_set():
                return batch

    def _look(self, step: int) -> Batch:
        """Give what happens within a step and until nothing more does.

        One that takes longer means that the process stood still, and then the queue may have overflowed unseen.
        """
        began = time.monotonic()
        try:
            # It sleeps a step, then a second one where something came, and more only for so long.
            raw = self._rust.watch(step, step, max(1, step - 5), self._stop)
        except (WatchfilesRustInternalError, RuntimeError) as error:
            raise OSError(errno.EIO, str(error)) from error
        late = time.monotonic() - began - (1 if isinstance(raw, str) else 3) * step / 1000
        batch = Batch()
        if not isinstance(raw, str):
            self._sort(raw, batch)
        if late > LATE:
            batch.doubt = f"the program stood still for {late:.1f} s: the kernel's queue may have overflowed"
        return batch

    def _sort(self, raw: set[tuple[int, str]], batch: Batch) -> None:
        prefix = f"{self._base}/"
        for kind, full in raw:
            if full == self._perched:
                batch.sung = True
                continue
            path = full[len(prefix) :] if full.startswith(prefix) else ""
            batch.changed.add(path)
            if kind == Change.added:
                batch.added.add(path)
            elif kind == Change.deleted and path in self._roots:
                batch.lost.add(path)
        if len(raw) >= self._huge:
            batch.doubt = f"{len(raw)} changes at once: the kernel's queue may have overflowed"

    def sing(self) -> None:
        """Make an event that `read` gives as ``sung``: the watch and its thread live. Nothing is written to a disk."""
        with suppress(OSError):  # closed meanwhile
            os.utime(self._perch)

    def sing_at(self, root: str) -> bool:
        """Make an event at a root that `read` gives as its change; tell whether it could. Its change time moves.

        It proves that this file system tells of changes at all, which no event from elsewhere can.
        """
        try:
            canary.sing(self._base or "/", root)
        except OSError:
            return False
        return True

    def _full(self, path: str) -> str:
        return f"{self._base}/{path}" if path else self._base or "/"
