"""Directories watched by the kernel: what is named there since the last look, and whether the kernel lost some of it.

A thread waits on the kernel's queue itself, so that nothing wakes while nothing happens and what happens is known at
once. Links are never followed. A new directory has its watch before it is listed, so nothing in it falls between.
"""

from __future__ import annotations

import errno
import os
import select
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from inotify_simple import INotify, flags

from daemon.files.names import HIDDEN_PREFIX
from daemon.text import shown
from daemon.watch import filesystems, tree

if TYPE_CHECKING:
    from collections.abc import Iterable

# As plain numbers: an IntEnum costs more to compare than all else about an event.
_CREATE, _MOVED_TO, _MOVED_FROM, _ISDIR = (
    int(one) for one in (flags.CREATE, flags.MOVED_TO, flags.MOVED_FROM, flags.ISDIR)
)
_OVERFLOW, _IGNORED, _UNMOUNT = (int(one) for one in (flags.Q_OVERFLOW, flags.IGNORED, flags.UNMOUNT))
_OPEN = int(flags.OPEN)
_SELF = int(flags.DELETE_SELF) | int(flags.MOVE_SELF)
_NAMES = _CREATE | _MOVED_TO | _MOVED_FROM | int(flags.DELETE)
_CONTENT = int(flags.MODIFY) | int(flags.CLOSE_WRITE) | int(flags.ATTRIB)
# Reading is not listened to: our own hashing and Nextcloud's scans would fill the queue. What is deleted and still
# written to is nobody's photo any more.
_HOW = int(flags.ONLYDIR) | int(flags.EXCL_UNLINK)
_MASK = _NAMES | _CONTENT | _HOW
_LIST = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PASSED_OVER = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})
"""Why a directory is left out in silence: it went meanwhile, is a link, or lies too deep, which the sweeps tell of."""


MOST_NAMED = 5_000
"""Paths that are kept while nobody takes them; the kernel's queue holds 16,384 events."""


