"""Where every value stands in a YAML text, so that one of them can be changed and all else be left as it is."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.settings.document import KeyPath

BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
"""What YAML 1.1 takes for the end of a line."""
_COMMENT = re.compile("(?:^|(?<=\\s))(#[^\r\n\x85\u2028\u2029]*)")
_BEFORE_CONTENT = re.compile(r"(?:[&!][^\s,\[\]{}]*\s*)*")


@dataclass
class Place:
    """A value (or key) with the place of its own text.

    ``start`` is behind an anchor, ``end`` behind the last character that belongs to it: for what is written in lines,
    behind its last value, not where the next key begins, as PyYAML's own marks have it.
    """

    kind: Literal["scalar", "map", "list", "alias"]
    start: int
    end: int
    style: str = ""
    """Of a scalar: empty (plain), a quote, ``|`` or ``>``. Of a map or list: ``flow`` (in brackets) or ``block``."""
    value: str = ""
    outer: int = 0
    """Where it begins with its anchor."""
    entries: list[tuple[Place, Place]] = field(default_factory=list)
    items: list[Place] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Tell whether nothing at all stands there: a key with nothing behind it."""
        return self.kind == "scalar" and self.start == self.end and not self.style


class Lines:
    """The lines of a text, by offset."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = [0]
        self._ends = []
        for found in BREAK.finditer(text):
            self._ends.append(found.start())
            self._starts.append(found.end())
        self._ends.append(len(text))
        first = BREAK.search(text)
        self.newline = first[0] if first else "\n"
        """The line end that this file uses."""

    def _number(self, offset: int) -> int:
        return bisect_right(self._starts, offset) - 1

    def start(self, offset: int) -> int:
        """Give where the line begins that this offset lies in."""
        return self._starts[self._number(offset)]

    def end(self, offset: int) -> int:
        """Give where that line ends, before its line end."""
        return self._ends[self._number(offset)]

    def next(self, offset: int) -> int:
        """Give where the line after it begins; the text's length where there is none."""
        number = self._number(offset) + 1
        return self._starts[number] if number < len(self._starts) else len(self.text)

    def behind(self, end: int) -> int:
        """Give where the line begins that follows what ends at ``end``, itself where that is at a line's beginning."""
        return end if end and self.start(end) == end else self.next(end)

    def column(self, offset: int) -> int:
        """Give how far from its line's beginning this offset lies."""
        return offset - self.start(offset)


def read_places(text: str) -> Place | None:
    """Give the places of a text that :func:`daemon.settings.document.read_document` has found well formed."""
    events = iter(yaml.parse(text, Loader=yaml.SafeLoader))
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            return _read(next(events), events, text)
    return None


def _marks(event: yaml.Event) -> tuple[int, int]:
    start, end = event.start_mark, event.end_mark
    return (start.index if start else 0), (end.index if end else 0)


def _read(event: yaml.Event, events: Iterator[yaml.Event], text: str) -> Place:
    outer, end = _marks(event)
    if isinstance(event, yaml.AliasEvent):
        return Place("alias", outer, end, outer=outer, value=str(event.anchor))
    if not isinstance(event, (yaml.ScalarEvent, yaml.MappingStartEvent, yaml.SequenceStartEvent)):
        raise TypeError(f"no value begins with {event}")
    dressed = event.anchor is not None or event.tag is not None
    found = _BEFORE_CONTENT.match(text, outer) if dressed else None
    start = found.end() if found else outer
    if isinstance(event, yaml.ScalarEvent):
        style = event.style or ""
        if not style and not event.value:
            # `key: &name` with nothing behind it: the blanks and line ends behind the anchor are not its own.
            start = outer + len(text[outer:end].rstrip())
            return Place("scalar", start, start, outer=outer)
        if style in {"|", ">"}:
            end = _block_end(text, start, end)
        return Place("scalar", start, end, style, str(event.value), outer)
    style = "flow" if event.flow_style else "block"
    if isinstance(event, yaml.MappingStartEvent):
        place = Place("map", start, start, style, outer=outer)
        while not isinstance(following := next(events), yaml.MappingEndEvent):
            key = _read(following, events, text)
            place.entries.append((key, _read(next(events), events, text)))
        leaves = [one.end for entry in place.entries for one in entry]
    else:
        place = Place("list", start, start, style, outer=outer)
        while not isinstance(following := next(events), yaml.SequenceEndEvent):
            place.items.append(_read(following, events, text))
        leaves = [item.end for item in place.items]
    place.end = _marks(following)[1] if style == "flow" else max(leaves, default=start)
    return place


def _block_end(text: str, start: int, end: int) -> int:
    """Give where the last line of a ``|`` or ``>`` text ends; PyYAML's mark is behind the empty lines after it."""
    header = text[start : Lines(text[start:end]).end(0) + start]
    if "+" in header.partition("#")[0]:
        return end
    return start + len(text[start:end].rstrip())


def every(place: Place | None) -> Iterator[Place]:
    """Give a place and all below it, keys too."""
    if place is None:
        return
    yield place
    for entry in place.entries:
        for one in entry:
            yield from every(one)
    for item in place.items:
        yield from every(item)


def comments(text: str, root: Place | None) -> list[tuple[int, int]]:
    """Give where each comment begins and ends."""
    written = sorted((place.start, place.end) for place in every(root) if place.kind in {"scalar", "alias"})
    starts = [start for start, _ in written]
    found = []
    for match in _COMMENT.finditer(text):
        number = bisect_right(starts, match.start(1)) - 1
        if number < 0 or written[number][1] <= match.start(1):
            found.append(match.span(1))
    return found


def place_at(root: Place | None, path: KeyPath) -> Place | None:
    """Give the place of the value at a path, or nothing; an alias on the way has no places below it."""
    place = root
    for part in path:
        if place is None:
            return None
        if place.kind == "map":
            place = next((value for key, value in place.entries if key.value == part), None)
        elif place.kind == "list" and isinstance(part, int) and 0 <= part < len(place.items):
            place = place.items[part]
        else:
            return None
    return place
