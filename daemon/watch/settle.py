"""When has an upload come to rest? The rule alone, without files and without a clock of its own.

A file is quiet when its fingerprint has not changed for ``settle`` seconds. A group is settled when every member is
quiet and either its directory has been quiet as long, or the group has waited for ``max_wait``. A lone photo whose
metadata announces a partner waits up to ``partner`` seconds more for it.

Taking a file too early breaks the upload it belongs to: after the rename to its final name Nextcloud still sets its
time, reads it for previews and metadata, and answers the client only then (``apps/dav/lib/Connector/Sabre/File.php``;
seen on Nextcloud 32: of 15 files taken at once all uploads failed, after 200 ms none).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from daemon.fingerprint import Fingerprint

D = TypeVar("D", bound=Hashable)


@dataclass(slots=True)
class _File:
    fingerprint: Fingerprint
    changed: float
    since: float


@dataclass(slots=True)
class _Group:
    files: dict[str, _File] = field(default_factory=dict)
    announced: bool | None = None


@dataclass(slots=True)
class _Directory:
    groups: dict[str, _Group] = field(default_factory=dict)
    active: float = -math.inf
    next_due: float | None = None
    """The earliest moment at which a group here is settled; ``None``: to be worked out again."""


@dataclass(frozen=True, slots=True)
class Due(Generic[D]):
    """A group that has come to rest. ``announced``: whether it awaits a partner; ``None``: nobody has said yet."""

    directory: D
    key: str
    members: tuple[tuple[str, Fingerprint], ...]
    announced: bool | None
    lone: bool


class Settler(Generic[D]):
    """Keeps what has been seen and not yet come to rest, and says what has. Memory: the pending files, no more.

    ``directory`` is whatever the caller tells directories apart by. Every ``now`` is a monotonic time in seconds.
    ``key(name)`` gives what a name is grouped by and ``is_main(name)`` whether it is a photo or video. ``owner`` gives
    whose a directory is, for `count_of`.
    """

    def __init__(
        self,
        settle: float,
        max_wait: float,
        partner: float,
        *,
        key: Callable[[str], str],
        is_main: Callable[[str], bool],
        owner: Callable[[D], Hashable] = lambda directory: directory,
    ) -> None:
        self._settle = settle
        self._max_wait = max_wait
        self._partner = partner
        self._key = key
        self._is_main = is_main
        self._owner = owner
        self._directories: dict[D, _Directory] = {}
        self._counts: dict[Hashable, int] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def count_of(self, owner: Hashable) -> int:
        """Give how many files of one owner are pending."""
        return self._counts.get(owner, 0)

    def _counted(self, directory: D, more: int) -> None:
        owner = self._owner(directory)
        self._count += more
        self._counts[owner] = self._counts.get(owner, 0) + more
        if not self._counts[owner]:
            del self._counts[owner]

    def configure(self, settle: float, max_wait: float, partner: float) -> None:
        """Change the times; they hold for what is pending, too."""
        self._settle, self._max_wait, self._partner = settle, max_wait, partner
        for state in self._directories.values():
            state.next_due = None

    def has(self, directory: D, name: str) -> bool:
        """Tell whether this file is pending."""
        state = self._directories.get(directory)
        group = state.groups.get(self._key(name)) if state else None
        return group is not None and name in group.files

    def seen(self, directory: D, name: str, fingerprint: Fingerprint, now: float) -> None:
        """Note what a file looks like now; its quiet time starts again if that is new."""
        state = self._directories.setdefault(directory, _Directory())
        group = state.groups.setdefault(self._key(name), _Group())
        file = group.files.get(name)
        if file is None:
            group.files[name] = _File(fingerprint, now, now)
            self._counted(directory, 1)
        elif file.fingerprint != fingerprint:
            file.fingerprint, file.changed = fingerprint, now
        else:
            return
        state.active = max(state.active, now)
        state.next_due = None

    def activity(self, directory: D, now: float) -> None:
        """Note that something is being uploaded into the directory; forgotten where nothing is pending."""
        state = self._directories.get(directory)
        if state is not None:
            state.active = max(state.active, now)
            state.next_due = None

    def announce(self, directory: D, key: str, expected: bool) -> None:
        """Note whether the group's photo says that a partner (the video of a Live Photo) belongs to it."""
        state = self._directories.get(directory)
        if state is not None and key in state.groups:
            state.groups[key].announced = expected
            state.next_due = None

    def gone(self, directory: D, name: str) -> bool:
        """Forget a file; tells whether it was pending."""
        state = self._directories.get(directory)
        key = self._key(name)
        group = state.groups.get(key) if state else None
        if state is None or group is None or name not in group.files:
            return False
        del group.files[name]
        self._counted(directory, -1)
        state.next_due = None
        if not group.files:
            del state.groups[key]
        if not state.groups:
            del self._directories[directory]
        return True

    def forget(self, unwanted: Callable[[D], bool]) -> None:
        """Forget everything in the directories for which ``unwanted`` holds."""
        for directory in [directory for directory in self._directories if unwanted(directory)]:
            state = self._directories.pop(directory)
            self._counted(directory, -sum(len(group.files) for group in state.groups.values()))

    def take(self, due: Due[D]) -> bool:
        """Remove a group that was due, and tell so; ``False``, and nothing removed, if it has changed since."""
        state = self._directories.get(due.directory)
        group = state.groups.get(due.key) if state else None
        if state is None or group is None:
            return False
        if {name: file.fingerprint for name, file in group.files.items()} != dict(due.members):
            return False
        for name, _ in due.members:
            self.gone(due.directory, name)
        return True

    def due(self, now: float, passed_over: Callable[[D], bool] = lambda _: False) -> list[Due[D]]:
        """Give the groups that are settled now; they stay until taken. Not those in directories ``passed_over``."""
        result: list[Due[D]] = []
        for directory, state in self._directories.items():
            if passed_over(directory) or self._earliest(state) > now:
                continue
            for key, group in state.groups.items():
                if self._settled_at(state, group) <= now:
                    members = tuple(sorted((name, file.fingerprint) for name, file in group.files.items()))
                    result.append(Due(directory, key, members, group.announced, self._lone(group.files)))
        return result

    def next_due(self, now: float, passed_over: Callable[[D], bool] = lambda _: False) -> float | None:
        """Give the time at which the next group will be settled if nothing happens (``now`` at the least).

        Directories that are ``passed_over`` do not count.
        """
        times = (self._earliest(state) for directory, state in self._directories.items() if not passed_over(directory))
        first = min(times, default=None)
        return None if first is None else max(now, first)

    def _earliest(self, state: _Directory) -> float:
        if state.next_due is None:
            state.next_due = min(self._settled_at(state, group) for group in state.groups.values())
        return state.next_due

    def _lone(self, names: Iterable[str]) -> bool:
        return sum(1 for name in names if self._is_main(name)) == 1

    def _settled_at(self, state: _Directory, group: _Group) -> float:
        changed = max(file.changed for file in group.files.values())
        waited = min(file.since for file in group.files.values()) + self._max_wait
        at = max(changed + self._settle, min(state.active + self._settle, waited))
        if group.announced and self._lone(group.files):
            at = max(at, changed + self._settle + self._partner)
        return at
