"""The first watch of a start: it stands before the rest of the program is even loaded, which takes a second by itself.

What comes meanwhile waits in the kernel's queue, and the first sweep lists everything in any case: a start loses
nothing without it. It only shortens the time in which nobody would hear of a change.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from daemon.errors import RelayError
from daemon.nextcloud import homes
from daemon.text import count_in_words
from daemon.watch import filesystems, tree, users
from daemon.watch.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from daemon.watch.users import Folders

log = logging.getLogger(__name__)


class Made(NamedTuple):
    """A watch that stands, and which directories its roots were when it was made."""

    engine: Engine
    roots: tuple[str, ...]
    identities: dict[str, tuple[int, int] | None]


class Early:
    """Sets a watch up in a thread of its own; who watches from then on takes it over, or it is ended.

    ``base`` is Nextcloud's data directory, ``included`` gives the folders to watch of those who have a home, ``mode``
    is the setting. Whatever stands in the way is not told: who watches later meets it too, and says it.
    """

    def __init__(self, base: str, included: Callable[[Iterable[str]], Folders], mode: str) -> None:
        self._base = os.path.realpath(base)
        self._included = included
        self._mode = mode
        self._guard = threading.Lock()
        self._made: Made | None = None
        self._unwanted = mode == "poll"
        # The process may end while it walks a slow disk.
        self._thread = threading.Thread(target=self._run, name="first watch", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Return when it stands or cannot stand, at the latest after ``seconds``."""
        self._thread.join(seconds)

    def take(self, base: str, roots: tuple[str, ...]) -> Made | None:
        """Give the watch if it is one over just these roots and they are still what they were, else end it. Blocking.

        To be called once. Waits until it stands.
        """
        self._thread.join()
        with self._guard:
            made, self._made = self._made, None
        if made is None:
            return None
        same = all(one is not None and tree.identity(base, root) == one for root, one in made.identities.items())
        if base == self._base and roots == made.roots and same:
            return made
        made.engine.close()
        return None

    def close(self) -> None:
        """End the watch if nobody has taken it, now or when it stands."""
        with self._guard:
            self._unwanted = True
            made, self._made = self._made, None
        if made is not None:
            made.engine.close()

    def _run(self) -> None:
        with suppress(RelayError, OSError):
            made = None if self._unwanted else self._make()
            with self._guard:
                if not self._unwanted:
                    self._made, made = made, None
            if made is not None:
                made.engine.close()

    def _make(self) -> Made | None:
        wanted = users.normal(self._included(homes.list_homes(self._base)))
        roots = tuple(root for root in users.plan(self._base, wanted).deep if not self._is_silent(root))
        if not roots:
            return None
        identities = {root: tree.identity(self._base, root) for root in roots}
        engine = Engine(self._base, roots)
        log.info("watching %s", count_in_words(engine.directories, "folder"))
        return Made(engine, roots, identities)

    def _is_silent(self, root: str) -> bool:
        return self._mode == "auto" and filesystems.silent_kind(f"{self._base}/{root}") is not None
