"""Several folders by one call at a parent of theirs, where that costs less than one call for each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Price:
    """What a call costs, in seconds: of one folder, to start one of a whole tree, and for each file in that tree."""

    folder: float
    start: float
    each: float


@dataclass(frozen=True, slots=True)
class Place:
    """A folder to be asked for; ``whole``: with all that lies below it."""

    path: str
    whole: bool = False


def joined(paths: Sequence[str], price: Price, count: Callable[[str], int | None]) -> list[Place]:
    """Give the cheapest places that cover all ``paths`` (each once), in order.

    ``count`` gives the files below a folder, ``None`` where it may not be asked for as a whole or nobody knows.
    """
    parts = sorted(tuple(path.split("/")) for path in set(paths))
    return _cover(parts, price, count)[0] if parts else []


def _cover(parts: list[tuple[str, ...]], price: Price, count: Callable[[str], int | None]) -> tuple[list[Place], float]:
    if len(parts) == 1:
        return [Place("/".join(parts[0]))], price.folder
    depth = _common(parts)
    places: list[Place] = []
    apart = 0.0
    for _, group in groupby(parts, key=lambda one: one[: depth + 1]):
        found, cost = _cover(list(group), price, count)
        places += found
        apart += cost
    parent = "/".join(parts[0][:depth])
    files = count(parent) if depth else None
    if files is not None and price.start + files * price.each < apart:
        return [Place(parent, whole=True)], price.start + files * price.each
    return places, apart


def _common(parts: list[tuple[str, ...]]) -> int:
    """Tell how many parts all have in common; sorted, so that the first and the last differ most."""
    depth = 0
    for one, other in zip(parts[0], parts[-1], strict=False):
        if one != other:
            break
        depth += 1
    return depth
