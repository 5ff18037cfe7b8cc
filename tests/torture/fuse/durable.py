"""What a disk keeps when the power goes: a pure model, fed with every changing and syncing call in their order.

What it guarantees, which is what POSIX lets a program rely on and what journals really do:

* A name (made, linked, renamed, removed; of a file, link or folder) is durable once its *folder* was synced, together
  with every earlier change of the same names. Syncing a file makes its bytes and times durable, never its name; syncing
  a folder never makes the folder's own name in its parent durable.
* A rename is atomic across the cut: both names are as before it or as after it. Syncing either folder makes it durable.
* Bytes and size of a file are durable once the file was synced, by whatever descriptor.

Everything else may have survived or not:

* Of the changes of names that were not synced, any set may have survived that a journal could leave: one on the same
  name only with those before it, one in a new folder only with that folder, the removal of a folder only with what
  emptied it.
* Of bytes that were not synced, any set of 4 KiB pages, each write's pages for themselves; the size is any that the
  file had since it was last synced, and what was not written in it reads as zeros.
* A file's mode, owner and times are those after any surviving change of it, or as last synced.

Inode numbers stay what they were, as on a disk.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

HOWS = ("nothing", "all", "names", "bytes", "random")
"""Kinds of states: of what was not synced, nothing survived, all, only names, only bytes, or by chance."""
PAGE = 4096


@dataclass(frozen=True, slots=True)
class Attrs:
    """What an inode says of itself, besides its size."""

    mode: int
    uid: int
    gid: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes written (``new``), or a file cut or grown (``new`` is ``None``) to ``offset``; with what undoes it."""

    offset: int
    new: bytes | None
    old: bytes
    size_before: int
    attrs: Attrs
    number: int = 0

    @property
    def size_after(self) -> int:
        """Give the file's size after it."""
        return self.offset if self.new is None else max(self.size_before, self.offset + len(self.new))


@dataclass(frozen=True, slots=True)
class Naming:
    """One change of names: what goes, what comes, and on which earlier ones it rests."""

    number: int
    removes: tuple[tuple[int, str], ...]
    adds: tuple[tuple[int, str, int], ...]
    inode: int
    attrs: Attrs
    by_names: frozenset[int]
    """Earlier changes without which this one cannot have been written, even by a sync of its folder."""
    by_folders: frozenset[int]
    """Those that made the folders it happens in: a journal writes them before, a sync does not promise it."""

    @property
    def folders(self) -> set[int]:
        """Give the folders whose syncing makes it durable."""
        return {folder for folder, _ in self.removes} | {folder for folder, _, _ in self.adds}

    @property
    def keys(self) -> set[tuple[int, str]]:
        """Give the names that it changes."""
        return {*self.removes, *((folder, name) for folder, name, _ in self.adds)}


@dataclass
class State:
    """What stands on the disk after a cut: names by folder, and bytes and attributes of what differs from now."""

    how: str
    tree: dict[int, dict[str, int]]
    writes: dict[int, tuple[list[Write], list[Write | tuple[int, bytes]], int]]
    """By inode: what to undo (last first), what to do again (a write, or a piece of one), and the size in the end."""
    attrs: dict[int, Attrs]