@dataclass(slots=True)
class Batch:
    """What happened, as paths below the base: ``changed`` has all, ``added`` the directories that came among them.

    ``lost``: roots that are not where they were. ``full``: directories in which more happened than is named.
    ``trouble``: why something may be missing, for people; empty: no.
    """

    changed: set[str] = field(default_factory=set)
    added: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    full: set[str] = field(default_factory=set)
    trouble: str = ""

    def add(self, other: Batch) -> None:
        """Take in what happened since; where that is too much, whole directories stand for what happened in them."""
        self.changed |= other.changed
        self.added |= other.added
        self.lost |= other.lost
        self.full |= other.full
        self.trouble = self.trouble or other.trouble
        if len(self.changed) <= MOST_NAMED:
            return
        names = Counter(path.rpartition("/")[0] for path in self.changed)
        # Of each as many are named as leaves room for all the others': one user's flood hides no one else's photo.
        most = max(1, MOST_NAMED // (2 * len(names)))
        full = {directory for directory, count in names.items() if count > most}
        self.full |= full
        self.changed = {path for path in self.changed if path.rpartition("/")[0] not in full}
        self.added &= self.changed
        if len(self.changed) + len(self.full) > MOST_NAMED:
            self.trouble = self.trouble or "more happened at once than can be kept"
            self.changed, self.added, self.full = set(), set(), set()


class Engine:
    """Watches ``roots`` (relative to ``base``; "" is the base itself) and all directories below them.

    Raises ``PermissionError``, whose ``filename`` is the directory below the base that may not be read, and
    ``OSError`` where the kernel grants no more watches. Memory: some 150 bytes a directory. One thread at a time may
    read.
    """

    def __init__(self, base: str, roots: Iterable[str]) -> None:
        self._base = base.rstrip("/")
        self._roots = frozenset(roots)
        self._paths: dict[int, str] = {}
        self._counting: dict[int, bool] = {}
        self._left = (0, "")
        """The last name that something was renamed away from, with the kernel's number of that rename."""
        self._closing = threading.Lock()
        self._inotify = INotify(nonblocking=True)
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._rung = select.poll()
        self._rung.register(self._bell, select.POLLIN)
        self._any = select.poll()
        self._any.register(self._bell, select.POLLIN)
        self._any.register(self._inotify.fd, select.POLLIN)
        try:
            for root in sorted(self._roots):
                self._watch(root)
        except BaseException:
            self.close()
            raise

    @property
    def directories(self) -> int:
        """Give how many directories are watched."""
        return len(self._paths)

    def close(self) -> None:
        """End all watches; not while a thread reads."""
        with self._closing:
            self._inotify.close()
            if self._bell >= 0:
                os.close(self._bell)
                self._bell = -1

    def ring(self) -> None:
        """Have `read` return at once, now or when it is next called. From any thread, at any time."""
        with self._closing:
            if self._bell >= 0:
                os.eventfd_write(self._bell, 1)

    def read(self, gather: float, *, wait: bool = True, longest: float = 10.0) -> Batch:
        """Wait until something happens and then until nothing more does for ``gather`` seconds; give all of it.

        Returns after ``longest`` seconds of gathering whatever comes, with `MOST_NAMED` paths, and when `ring` is
        called. Without ``wait``: what there is. Blocking.
        """
        batch = Batch()
        if wait:
            self._any.poll()
        end = time.monotonic() + longest
        while self._take(batch) and wait and time.monotonic() < end and len(batch.changed) < MOST_NAMED:
            if self._rung.poll(gather * 1000):
                break
        with suppress(BlockingIOError):
            os.eventfd_read(self._bell)
        return batch

    def sing(self, root: str) -> bool:
        """Make an event that `read` gives as a change of this root, and that leaves no trace; tell whether it could.

        The root is opened, for which its watch listens that long. (Nothing is written: a change of owner to the same
        owner would be heard too, but moves the change time and so writes to the disk.)
        """
        fd = -1
        try:
            fd = tree.open_directory(self._base or "/", root, listing=True)
            path = _by_descriptor(fd)
            self._inotify.add_watch(path, _MASK | _SELF | _OPEN)
            os.close(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            self._inotify.add_watch(path, _MASK | _SELF)
        except (OSError, ValueError):  # ValueError: it was closed meanwhile
            return False
        finally:
            if fd >= 0:
                os.close(fd)
        return True

    def _take(self, batch: Batch) -> bool:
        """Note what waits in the kernel's queue; tell whether anything did."""
        events = self._inotify.read(timeout=0)
        for watch, mask, cookie, name in events:
            self._note(batch, watch, mask, cookie, name)
        return bool(events)

    def _note(self, batch: Batch, watch: int, mask: int, cookie: int, name: str) -> None:
        if mask & _OVERFLOW:
            batch.trouble = "the kernel's queue of changes overflowed"
            return
        path = self._paths.get(watch)
        if path is None:
            return
        if mask & (_IGNORED | _UNMOUNT | _SELF):
            if mask & _IGNORED:
                del self._paths[watch]
            if mask & _UNMOUNT:
                batch.trouble = f"{shown(path or self._base)} was unmounted"
            if path in self._roots:
                batch.lost.add(path)
            return
        if name:
            if name.startswith(HIDDEN_PREFIX) and not mask & _ISDIR:
                # Our own; nobody takes it for a photo, and each original that goes bears such a name. Who hid it knows
                # that it is gone, and what happened to it before matters no more.
                if mask & _MOVED_TO and cookie == self._left[0]:
                    batch.changed.discard(self._left[1])
                return
            path = f"{path}/{name}" if path else name
        if mask & _MOVED_FROM:
            self._left = (cookie, path)
        batch.changed.add(path)
        if mask & _ISDIR and mask & _NAMES:
            self._moved(batch, path, came=bool(mask & (_CREATE | _MOVED_TO)))

    def _moved(self, batch: Batch, path: str, *, came: bool) -> None:
        """Bring the watches in line with a directory that came or went; one that moves goes first and then comes."""
        if not came:
            self._unwatch(path)
            return
        batch.added.add(path)
        try:
            self._watch(path)
        except PermissionError:
            pass  # whoever lists it tells of it
        except OSError as error:
            batch.trouble = f"{shown(path)} could not be watched: {error.strerror}"

    def _watch(self, top: str) -> None:
        """Watch a directory and, each before it is listed, those below.

        Each is opened in the one above it, never through a link, and watched and listed by its descriptor: a folder
        that becomes a link in this moment leads nowhere.
        """
        levels: list[tuple[int, list[str]]] = []
        try:
            self._enter(levels, top)
            while levels:
                fd, waiting = levels[-1]
                if not waiting:
                    os.close(levels.pop()[0])
                    continue
                path = waiting.pop()
                if len(levels) <= tree.DEEPEST:
                    self._enter(levels, path, fd)
        finally:
            for fd, _ in levels:
                os.close(fd)

    def _enter(self, levels: list[tuple[int, list[str]]], path: str, above: int | None = None) -> None:
        """Open a directory (in the open one above it), watch it and list it; it stays open, innermost of ``levels``."""
        fd = -1
        try:
            if above is None:
                fd = tree.open_directory(self._base or "/", path, listing=True)
            else:
                fd = os.open(path.rpartition("/")[2], _LIST, dir_fd=above)
            mask = _MASK | _SELF if path in self._roots else _MASK
            self._paths[self._inotify.add_watch(_by_descriptor(fd), mask)] = path
            if self._is_innermost(fd):
                os.close(fd)
                return
            with os.scandir(fd) as entries:
                names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
            inside = [f"{path}/{name}" if path else name for name in names]
        except OSError as error:
            if fd >= 0:
                os.close(fd)
            if error.errno not in _PASSED_OVER:
                raise _in_words(error, path) from error
        else:
            levels.append((fd, inside))

    def _is_innermost(self, fd: int) -> bool:
        """Tell without listing it whether an open directory has, for certain, none in it: most have none."""
        status = os.fstat(fd)
        if status.st_nlink != 2:
            return False
        if status.st_dev not in self._counting:
            self._counting[status.st_dev] = filesystems.counts_directories(status.st_dev)
        return self._counting[status.st_dev]

    def _unwatch(self, top: str) -> None:
        inside = f"{top}/"
        for watch in [one for one, path in self._paths.items() if path == top or path.startswith(inside)]:
            del self._paths[watch]
            with suppress(OSError):  # the kernel may have let it go by itself
                self._inotify.rm_watch(watch)


def _by_descriptor(fd: int) -> str:
    """Give a name for the very directory that is open, wherever it has been moved to."""
    return f"/proc/self/fd/{fd}"


def _in_words(error: OSError, path: str) -> OSError:
    """Give an error with the path below the base, and with words for the one whose own mislead."""
    if error.errno == errno.ENOSPC:
        return OSError(errno.ENOSPC, "the kernel grants no more watches (fs.inotify.max_user_watches)", path)
    return OSError(error.errno, error.strerror, path)
