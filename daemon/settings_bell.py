"""Waiting until one file may have changed: by the kernel's events where they come, else by looking once a second."""

from __future__ import annotations

import os
import select
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from inotify_simple import INotify, flags

from daemon.watch.filesystems import silent_kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_FOLDER = flags.CREATE | flags.MOVED_TO | flags.MOVED_FROM | flags.DELETE | flags.DELETE_SELF | flags.MOVE_SELF
_FILE = flags.MODIFY | flags.ATTRIB | flags.DELETE_SELF | flags.MOVE_SELF


class Bell:
    """Waits, in a thread, until ``differs`` is true; `ring` from any thread ends it."""

    def __init__(self) -> None:
        self._rung = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._guard = threading.Lock()

    def ring(self) -> None:
        """Have `wait` return."""
        with self._guard:
            if self._rung >= 0:
                os.eventfd_write(self._rung, 1)

    def wait(self, path: Path, differs: Callable[[], bool], every: float, longest: float) -> None:
        """Return when ``differs`` is true, which is asked for at every event of the file and its folder. Blocking.

        Where events may not come, on network file systems and where the kernel grants no watch, it is asked for every
        ``every`` seconds. Returns after ``longest`` seconds in any case: a folder above may have been replaced. To be
        called once.
        """
        until = time.monotonic() + longest
        try:
            with INotify(nonblocking=True) as events:
                ready = select.poll()
                ready.register(self._rung, select.POLLIN)
                ready.register(events.fd, select.POLLIN)
                pause = longest if _watch(events, path) else every
                # Looked at after the watches stand: what changed before is seen now, and what changes later is told.
                while not differs() and (left := until - time.monotonic()) > 0:
                    if any(fd == self._rung for fd, _ in ready.poll(min(pause, left) * 1000)):
                        return
                    if events.read(timeout=0):
                        # The file may be another one now, under the same name.
                        pause = longest if _watch(events, path) else every
        except OSError:  # no inotify for us: the user's instances are used up
            self._look(differs, every, until)
        finally:
            with self._guard:
                os.close(self._rung)
                self._rung = -1

    def _look(self, differs: Callable[[], bool], every: float, until: float) -> None:
        ready = select.poll()
        ready.register(self._rung, select.POLLIN)
        while not differs() and (left := until - time.monotonic()) > 0:
            if ready.poll(min(every, left) * 1000):
                return


def _watch(events: INotify, path: Path) -> bool:
    """Watch a file and where it stands, both as it is named and where links lead; tell whether events will come.

    The file too, not only its folder: a single file that is mounted tells its own folder's watches, elsewhere.
    """
    sure = True
    real = path.resolve()
    for folder in {path.parent, real.parent}:
        try:
            events.add_watch(folder, _FOLDER)
        except OSError:
            sure = False
        sure = sure and silent_kind(str(folder)) is None
    with suppress(OSError):  # it may not stand there just now
        events.add_watch(real, _FILE)
        sure = sure and silent_kind(str(real)) is None
    return sure
