"""Which lines of a settings file a change may touch: those of what it changes, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.settings.places import BREAK, Lines, Place, read_places
from daemon.settings.splicing import same

if TYPE_CHECKING:
    from collections.abc import Iterator


def lines_of(text: str) -> list[str]:
    """Give the lines with their line ends."""
    starts = [0, *(found.end() for found in BREAK.finditer(text))]
    return [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True) if start < end]


def untouched(text: str, before: Any, after: Any) -> list[str]:
    """Give the lines that must be in the changed file as they are, in this order."""
    body = text.removeprefix("\ufeff")
    root = read_places(body)
    lines = Lines(body)
    spans = list(_spans(root, before, after)) if root is not None else []
    kept = []
    at = 0
    for line in lines_of(body):
        start, at = at, at + len(line)
        if not any(lines.start(first) < at and start < max(last, first + 1) for first, last in spans):
            kept.append(line)
    return kept


def _spans(place: Place, before: Any, after: Any) -> Iterator[tuple[int, int]]:
    """Give where the values stand that change; comments and blank lines between lines of their own do not."""
    if same(before, after):
        return
    if place.kind == "map" and isinstance(before, dict) and isinstance(after, dict) and after:
        if place.style == "flow" and before.keys() != after.keys():
            yield place.start, place.end
            return
        for key, value in place.entries:
            if key.value not in after:
                yield key.outer, value.end
            else:
                now, then = before[key.value], after[key.value]
                inner = list(_spans(value, now, then))
                # Where another kind of value comes, it is written behind the key.
                if not same(now, then) and (value.empty or type(now) is not type(then) or not then):
                    yield key.outer, key.end
                yield from inner
        return
    if place.kind == "list" and place.style == "block":
        yield from ((item.outer - 1, item.end) for item in place.items)
        # A dash may stand alone on its line.
        yield from ((item.outer, item.end) for item in place.items)
        return
    if place.style == "block" and place.kind == "map":
        yield from ((key.outer, value.end) for key, value in place.entries)
        return
    yield place.outer, place.end


def is_within(kept: list[str], lines: list[str]) -> bool:
    """Tell whether all these lines are there in this order."""
    left = iter(lines)
    return all(any(line == other for other in left) for line in kept)
