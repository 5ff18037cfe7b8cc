"""The safety net: look through folders and give the candidate files that stand there.

What is remembered of a folder spares listing the directories whose times have not moved. Not seen that way is a file
written in place under its old name: whoever needs that asks for it by name, or for a full sweep.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daemon.text import shown
from daemon.watch import filesystems, tree
from daemon.watch.model import Found
from daemon.watch.remembered import UNSURE, Remembered, sign_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from daemon.watch.remembered import Memory, Target
    from daemon.watch.rules import Rules

_MOST_RACY = 10_000
_MOST_LISTED = 2_000
"""Files and folders of one directory that are held at a time."""


@dataclass(slots=True)
class Swept:
    """What a sweep came across.

    ``directories`` and ``files`` count all that stand there, ``listed`` the directories that were not taken from
    memory. ``unreadable`` has each directory with why, ``racy`` those to be listed again, ``unanswered`` the users
    whose disk does not answer.
    """

    directories: int = 0
    listed: int = 0
    files: int = 0
    wanted: int = 0
    missed: int = 0
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    racy: list[tuple[str, str]] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)

    def add(self, other: Swept) -> None:
        """Count what another sweep came across as well."""
        self.directories += other.directories
        self.listed += other.listed
        self.files += other.files
        self.unreadable += other.unreadable
        self.racy += other.racy


class Sweep:
    """One walk through each ``(user, folder)``, following no link: gives the candidates in chunks. Blocking.

    A directory changed within ``racy`` seconds of its listing (``wall`` gives the time) is noted, to be listed once
    more, and not trusted: times of file systems tick coarsely. A folder that is not there gives nothing. What of
    ``memory`` still holds is not listed. Memory: one chunk and a part of one directory's listing at a time, besides
    what is remembered and the folders of one directory.
    """

    def __init__(
        self,
        base: str,
        targets: Iterable[Target],
        rules: Rules,
        swept: Swept,
        *,
        wall: Callable[[], float],
        racy: float = 2.0,
        chunk: int = 500,
        memory: Memory | None = None,
        full: bool = True,
    ) -> None:
        self._base = base
        self._targets = list(targets)
        self._rules = rules
        self._swept = swept
        self._wall = wall
        self._racy = racy
        self._chunk = chunk
        self._memory = memory
        self._full = full
        self._generation = memory.generation if memory is not None else 0
        self._trees: dict[Target, Remembered] = {}
        self._where: dict[tuple[str, str], tuple[Remembered, int]] = {}

    def chunks(self) -> Iterator[list[Found]]:
        """Walk, and give what is found."""
        batch: list[Found] = []
        for target in self._targets:
            user, folder = target
            old = None if self._full or self._memory is None else self._memory.get(target)
            new = Remembered()
            top = f"{user}/files/{folder}" if folder else f"{user}/files"
            for found, place in self._walk(top, old, new):
                files = _take(user, found, self._swept)
                if not files:
                    continue
                batch.extend(files)
                key = (user, files[0].path.rpartition("/")[0])
                self._where[key] = (new, place)
                while len(batch) >= self._chunk:
                    yield batch[: self._chunk]
                    batch = batch[self._chunk :]
                    self._where = {key: (new, place)}
            self._trees[target] = new
        if batch:
            yield batch

    def doubt(self, files: Iterable[Found]) -> None:
        """Have the directories of these, out of the last chunk, listed again next time: something waits in them."""
        for user, directory in {(file.user, file.path.rpartition("/")[0]) for file in files}:
            if (known := self._where.get((user, directory))) is not None:
                known[0].doubt(known[1])

    def remember(self) -> None:
        """Keep what was seen; to be called when all that was found has been taken in, not before."""
        if self._memory is not None:
            self._memory.keep(self._trees, self._generation)

    def _walk(self, top: str, old: Remembered | None, new: Remembered) -> Iterator[tuple[tree.Listing, int]]:
        """Give the listing of each directory that must be listed, by parts, and its place in ``new``."""
        above, _, first = top.rpartition("/")
        try:
            way = _Way(above, tree.open_directory(self._base, above), new)
        except OSError as error:
            yield tree.Listing(top, None, [], [], error), 0
            return
        way.timed = filesystems.keeps_times(f"{self._base}/{top}")
        # Depth, name, place in what is remembered (-1: none).
        waiting: list[_Next] = [(0, os.fsencode(first), 0 if old is not None and len(old) else -1)]
        try:
            while waiting:
                depth, name, before = waiting.pop()
                way.back_to(depth)
                if old is not None and before >= 0 and _is_unchanged(old.signs[before], name, way.fds[-1]):
                    place = new.add(name, old.signs[before], old.files[before])
                    self._swept.directories += 1
                    self._swept.files += old.files[before]
                    if old.ends[before] > before + 1:
                        if way.into(name, place):
                            waiting += [(depth + 1, *child) for child in self._others(old, before, way)]
                        else:
                            new.doubt(place)
                    continue
                directories: list[bytes] = []
                for found, place in self._list(way, depth, name):
                    directories += map(os.fsencode, found.directories)
                    yield found, place
                known = dict(old.children(before)) if old is not None and before >= 0 else {}
                for child in sorted(directories, reverse=True):
                    waiting.append((depth + 1, child, known.get(child, -1)))
        finally:
            way.close()

    def _others(self, old: Remembered, place: int, way: _Way) -> list[tuple[bytes, int]]:
        """Take over what stands in a directory as it was last listed; give the rest of it, the last first."""
        rest = []
        for name, child in old.children(place):
            if old.stands(child, way.fds[-1]):
                way.new.copy(old, child)
                self._swept.directories += old.ends[child] - child
                self._swept.files += sum(old.files[child : old.ends[child]])
            else:
                rest.append((name, child))
        return rest[::-1]

    def _list(self, way: _Way, depth: int, name: bytes) -> Iterator[tuple[tree.Listing, int]]:
        """Give one directory by parts; it is the innermost one of the way then."""
        path, new = way.path(name), way.new
        place = new.add(name, UNSURE, 0)
        try:
            if depth >= tree.DEEPEST:
                raise OSError(errno.ENAMETOOLONG, "nested too deeply")
            fd = tree.enter(way.fds[-1], name)
        except OSError as error:
            yield tree.Listing(path, None, [], [], error), place
            return
        way.push(fd, path, place)
        # Taken before the listing: a slow one must not make a fresh time look old.
        since = self._wall() - self._racy
        skipping = _Skipping(self._rules)
        begun = False
        for found in tree.parts(fd, path, _MOST_LISTED, skip=skipping, wanted=self._rules.is_candidate):
            if found.status is not None and not begun:
                begun = True
                self._listed(path, found.status, since)
                if max(found.status.st_mtime, found.status.st_ctime) <= since and way.keeps_times(found.status):
                    new.signs[place] = sign_of(found.status)
            new.files[place] += len(found.files)
            if found.error is not None or skipping.unsure:
                new.doubt(place)
            yield found, place

    def _listed(self, path: str, status: os.stat_result, since: float) -> None:
        self._swept.directories += 1
        self._swept.listed += 1
        if max(status.st_mtime, status.st_ctime) > since and len(self._swept.racy) < _MOST_RACY:
            self._swept.racy.append((path.partition("/")[0], path))


_Next = tuple[int, bytes, int]


class _Way:
    """The open directories from the top down to where a walk is."""

    def __init__(self, above: str, fd: int, new: Remembered) -> None:
        self.new = new
        self.fds = [fd]
        self.timed = False
        self._device: int | None = None
        self._paths = [above]
        self._places: list[int] = []

    def path(self, name: bytes) -> str:
        """Give the path of what lies in the innermost one."""
        return f"{self._paths[-1]}/{os.fsdecode(name)}"

    def back_to(self, depth: int) -> None:
        """Leave all that are deeper."""
        while len(self._places) > depth:
            os.close(self.fds.pop())
            self._paths.pop()
            self.new.close(self._places.pop())

    def push(self, fd: int, path: str, place: int) -> None:
        """Go into an open directory."""
        self.fds.append(fd)
        self._paths.append(path)
        self._places.append(place)

    def into(self, name: bytes, place: int) -> bool:
        """Go into a directory that is not listed; tells whether it could be opened."""
        try:
            fd = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.fds[-1])
        except OSError:
            return False
        self.push(fd, self.path(name), place)
        return True

    def keeps_times(self, status: os.stat_result) -> bool:
        """Tell whether a directory is on the file system of the top: what is mounted below may keep no times."""
        if self._device is None:
            top = os.fstat(self.fds[1]) if len(self.fds) > 1 else status
            self._device = top.st_dev
        return self.timed and status.st_dev == self._device

    def close(self) -> None:
        """Leave all."""
        self.back_to(0)
        os.close(self.fds.pop())


def _is_unchanged(known: int, name: bytes, parent: int) -> bool:
    """Tell whether a directory stands as it was last listed."""
    if known == UNSURE:
        return False
    try:
        return sign_of(os.stat(name, dir_fd=parent, follow_symlinks=False)) == known
    except OSError:
        return False


class _Skipping:
    """Asks the rules which directories are never entered, and remembers where the answer may change unseen."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self.unsure = False

    def __call__(self, path: str, parent: int) -> bool:
        # Whether it is entered depends on a file in it, which the times of the directory above do not show.
        self.unsure |= path.rpartition("/")[2] == self._rules.archived
        return self._rules.passes_over(path, parent)


