"""Looking, at every changing or syncing call of a run, at the states that a disk may be in if the power went just then.

Nothing is cut: the states are computed beside the run, several a call, and it is seen whether every content that must
not be lost stands complete in one of the places that count. So one run tries thousands of power cuts.
"""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

from tests.torture.fuse.disk import rewritten
from tests.torture.fuse.durable import HOWS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.torture.fuse.disk import Recording
    from tests.torture.fuse.durable import State


def digest(data: bytes) -> str:
    """Give a short hash of some bytes, as ``tests.kill.world`` does."""
    return hashlib.blake2b(data, digest_size=6).hexdigest()


class Audit:
    """Computes ``each`` states a call and remembers what is lost; ``counts`` says of a path whether it counts."""

    def __init__(
        self, disk: Recording, wanted: Sequence[str], each: int, seed: int, counts: Callable[[str], bool]
    ) -> None:
        self.states = 0
        self.lost: list[str] = []
        self._disk = disk
        self._wanted = frozenset(wanted)
        self._each = each
        self._dice = random.Random(seed)
        self._counts = counts
        self._digests: dict[int, tuple[int, str]] = {}
        disk.hold()

    def look(self, point: int) -> None:
        """Compute the states that a cut at this call may leave."""
        for index in range(self._each):
            # In turn, so that the simplest (nothing, all) are tried at every call.
            how, seed = HOWS[(point + index) % len(HOWS)], self._dice.randrange(1 << 30)
            state = self._disk.disk.survivors(seed, how)
            self.states += 1
            missing = self._wanted - set(self._standing(state))
            if missing:
                self.lost.append(f"at call {point}, {how} survived (seed {seed}): {sorted(missing)}")

    def _standing(self, state: State) -> Iterator[str]:
        left = [("", self._disk.disk.root)]
        while left:
            folder, number = left.pop()
            for name, inode in state.tree[number].items():
                path = f"{folder}/{name}"
                if inode in state.tree:
                    left.append((path, inode))
                elif self._counts(path):
                    yield self._digest(inode, state)

    def _digest(self, inode: int, state: State) -> str:
        if inode in state.writes:
            undo, again, size = state.writes[inode]
            return digest(bytes(rewritten(self._disk.content(inode), undo, again, size)))
        version = self._disk.versions[inode]
        known = self._digests.get(inode)
        if known is None or known[0] != version:
            known = self._digests[inode] = version, digest(self._disk.content(inode))
        return known[1]


def photos_count(path: str) -> bool:
    """Say that what stands in users' folders and bins counts, and what has a name of its own in the archive."""
    parts = path.split("/")
    if "archive" in parts[:3]:
        return not parts[-1].startswith(".photon-relay-")
    return "data" in parts[:3] and ("files" in parts[3:5] or "files_trashbin" in parts[3:5])
