"""Which photo goes into which subfolder of a batch, and under which name. Pure.

PhotoPrism joins what stands in one folder by its names (``IMG_1.*``, ``IMG_1_????.*``, ``IMG_E1.*``): strangers'
photos must not meet there, so each user's folder has a subfolder of its own, and so has each group that those rules
would join with another though they are no group of ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.files.names import numbered, placed_name, word
from daemon.watch.media import would_meet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.ledger.model import Photo

_WORD = 8


def assign(groups: Sequence[Sequence[Photo]], new_word: Callable[[int], str] = word) -> dict[int, tuple[str, str]]:
    """Give each photo's subfolder (``[a-z]{8}``) and name there, by photo id; no two photos share a place."""
    places: dict[int, tuple[str, str]] = {}
    folders: dict[tuple[str, str], list[_Subfolder]] = {}
    words: set[str] = set()
    for group in groups:
        first = group[0]
        names = _names(group)
        there = folders.setdefault((first.user, first.directory), [])
        for subfolder in there:
            if subfolder.admits(names):
                break
        else:
            fresh = new_word(_WORD)
            while fresh in words:
                fresh = new_word(_WORD)
            words.add(fresh)
            subfolder = _Subfolder(fresh)
            there.append(subfolder)
        subfolder.take(names)
        for photo, name in zip(group, names, strict=True):
            places[photo.id] = (subfolder.word, name)
    return places


class _Subfolder:
    """One subfolder being planned: what is in it already."""

    def __init__(self, word_: str) -> None:
        self.word = word_
        self._groups: list[list[str]] = []
        self._folded: set[str] = set()

    def admits(self, names: list[str]) -> bool:
        # Folded: the import folder may lie on a file system that does not tell cases apart.
        if any(name.casefold() in self._folded for name in names):
            return False
        return not any(would_meet(names, other) for other in self._groups)

    def take(self, names: list[str]) -> None:
        self._groups.append(names)
        self._folded |= {name.casefold() for name in names}


def _names(group: Sequence[Photo]) -> list[str]:
    """Give the members' names as they may be placed; two that become one are numbered."""
    taken: set[str] = set()
    names = []
    for photo in group:
        wanted, number = placed_name(photo.name), 1
        name = wanted
        while name.casefold() in taken:
            number += 1
            name = numbered(wanted, number)
        taken.add(name.casefold())
        names.append(name)
    return names
