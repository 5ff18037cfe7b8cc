"""Which directories stood where when they were last listed, so that a sweep lists only those that have changed.

A directory's times move when a name in it comes or goes, and its change time cannot be set by anybody. A hundred
thousand directories are kept in some 3 MB: flat arrays in the order of the walk, not objects.
"""

from __future__ import annotations

import os
from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

Target = tuple[str, str]
"""A user and a watched folder relative to their ``files/``."""

UNSURE = 0
"""The sign of a directory that is to be listed again whatever its times say."""


def sign_of(status: os.stat_result) -> int:
    """Give a number that differs where a directory is another one or where names in it may have come or gone."""
    return hash((status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns))


class Remembered:
    """The directories of one tree, each before those in it: name, sign, number of candidate files, end of its part."""

    __slots__ = ("_names", "_starts", "ends", "files", "signs")

    def __init__(self) -> None:
        self._names = bytearray()
        self._starts = array("Q", [0])
        self.signs = array("q")
        self.ends = array("I")
        self.files = array("I")

    def __len__(self) -> int:
        return len(self.signs)

    def add(self, name: bytes, sign: int, files: int) -> int:
        """Append a directory and give its place; until `close` it holds no other."""
        self._names += name
        self._starts.append(len(self._names))
        self.signs.append(sign)
        self.files.append(files)
        self.ends.append(len(self.signs))
        return len(self.signs) - 1

    def close(self, place: int) -> None:
        """Note that all directories added since lie in this one."""
        self.ends[place] = len(self.signs)

    def copy(self, old: Remembered, place: int) -> None:
        """Append a directory of another tree with all that lies in it."""
        end = old.ends[place]
        first, last = old._starts[place], old._starts[end]
        shift, at = len(self.signs) - place, len(self._names) - first
        self._names += old._names[first:last]
        self._starts.extend([start + at for start in old._starts[place + 1 : end + 1]])
        self.signs += old.signs[place:end]
        self.files += old.files[place:end]
        self.ends.extend([one + shift for one in old.ends[place:end]])

    def stands(self, place: int, parent: int) -> bool:
        """Tell whether a directory, in one that is open, and all those in it stand as they were last listed.

        Nearly always all do, so this is what an ordinary sweep costs: one look for each directory, and little else.
        """
        name = self.name(place)
        try:
            if sign_of(os.stat(name, dir_fd=parent, follow_symlinks=False)) != self.signs[place]:
                return False
            if self.ends[place] == place + 1:
                return True
            fd = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        except OSError:
            return False
        try:
            return self._inside_stands(place, fd)
        except OSError:
            return False
        finally:
            os.close(fd)

    def _inside_stands(self, place: int, fd: int) -> bool:
        # Written out for those that hold no other: they are nearly all there are.
        names, starts, signs, ends, look = self._names, self._starts, self.signs, self.ends, os.stat
        child, end = place + 1, ends[place]
        while child < end:
            after = ends[child]
            if after == child + 1:
                found = look(bytes(names[starts[child] : starts[after]]), dir_fd=fd, follow_symlinks=False)
                sign = hash((found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns))
                if sign != signs[child] or sign == UNSURE:
                    return False
            elif not self.stands(child, fd):
                return False
            child = after
        return True

    def name(self, place: int) -> bytes:
        """Give the name of a directory."""
        return bytes(self._names[self._starts[place] : self._starts[place + 1]])

    def children(self, place: int) -> Iterator[tuple[bytes, int]]:
        """Give name and place of each directory that lies directly in one."""
        child, end = place + 1, self.ends[place]
        while child < end:
            yield self.name(child), child
            child = self.ends[child]

    def doubt(self, place: int) -> None:
        """Have a directory listed again by the next sweep."""
        self.signs[place] = UNSURE


class Memory:
    """What is remembered of each watched folder. A sweep that began before something was forgotten changes nothing."""

    def __init__(self) -> None:
        self._trees: dict[Target, Remembered] = {}
        self._generation = 0

    @property
    def generation(self) -> int:
        """Give a number that is another one after each `forget`."""
        return self._generation

    def get(self, target: Target) -> Remembered | None:
        """Give what is known of a watched folder."""
        return self._trees.get(target)

    def keep(self, trees: dict[Target, Remembered], generation: int) -> None:
        """Remember trees as a sweep found them that had begun at ``generation``."""
        if generation == self._generation:
            self._trees |= trees

    def forget(self) -> None:
        """Trust nothing any more: the next sweep lists everything."""
        self._generation += 1
        self._trees = {}
