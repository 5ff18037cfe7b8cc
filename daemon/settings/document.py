"""YAML text as plain data, with the place of every key kept, and nothing in it that could do harm.

A subset on purpose: no tags, no merge keys, bounded size, depth and alias expansion, keys only once. ``on``, ``off``,
``yes``, dates and times of day stay the texts they look like (YAML 1.1 would make booleans, dates and base-60 numbers
of them), and a number becomes one only in its plain form, so that a user id ``007`` stays what it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml
from yaml.composer import ComposerError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from daemon.text import shown

KeyPath = tuple[str | int, ...]

MAX_BYTES = 1 << 20
MAX_DEPTH = 24
MAX_NODES = 10_000

_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"0|-?[1-9][0-9]{0,17}")


class Problem(NamedTuple):
    """Something wrong at a line (from 1) of the text; ``path`` is empty where no key is to blame."""

    line: int
    path: KeyPath
    message: str


class DocumentError(Exception):
    """Raised for text that is not usable YAML; has every problem found."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


class _TooMuchError(Exception):
    def __init__(self, index: int, message: str) -> None:
        super().__init__(message)
        self.index = index


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader up to the node tree, with its depth (Python's own stack ends) and length bounded."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own shape
    depth = 0
    nodes = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        if self.depth > MAX_DEPTH:
            raise _TooMuchError(self.index, f"nested deeper than {MAX_DEPTH} levels")
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _TooMuchError(self.index, f"more than {MAX_NODES} keys and values")
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


_Loader.add_implicit_resolver(f"{_TAG}null", re.compile(r"~|null|Null|NULL|"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(f"{_TAG}bool", re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF"))
_Loader.add_implicit_resolver(f"{_TAG}int", re.compile(rf"(?:{_INT.pattern})\Z"), list("-0123456789"))


@dataclass
class Document:
    """A YAML text, its data, and where each key stands."""

    text: str
    data: Any
    root: Node | None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    """The line (from 1) of each key, and of each item of a list."""

    def node(self, path: KeyPath) -> Node | None:
        """Give the node that holds a key's value, with its start and end in the text, or nothing."""
        node = self.root
        for part in path:
            if isinstance(node, MappingNode):
                node = next((value for name, value in node.value if name.value == part), None)
            elif isinstance(node, SequenceNode) and isinstance(part, int) and 0 <= part < len(node.value):
                node = node.value[part]
            else:
                return None
        return node


def line_at(text: str, index: int) -> int:
    """Give the line (from 1) as editors count them; YAML's own marks also count U+0085, U+2028 and U+2029."""
    return text.count("\n", 0, index) + 1


def read_document(text: str) -> Document:
    """Read a YAML text; raises `DocumentError` with everything that is wrong."""
    root = _compose(text)
    builder = _Builder(text)
    document = Document(text, builder.build(root, (), 0), root, builder.lines)
    if builder.problems:
        raise DocumentError(builder.problems)
    return document


def _compose(text: str) -> Node | None:
    try:
        loader = _Loader(text)
    except yaml.reader.ReaderError as error:
        character = error.character if isinstance(error.character, int) else ord(error.character[:1] or "?")
        message = f"the character U+{character:04X} is not allowed in YAML"
        raise DocumentError([Problem(line_at(text, error.position), (), message)]) from None
    try:
        return loader.get_single_node()
    except _TooMuchError as error:
        raise DocumentError([Problem(line_at(text, error.index), (), str(error))]) from None
    except yaml.MarkedYAMLError as error:
        # What is not closed is noticed only lines later; the place where it was opened is the one to mend.
        opened = any(part in (error.problem or "") for part in ("expected ',' or", "end of stream", "expected ':'"))
        mark = (error.context_mark if opened else None) or error.problem_mark or error.context_mark
        line = line_at(text, min(mark.index, len(text.rstrip()))) if mark else 1
        raise DocumentError([Problem(line, (), _in_words(error))]) from None
    except (ValueError, LookupError, OverflowError, yaml.YAMLError):
        # PyYAML lets chr() and int() of escapes such as "\UFFFFFFFF" and of %YAML numbers through as they fail.
        message = "not valid YAML (an impossible escape or number)"
        raise DocumentError([Problem(line_at(text, loader.index), (), message)]) from None
    finally:
        loader.dispose()


# PyYAML's own sentences, without what they quote from the text: that may be a secret.
_WORDS = (
    ("cannot start any token", "a character stands where no value can begin with it; put the value in quotes"),
    ("mapping values are not allowed", "a `:` stands where none can be; is the line indented rightly, or does the "
     "value need quotes?"),
    ("expected ',' or", "a list or mapping in brackets is not closed, or a comma is missing"),
    ("expected the node content", "a value is missing, or something before it is not closed"),
    ("could not find expected ':'", "a `:` is missing after the key"),
    ("expected <block end>", "the indentation does not fit the lines above, or something is left over"),
    ("expected '<document start>'", "the indentation does not fit the lines above, or something is left over"),
    ("unexpected end of stream", "quotes are opened and not closed"),
    ("unknown escape", "an unknown \\ escape in double quotes; use single quotes"),
    ("undefined alias", "a value that begins with * must stand in quotes"),
    ("alphabetic or numeric", "a value that begins with * or & must stand in quotes"),
    ("duplicate anchor", "an anchor (&) is defined twice"),
    ("but found another document", "only one YAML document is allowed, without a second ---"),
    ("tag", "tags (!) are not supported; put a value that begins with ! in quotes"),
)  # fmt: skip


def _in_words(error: yaml.MarkedYAMLError) -> str:
    problem = f"{error.problem or ''} {error.context or '' if isinstance(error, ComposerError) else ''}"
    if "\\t" in problem:
        return "a tab; YAML is indented with blanks"
    found = next((words for part, words in _WORDS if part in problem), "")
    return f"not valid YAML: {found}" if found else "not valid YAML here"


class _Builder:
    """Makes plain data of nodes, notes the lines, and collects what is not allowed."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []
        self.nodes = 0

    def wrong(self, node: Node, path: KeyPath, message: str) -> None:
        self.problems.append(Problem(line_at(self.text, node.start_mark.index), path, message))

    def build(self, node: Node | None, path: KeyPath, depth: int) -> Any:
        """Give the node's data; aliases are built anew at each place, within the same bounds."""
        if node is None:
            return None
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_NODES:
            message = "aliases (*) that lead into themselves or grow too large"
            line = line_at(self.text, node.start_mark.index)
            raise DocumentError([*self.problems, Problem(line, path[:3], message)])
        kind = node.tag.removeprefix(_TAG)
        if isinstance(node, MappingNode) and kind == "map":
            return self._mapping(node, path, depth)
        if isinstance(node, SequenceNode) and kind == "seq":
            return self._sequence(node, path, depth)
        if isinstance(node, ScalarNode) and kind in {"str", "null", "bool", "int"}:
            return self._scalar(node, path, kind)
        self.wrong(node, path, "tags (!) are not supported; put a value that begins with ! in quotes")
        return None

    def _mapping(self, node: MappingNode, path: KeyPath, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in node.value:
            if not isinstance(name, ScalarNode):
                self.wrong(name, path, "a key must be a single word or text")
                continue
            key = str(name.value)
            if name.tag == f"{_TAG}str" and key == "<<" and name.style is None:
                self.wrong(name, path, "merge keys (<<) are not supported")
                continue
            here = (*path, key)
            if key in found:
                self.wrong(name, here, f"stands twice; first in line {self.lines[here]}")
                continue
            if not _is_text(key):
                self.wrong(name, path, "a key must not contain NUL or half characters")
                continue
            self.lines[here] = line_at(self.text, name.start_mark.index)
            found[key] = self.build(value, here, depth + 1)
        return found

    def _sequence(self, node: SequenceNode, path: KeyPath, depth: int) -> list[Any]:
        found = []
        for number, item in enumerate(node.value):
            here = (*path, number)
            self.lines[here] = line_at(self.text, item.start_mark.index)
            found.append(self.build(item, here, depth + 1))
        return found

    def _scalar(self, node: ScalarNode, path: KeyPath, kind: str) -> Any:
        value = str(node.value)
        if kind == "null" and value in {"", "~", "null", "Null", "NULL"}:
            return None
        if kind == "bool" and value.lower() in {"true", "false"}:
            return value.lower() == "true"
        if kind == "int" and _INT.fullmatch(value):
            return int(value)
        if not _is_text(value):
            self.wrong(node, path, "must not contain NUL or half characters")
        return value


def _is_text(value: str) -> bool:
    return "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)


def in_words(path: KeyPath) -> str:
    """Give a key as a message names it: ``users.include.bob.after``, ``hooks[0].run``."""
    words = ""
    for part in path:
        if isinstance(part, int):
            words += f"[{part}]"
        else:
            name = shown(part, 80)
            words += ("." if words else "") + (name if re.fullmatch(r"[\w@-]+", name) else f'"{name}"')
    return words
