"""What the live watch has told of, and what it owed: so that what a sweep finds can be counted as missed or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.watch.model import Found, below

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

_REMEMBERED = 20_000


class Heard:
    """Remembers since when each root is watched and the last files told of, as numbers, not more than so many."""

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._since: dict[str, float] = {}
        self._told: dict[int, None] = {}

    def watched(self, roots: Iterable[str], wall: float) -> None:
        """Note that these roots, or what holds them, are watched from now on: of what was before nothing is owed."""
        for root in roots:
            self._since[below(root, tuple(self._since)) or root] = wall

    def keep(self, roots: Collection[str]) -> None:
        """Forget all roots but these."""
        for root in [root for root in self._since if root not in roots]:
            del self._since[root]

    def told(self, found: Found) -> None:
        """Note a file that was taken in, by whatever way."""
        self._told.pop(hash(found), None)
        self._told[hash(found)] = None
        while len(self._told) > _REMEMBERED:
            del self._told[next(iter(self._told))]

    def owed(self, found: Found, wall: float) -> bool:
        """Tell whether the watch should have told of this file: changed while it stood, and not only just now."""
        root = below(f"{found.user}/files/{found.path}", tuple(self._since))
        changed = found.fingerprint.ctime_ns / 1e9
        return (
            root is not None
            and self._since[root] + self._grace < changed < wall - self._grace
            and hash(found) not in self._told
        )
