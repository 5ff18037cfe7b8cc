"""What the watching parts hand to one another and to the rest: finds, changes, settled groups, and the times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.fingerprint import Fingerprint


class Found(NamedTuple):
    """One candidate file as it stood when it was looked at; ``path`` is relative to the user's ``files/``."""

    user: str
    path: str
    fingerprint: Fingerprint


class Change(NamedTuple):
    """What stands at a path now that something happened there.

    That is a regular file with its fingerprint, or nothing (``None``), or a ``directory`` (told of only where
    directories are what is looked for). ``path`` is relative to the data root. Kernel events reach us as a set
    without order, so what counts is what stands there, not which event it was.
    """

    path: str
    fingerprint: Fingerprint | None
    directory: bool = False

    @property
    def kind(self) -> Literal["present", "gone", "directory"]:
        """Give what stands there in a word."""
        if self.directory:
            return "directory"
        return "gone" if self.fingerprint is None else "present"


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Something may have been missed below ``roots`` (relative to the data root; ``None``: anywhere).

    ``expected`` marks the ordinary case of a folder that has just begun to be watched: nothing is wrong, but what
    already stands in it was never reported.
    """

    reason: str
    roots: tuple[str, ...] | None = None
    expected: bool = False


@dataclass(frozen=True, slots=True)
class SettledGroup:
    """Files of one directory that belong together and have all come to rest.

    ``folder`` is the watched folder they lie in and ``directory`` their own, both relative to the user's ``files/``.
    ``sides_only``: there is no photo or video among them; such a group is told of and not relayed, it waits for one.
    """

    user: str
    folder: str
    directory: str
    members: tuple[Found, ...]
    sides_only: bool = False


class Sink(Protocol):
    """Who hears what the watch finds. Each call is awaited before the next of its kind: slowness slows the watch."""

    async def found(self, files: list[Found]) -> set[tuple[str, str]]:
        """Take note of files and say which of them, as ``(user, path)``, are to be relayed."""

    async def settled(self, groups: Sequence[SettledGroup]) -> None:
        """Take over groups of one folder that have come to rest."""

    async def gone(self, places: Sequence[tuple[str, str]]) -> None:
        """Take note that nothing stands any more at these places, each a user and a path."""

    async def suspicion(self, reason: str) -> None:
        """Take note that changes may have been missed; the watch looks for them itself."""


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How to watch. Times are in seconds.

    ``extensions``: those to take, lower case and without the dot; empty: all that the program knows. ``archived``:
    the name of the folder into which released originals go; it is never looked into. What the kernel tells is looked at
    after two ``step``s, and as soon as nothing more comes for a tenth of one; at most a quarter of ``settle``.
    ``look``: how often it is checked that homes and folders are what they were. ``prove_every``: how often the watch
    is proved alive; a deaf or refused one is tried again as often. ``grace``: a file that changed within this time of
    a sweep is not held against the watch. ``racy``: a sweep lists a directory that changed within this time once more,
    that much later. ``chunk``: files told of at a time. ``pending``: with so many waiting to settle, finding
    more waits.
    """

    settle: float = 10.0
    max_wait: float = 600.0
    partner: float = 120.0
    mode: str = "auto"
    extensions: frozenset[str] = frozenset()
    archived: str = "Archived"
    step: float = 0.5
    look: float = 20.0
    prove_every: float = 600.0
    poll_every: float = 10.0
    grace: float = 5.0
    racy: float = 2.0
    chunk: int = 500
    pending: int = 24_000


def below(path: str, folders: Sequence[str]) -> str | None:
    """Give the longest of ``folders`` that ``path`` is, or lies in; ``""`` is the folder that holds everything."""
    best: str | None = None
    for folder in folders:
        if (not folder or path == folder or path.startswith(folder + "/")) and (
            best is None or len(folder) > len(best)
        ):
            best = folder
    return best
