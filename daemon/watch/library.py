"""Single directories watched through ``watchfiles``: where new users and new folders appear.

Only by themselves, never with what is inside: what is to be watched with all below goes through
:mod:`daemon.watch.engine`. Given a tree, the library lists and watches what a link in it leads to, out of the tree
too, and tells nothing of a queue that overflowed. Of single directories neither matters: they are few, their events are
few, and whoever hears of one looks again at all of it.
"""

from __future__ import annotations

import errno
import threading
from typing import TYPE_CHECKING

from watchfiles import Change
from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

from daemon.watch.engine import Batch

if TYPE_CHECKING:
    from collections.abc import Iterable

REST = 2.0
"""Seconds for which the library sleeps at a time: each is a wake-up, and new users come seldom."""


class Flat:
    """Watches the directories ``roots`` (relative to ``base``; "" is the base itself) and nothing below them.

    ``rest``: seconds within two of which a change is heard. Raises ``OSError`` where the watch cannot be set up. One
    thread at a time may read. ``RustNotify`` rather than ``awatch``: only so it is known when the watch stands.
    """

    def __init__(self, base: str, roots: Iterable[str], *, rest: float = REST) -> None:
        self._base = base.rstrip("/")
        self._roots = frozenset(roots)
        self._rest = max(1, round(rest * 1000))
        self._rung = threading.Event()
        # What is not UTF-8 the library cannot name; such folders are found when the homes are looked through.
        nameable = [root for root in self._roots if _is_utf8(root)]
        paths = [f"{self._base}/{root}" if root else self._base or "/" for root in sorted(nameable)]
        try:
            self._rust = RustNotify(paths, False, False, 300, False, True)
        except (RuntimeError, UnicodeError) as error:
            raise OSError(errno.EIO, str(error)) from error

    @property
    def directories(self) -> int:
        """Give how many directories are watched."""
        return len(self._roots)

    def close(self) -> None:
        """End the watch; not while a thread reads."""
        self._rust.close()

    def ring(self) -> None:
        """Have `read` return within a step, for good. From any thread, at any time."""
        self._rung.set()

    def read(self, gather: float, *, wait: bool = True, longest: float = 10.0) -> Batch:
        """Wait until something happens, and give all that did.

        Without ``wait``: what there is within ``gather`` seconds. Returns when `ring` is called. Blocking. Raises
        ``OSError`` where the library gives up, as it does at a name that is not UTF-8.
        """
        del longest  # it never gathers for longer than two steps
        while True:
            step = self._rest if wait and not self._rung.is_set() else max(1, round(gather * 1000))
            try:
                raw = self._rust.watch(step, step, max(1, step - 5), None)
            except (WatchfilesRustInternalError, RuntimeError) as error:
                raise OSError(errno.EIO, str(error)) from error
            if not isinstance(raw, str):
                return self._sorted(raw)
            if not wait or self._rung.is_set():
                return Batch()

    def sing(self, root: str) -> bool:
        """Tell that there is no canary here: who has a home is looked at by itself as well."""
        del root
        return False

    def _sorted(self, raw: set[tuple[int, str]]) -> Batch:
        batch = Batch()
        prefix = f"{self._base}/"
        for kind, full in raw:
            path = full[len(prefix) :] if full.startswith(prefix) else ""
            batch.changed.add(path)
            if kind == Change.added:
                batch.added.add(path)
            elif kind == Change.deleted and path in self._roots:
                batch.lost.add(path)
        return batch


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