@dataclass
class Disk:
    """The durable names, and all changes since that are not durable yet."""

    root: int
    tree: dict[int, dict[str, int]]
    pending: list[Naming] = field(default_factory=list)
    writes: dict[int, list[Write]] = field(default_factory=dict)
    base: dict[int, tuple[int, Attrs]] = field(default_factory=dict)
    """Attributes as they are durable, of inodes that were changed since, and by which change."""
    _made: dict[int, int] = field(default_factory=dict)
    _next: int = 0

    # -- what happens -------------------------------------------------------------------------------------------

    def names(
        self,
        inode: int,
        attrs: Attrs,
        *,
        removes: tuple[tuple[int, str], ...] = (),
        adds: tuple[tuple[int, str, int], ...] = (),
        makes_folder: bool = False,
        empties: int | None = None,
    ) -> None:
        """Note a change of names of ``inode``; ``empties`` is a folder that must be empty for it (it goes)."""
        keys = {*removes, *((folder, name) for folder, name, _ in adds)}
        folders = {folder for folder, _ in keys}
        by_names = frozenset(one.number for one in self.pending if one.keys & keys or empties in one.folders)
        by_folders = frozenset(self._made[folder] for folder in folders if folder in self._made)
        self._next += 1
        self.pending.append(Naming(self._next, removes, adds, inode, attrs, by_names, by_folders))
        if makes_folder:
            self.tree.setdefault(inode, {})
            self._made[inode] = self._next

    def write(self, inode: int, write: Write, before: Attrs) -> None:
        """Note bytes written, or a change of size."""
        self._next += 1
        self.base.setdefault(inode, (0, before))
        self.writes.setdefault(inode, []).append(replace(write, number=self._next))

    def attributes(self, inode: int, before: Attrs, after: Attrs, size: int) -> None:
        """Note a change of mode, owner or times: a write of nothing."""
        self.write(inode, Write(size, b"", b"", size, after), before)

    def sync(self, inode: int, attrs: Attrs) -> None:
        """Make a file's bytes, size and attributes durable."""
        self._next += 1
        self.writes.pop(inode, None)
        self.base[inode] = (self._next, attrs)

    def sync_folder(self, folder: int) -> None:
        """Make the names in a folder durable."""
        wanted = {one.number for one in self.pending if folder in one.folders}
        for one in reversed(self.pending):
            if one.number in wanted:
                wanted |= one.by_names
        for one in self.pending:
            if one.number in wanted:
                _apply(self.tree, one)
                self.base[one.inode] = _newer(self.base.get(one.inode), (one.number, one.attrs))
        self.pending = [one for one in self.pending if one.number not in wanted]
        left = {one.number for one in self.pending}
        self._made = {inode: number for inode, number in self._made.items() if number in left}

    # -- what remains -------------------------------------------------------------------------------------------

    def survivors(self, seed: int, how: str = "") -> State:
        """Give a state that the disk may be in when the power goes now; the same for the same seed."""
        dice = random.Random(seed)
        how = how or dice.choice(HOWS)
        chance = {"nothing": 0.0, "all": 1.0, "names": 1.0, "bytes": 0.0}.get(how) or (
            dice.choice((0.1, 0.5, 0.9)) if how == "random" else 0.0
        )
        survived: set[int] = set()
        undecided = {one.number for one in self.pending}
        attrs = dict(self.base)
        tree = {folder: dict(names) for folder, names in self.tree.items()}
        for one in self.pending:
            rests_on = (one.by_names | one.by_folders) & undecided
            if rests_on <= survived and dice.random() < chance:
                survived.add(one.number)
                _apply(tree, one)
                attrs[one.inode] = _newer(attrs.get(one.inode), (one.number, one.attrs))
        writes = {}
        for inode, done in self.writes.items():
            again, size, last = _surviving(done, dice, how)
            writes[inode] = (list(reversed(done)), again, size)
            if last is not None:
                attrs[inode] = _newer(attrs.get(inode), (last.number, last.attrs))
        return State(how, _reachable(tree, self.root), writes, {inode: last for inode, (_, last) in attrs.items()})


def _newer(known: tuple[int, Attrs] | None, found: tuple[int, Attrs]) -> tuple[int, Attrs]:
    return found if known is None or found[0] > known[0] else known


def _apply(tree: dict[int, dict[str, int]], one: Naming) -> None:
    for folder, name in one.removes:
        tree.setdefault(folder, {}).pop(name, None)
    for folder, name, inode in one.adds:
        tree.setdefault(folder, {})[name] = inode


def _reachable(tree: dict[int, dict[str, int]], root: int) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    left = [root]
    while left:
        folder = left.pop()
        if folder not in found:
            found[folder] = tree[folder]
            left += [inode for inode in tree[folder].values() if inode in tree]
    return found


def _surviving(
    done: list[Write], dice: random.Random, how: str
) -> tuple[list[Write | tuple[int, bytes]], int, Write | None]:
    """Choose what of the unsynced writes of one file survived: pieces to write again, its size, its attributes."""
    if how in {"all", "bytes"}:
        return list(done), done[-1].size_after, done[-1]
    if how in {"nothing", "names"}:
        # Where the name survived, the size may have too, before the bytes: a file of zeros.
        size = done[-1].size_after if how == "names" and dice.random() < 0.5 else done[0].size_before
        return [], size, done[-1] if how == "names" else None
    chance = dice.choice((0.1, 0.5, 0.9))
    last = dice.randrange(-1, len(done))
    again: list[Write | tuple[int, bytes]] = []
    for index, write in enumerate(done):
        if write.new is None:
            if index <= last:
                again.append(write)
            continue
        starts = range(0, len(write.new), PAGE)
        again += [(write.offset + at, write.new[at : at + PAGE]) for at in starts if dice.random() < chance]
    size = done[last].size_after if last >= 0 else done[0].size_before
    return again, size, done[last] if last >= 0 else None
