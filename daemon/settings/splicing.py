"""Finds what is to be replaced in a YAML file's text for a change of its data: values, lines, parts of brackets."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any

from daemon.settings.places import BREAK, Lines, Place, read_places
from daemon.settings.render import flow, quoted_twice

_COMMENT = re.compile(r"(?:^|\s)#")
_ONLY_COMMA = re.compile(r"[ \t]*,?[ \t]*(?:[ \t]#.*)?", re.DOTALL)


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same in kind too: ``true`` is not ``1``."""
    return _canon(one) == _canon(other)


def _canon(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


class CannotError(Exception):
    """Raised where a change would touch more than what was asked for; ``offset`` tells where."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


@dataclass(frozen=True)
class _Where:
    """What surrounds a value: where one can be written behind its key, in brackets or not, and how far in."""

    behind: int
    flow: bool
    column: int


class Splicer:
    """Collects what is to be replaced in a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = Lines(text)
        self.root = read_places(text)
        self.step = _step(self.root, self.lines)
        self.splices: list[tuple[int, int, str]] = []

    @property
    def first(self) -> int:
        """Where the first change is; the beginning where there is none."""
        return min((start for start, _, _ in self.splices), default=0)

    def spliced(self) -> str:
        """Give the text with everything replaced that was collected."""
        out: list[str] = []
        at = 0
        for start, end, new in sorted(self.splices, key=lambda splice: splice[:2]):
            if start > at:
                out.append(self.text[at:start])
            out.append(new)
            at = max(at, start, end)
        return "".join([*out, self.text[at:]])

    def put(self, start: int, end: int, new: str) -> None:
        """Replace what stands between two offsets."""
        self.splices.append((start, end, new))

    def add_lines(self, at: int, lines: list[str]) -> None:
        """Put whole lines in where a line begins, or at the end of the text."""
        newline = self.lines.newline
        if at == len(self.text) and self.text and not BREAK.search(self.text[-1]):
            self.put(at, at, "".join(newline + line for line in lines))
        else:
            self.put(at, at, "".join(line + newline for line in lines))

    # -- values -------------------------------------------------------------------------------------------------

    def whole(self, old: Any, new: Any) -> None:
        """Change the whole document."""
        if self.root is None or (self.root.kind == "scalar" and self.root.empty):
            if not isinstance(new, dict):
                raise CannotError(0)
            self.add_lines(len(self.text), self._block(new, ""))
            return
        if not new and self.root.kind == "map" and self.root.style == "block":
            self._remove_lines(self.root, list(range(len(self.root.entries))))
            return
        self.change(self.root, old, new, _Where(self.root.start, flow=self.root.style == "flow", column=-1))

    def change(self, place: Place, old: Any, new: Any, where: _Where) -> None:
        """Change one value, going into it as far as both are of a kind."""
        if same(old, new):
            return
        if place.kind == "map" and isinstance(new, dict) and new and place.entries:
            self._map(place, old, new, where)
        elif place.kind == "map" and isinstance(new, dict) and new and place.style == "flow":
            self.put(place.start + 1, place.start + 1, ", ".join(_entry(key, new[key]) for key in new))
        elif place.kind == "list" and isinstance(new, list) and new and place.items:
            self._list(place, old, new, where)
        elif place.kind == "list" and isinstance(new, list) and new and place.style == "flow":
            self.put(place.start + 1, place.start + 1, ", ".join(map(flow, new)))
        else:
            self._replace(place, new, where)

    def _replace(self, place: Place, new: Any, where: _Where) -> None:
        if place.empty:
            self._fill(place, new, where)
        elif place.kind == "scalar" and place.style in {"|", ">"}:
            self._replace_text(place, new)
        elif place.kind in {"scalar", "alias"} or place.style == "flow":
            if place.kind in {"map", "list"} and _COMMENT.search(self.text, place.start, place.end):
                raise CannotError(place.start)
            self.put(place.start, place.end, _value(new, place.style))
        else:
            self._replace_lines(place, new, where)

    def _fill(self, place: Place, new: Any, where: _Where) -> None:
        """Write a value behind a key that has none."""
        at = max(place.start, where.behind)
        if isinstance(new, dict) and new and not where.flow:
            column = max(where.column, 0) if where.column < 0 else where.column + self.step
            self.add_lines(self.lines.next(at), self._block(new, " " * column))
            return
        blank = "" if self.text[at - 1 : at] == " " else " "
        more = " " if self.text[at : at + 1] not in {"", " ", "\t", ",", "}", "]", "\r", "\n"} else ""
        self.put(at, at, f"{blank}{flow(new)}{more}")

    def _replace_text(self, place: Place, new: Any) -> None:
        """Put one line in place of a text in lines (``|`` or ``>``), keeping a comment behind its sign."""
        header = re.compile(r"[|>][-+0-9]*").match(self.text, place.start)
        behind = self.lines.next(place.start)
        if header is None or place.end < behind:
            raise CannotError(place.start)
        self.put(place.start, header.end(), flow(new))
        self.put(behind, self.lines.behind(place.end), "")

    def _replace_lines(self, place: Place, new: Any, where: _Where) -> None:
        """Put a value on one line in place of a list or section in lines; comments between its lines stay."""
        line = self.lines.start(place.start)
        if line <= where.behind:
            if _COMMENT.search(self.text, place.start, place.end):
                raise CannotError(place.start)
            self.put(place.start, place.end, flow(new))
            return
        at = where.behind
        if place.outer < place.start and place.outer >= at:
            at = place.outer + len(self.text[place.outer : place.start].split()[0])
        self.put(at, at, f" {flow(new)}")
        for number in range(len(place.entries) or len(place.items)):
            start, end = self._span(place, number)
            self.put(self.lines.start(start), self.lines.behind(end), "")

    # -- maps ---------------------------------------------------------------------------------------------------

    def _map(self, place: Place, old: dict[str, Any], new: dict[str, Any], where: _Where) -> None:
        column = self.lines.column(place.entries[0][0].outer)
        if any(key.kind != "scalar" for key, _ in place.entries):
            raise CannotError(place.start)
        gone = [number for number, (key, _) in enumerate(place.entries) if key.value not in new]
        for key, value in place.entries:
            if key.value in new:
                inside = _Where(self._colon(key, value), where.flow or place.style == "flow", column)
                self.change(value, old[key.value], new[key.value], inside)
        added = [key for key in new if key not in old]
        if place.style == "flow":
            self._flow(place, gone, [_entry(key, new[key]) for key in added])
            return
        self._remove_lines(place, gone)
        if added:
            brackets = column > 0 and any(value.kind == "map" and value.style == "flow" for _, value in place.entries)
            lines = [line for key in added for line in self._block({key: new[key]}, " " * column, brackets=brackets)]
            self.add_lines(self.lines.behind(self._span(place, -1)[1]), lines)

    def _colon(self, key: Place, value: Place) -> int:
        """Give the offset behind the colon after a key."""
        limit = max(value.outer, key.end)
        found = re.compile(r"\s*:").match(self.text, key.end, limit + 1)
        return found.end() if found else limit

    def _span(self, place: Place, number: int) -> tuple[int, int]:
        """Give where an entry of a map or an item of a list begins and ends."""
        if place.kind == "map":
            key, value = place.entries[number]
            # PyYAML gives the value of `key:` the place behind the colon.
            return key.outer, max(key.end, value.end)
        item = place.items[number]
        return (self._dash(place, item) if place.style == "block" else item.outer), item.end

    def _block(self, values: dict[str, Any], indent: str, *, brackets: bool = False) -> list[str]:
        """Give keys with their values as lines."""
        lines: list[str] = []
        for key, value in values.items():
            if isinstance(value, dict) and value and not brackets:
                lines.append(f"{indent}{flow(key)}:")
                lines += self._block(value, indent + " " * self.step)
            else:
                lines.append(f"{indent}{_entry(key, value)}")
        return lines

    # -- lists --------------------------------------------------------------------------------------------------

    def _dash(self, place: Place, item: Place) -> int:
        """Give the offset of the dash before an item."""
        column = self.lines.column(place.start)
        line = self.lines.start(item.outer)
        while line >= self.lines.start(place.start):
            at = line + column
            if at <= item.outer and self.text[at : at + 1] == "-" and not self.text[line:at].strip(" -\t?:"):
                return at
            if line == 0:
                break
            line = self.lines.start(line - 1)
        raise CannotError(item.start)

    def _list(self, place: Place, old: list[Any], new: list[Any], where: _Where) -> None:
        inside = replace(where, flow=where.flow or place.style == "flow")
        before, after = [_canon(item) for item in old], [_canon(item) for item in new]
        gone: list[int] = []
        last: list[str] = []
        for _, first, end, start, stop in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
            pairs = min(end - first, stop - start)
            for number in range(pairs):
                item, column = place.items[first + number], self.lines.column(place.start)
                behind = item.outer if place.style == "flow" else self._dash(place, item) + 1
                here = replace(inside, behind=behind, column=column)
                self.change(item, old[first + number], new[start + number], here)
            gone += range(first + pairs, end)
            more = [flow(item) for item in new[start + pairs : stop]]
            if place.style == "block":
                self._add_items(place, first + pairs, more)
            elif more and first + pairs < len(place.items):
                at = place.items[first + pairs].outer
                self.put(at, at, "".join(f"{one}, " for one in more))
            else:
                last += more
        if place.style == "flow":
            self._flow(place, gone, last)
        else:
            self._remove_lines(place, gone)

    def _add_items(self, place: Place, number: int, items: list[str]) -> None:
        if not items:
            return
        indent = " " * self.lines.column(place.start)
        if number:
            at = self.lines.behind(self._span(place, number - 1)[1])
        else:
            dash = self._dash(place, place.items[0])
            at = self.lines.start(dash)
            if self.text[at:dash].strip():
                raise CannotError(dash)
        self.add_lines(at, [f"{indent}- {item}" for item in items])

    # -- what is taken away -------------------------------------------------------------------------------------

    def _remove_lines(self, place: Place, gone: list[int]) -> None:
        """Take the lines of these entries or items away, and only theirs."""
        count = len(place.entries) or len(place.items)
        for number in gone:
            start, end = self._span(place, number)
            line = self.lines.start(start)
            if not self.text[line:start].strip():
                self.put(line, self.lines.behind(end), "")
                continue
            # The first one stands behind a dash: the next one that stays moves up to it.
            following = next((after for after in range(number + 1, count) if after not in gone), None)
            if following is None:
                raise CannotError(start)
            until = self._span(place, following)[0]
            if _COMMENT.search(self.text, start, until):
                raise CannotError(start)
            self.put(start, until, "")

    def _flow(self, place: Place, gone: list[int], added: list[str]) -> None:
        """Take entries out of brackets, and put others in at the end."""
        spans = [self._span(place, number) for number in range(len(place.entries) or len(place.items))]
        kept = [number for number in range(len(spans)) if number not in gone]
        if not kept:
            if _COMMENT.search(self.text, spans[0][0], spans[-1][1]):
                raise CannotError(spans[0][0])
            self.put(spans[0][0], spans[-1][1], ", ".join(added))
            return
        tail = spans[kept[-1]][1], spans[-1][1]
        together = bool(gone) and gone[-1] == len(spans) - 1 and not BREAK.search(self.text, *tail)
        for number in gone:
            if not (together and number > kept[-1]):
                self._remove_from_brackets(place, spans[number])
        if together:
            self.put(*tail, "")
        if added:
            self._add_to_brackets(place, spans[kept[-1]], added, together=together)

    def _alone(self, place: Place, span: tuple[int, int]) -> bool:
        """Tell whether something in brackets has lines of its own."""
        start, end = span
        line = self.lines.start(start)
        return (
            line > place.start
            and not self.text[line:start].strip()
            and self.lines.end(end) < place.end
            and bool(_ONLY_COMMA.fullmatch(self.text[end : self.lines.end(end)]))
        )

    def _comma(self, place: Place, end: int) -> int | None:
        """Give the offset of the comma behind what ends at ``end``, if there is one."""
        found = re.compile(r"(?:\s+(?:#[^\r\n]*)?)*,").match(self.text, end, place.end)
        return found.end() - 1 if found else None

    def _remove_from_brackets(self, place: Place, span: tuple[int, int]) -> None:
        start, end = span
        comma = self._comma(place, end)
        if self._alone(place, span):
            if comma is not None and comma > self.lines.end(end):
                raise CannotError(start)
            self.put(self.lines.start(start), self.lines.next(end), "")
        elif comma is not None:
            if _COMMENT.search(self.text, end, comma):
                raise CannotError(start)
            blanks = re.compile(r"[ \t]*").match(self.text, comma + 1)
            self.put(start, blanks.end() if blanks else comma + 1, "")
        else:
            self.put(start, end, "")

    def _add_to_brackets(self, place: Place, span: tuple[int, int], added: list[str], *, together: bool) -> None:
        end = span[1]
        comma = None if together else self._comma(place, end)
        if self._alone(place, span) and not together:
            if comma is None:
                self.put(end, end, ",")
            indent = " " * self.lines.column(span[0])
            closing = "," if comma is not None else ""
            lines = (self.lines.newline + indent) + ("," + self.lines.newline + indent).join(added) + closing
            self.put(self.lines.end(end), self.lines.end(end), lines)
        elif comma is not None:
            self.put(comma + 1, comma + 1, " " + ", ".join(added))
        else:
            self.put(end, end, "".join(f", {one}" for one in added))


def _entry(key: str, value: Any) -> str:
    return f"{flow(key)}: {flow(value)}"


def _value(new: Any, style: str) -> str:
    """Give a value in the quotes that the old one had, if it is a text."""
    if isinstance(new, str):
        if style == '"':
            return quoted_twice(new)
        if style == "'" and new.isprintable():
            return "'" + new.replace("'", "''") + "'"
    return flow(new)


def _step(root: Place | None, lines: Lines) -> int:
    """Give by how many blanks the file indents: as its first section does, else two."""
    if root is not None and root.kind == "map" and root.style == "block":
        outside = lines.column(root.entries[0][0].outer)
        for _, value in root.entries:
            if value.kind == "map" and value.style == "block" and value.entries:
                return max(1, lines.column(value.entries[0][0].outer) - outside)
    return 2