def sweep(
    base: str, targets: Iterable[Target], rules: Rules, swept: Swept, *, wall: Callable[[], float]
) -> Iterator[list[Found]]:
    """Walk everything, once, and give the candidates in chunks."""
    return Sweep(base, targets, rules, swept, wall=wall).chunks()


def again(base: str, user: str, path: str, rules: Rules) -> Iterator[list[Found]]:
    """List one directory (relative to the data root) once more, by parts. Blocking."""
    for found in tree.listed(base, path, _MOST_LISTED, skip=rules.passes_over, wanted=rules.is_candidate):
        yield _take(user, found, Swept())


def by_name(base: str, files: Collection[tuple[str, str]], rules: Rules) -> list[Found]:
    """Look at single files, as ``(user, path)``, and give those that stand in a watched folder."""
    grouped: dict[tuple[str, str], list[str]] = {}
    closed: dict[tuple[str, str], bool] = {}
    for user, path in files:
        place = rules.locate(f"{user}/files/{path}")
        if place is None or not rules.is_candidate(place.name):
            continue
        key = (user, place.directory)
        if key not in closed:
            closed[key] = rules.is_closed(base, place)
        if not closed[key]:
            grouped.setdefault(key, []).append(place.name)
    result = []
    for (user, directory), names in grouped.items():
        prefix = f"{directory}/" if directory else ""
        try:
            stand = tree.fingerprints(base, f"{user}/files/{directory}".rstrip("/"), names)
        except OSError:
            continue
        result += [Found(user, prefix + name, found) for name, found in stand.items() if found is not None]
    return result


def _take(user: str, found: tree.Listing, swept: Swept) -> list[Found]:
    if found.error is not None or found.status is None:
        error = found.error
        if error is not None and error.errno not in (errno.ENOENT, errno.ENOTDIR):
            swept.unreadable.append((found.path, shown(os.strerror(error.errno or 0))))
        return []
    swept.files += len(found.files)
    directory = found.path[len(user) + len("/files/") :]
    prefix = f"{directory}/" if directory else ""
    return [Found(user, prefix + name, fingerprint) for name, fingerprint in found.files]
