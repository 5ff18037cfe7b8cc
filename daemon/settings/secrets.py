"""Shows a settings file without its secrets, and puts them back where a person has left them alone.

Each secret's value is shown as ``"<unchanged secret>"``. Text that comes back with that marker in the place of a
secret keeps what stands there now; anywhere else the marker is a fault, for a secret must not be moved to where it
could be read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from daemon.errors import ConfigError, NeedsPerson
from daemon.settings.base import keyed
from daemon.settings.document import DocumentError, in_words, line_at, read_document
from daemon.settings.fields import Shape, shape_of
from daemon.settings.model import Settings
from daemon.settings.places import Lines, Place, comments, place_at, read_places
from daemon.settings.render import flow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.settings.document import KeyPath

MARKER = "<unchanged secret>"
ROOT = Shape("section", Settings)
_NAMES = "token|password|password_hash|secret"
# In a comment: a key of a secret with something behind it that could be one.
_SAID = re.compile(rf"\b(?:{_NAMES})\s*[:=]\s*[\"']?([A-Za-z0-9$_/+-][^\s\"']{{5,}})")
_KEYED = re.compile(
    rf"(?P<key>\b(?:{_NAMES})[\"']?[ \t]*:[ \t]*)"
    r"(?P<value>\"(?:[^\"\\\r\n]|\\.)*\"|'(?:[^'\r\n]|'')*'|[^\s\"'][^\s}\]]*?(?=,?[\s}\]]|$))"
)
_LEAST = 8
_MOST = 200
_Splices = list[tuple[int, int, str]]


def secrets_in(data: Any, shape: Shape = ROOT, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Give every place where a secret stands in the file's data, with its value."""
    if shape.secret:
        if data not in (None, "") and not isinstance(data, (dict, list, bool)):
            yield path, str(data)
    elif shape.kind == "list" and shape.model and isinstance(data, list):
        for number, item in enumerate(data):
            yield from secrets_in(item, Shape("section", shape.model), (*path, number))
    elif shape.kind == "map" and shape.model and isinstance(data, dict):
        for key, value in data.items():
            yield from secrets_in(value, Shape("section", shape.model), (*path, key))
    elif shape.kind == "section" and shape.model and isinstance(data, dict):
        for key, info in keyed(shape.model).items():
            if key in data:
                yield from secrets_in(data[key], shape_of(info), (*path, key))


def mask(text: str, known: tuple[str, ...] = ()) -> str:
    """Give the text with a marker for each secret, in comments too; ``known`` are values that must not show anyway."""
    try:
        data = read_document(text).data
    except DocumentError:
        masked = _by_lines(text)
        known = (*known, *(found["value"].strip("\"'") for found in _KEYED.finditer(text)))
    else:
        found = dict(secrets_in(data))
        known = (*known, *found.values())
        masked = _spliced(text, _to_hide(text, found, known))
    return _without(masked, known, _LEAST)


def _without(text: str, known: tuple[str, ...], least: int) -> str:
    """Give the text without the values of at least that length.

    In one go: replaced one after the other, a value that is a part of the marker would be found in every marker before
    it, and a hostile text would grow without end. Bounded: a text can name more values than can be looked for.
    """
    values = [value for value in dict.fromkeys(known) if len(value) >= least][:_MOST]
    if not values:
        return text
    return re.sub("|".join(map(re.escape, sorted(values, key=len, reverse=True))), MARKER, text)


def _to_hide(text: str, found: dict[KeyPath, str], known: tuple[str, ...]) -> _Splices:
    root = read_places(text)
    splices: _Splices = []
    for path in found:
        place = place_at(root, path)
        if place is not None:
            splices.append((place.start, place.end, f'"{MARKER}"'))
    for start, end in comments(text, root):
        comment = text[start:end]
        if (hidden := _hidden(comment, known)) != comment:
            splices.append((start, end, hidden))
    return splices


def _hidden(comment: str, known: tuple[str, ...]) -> str:
    return _SAID.sub(lambda found: found[0].replace(found[1], MARKER), _without(comment, known, 4))


def _spliced(text: str, splices: _Splices) -> str:
    parts, at = [], 0
    for start, end, new in sorted(set(splices)):
        if start >= at:  # an alias names the place of its anchor once more
            parts += [text[at:start], new]
            at = end
    return "".join([*parts, text[at:]])


def unmask(text: str, standing: str, file: str, known: tuple[str, ...] = ()) -> str:
    """Give the text with the secrets of the ``standing`` one where the markers are.

    Raises `ConfigError` naming ``file`` and the line for a marker where no secret stood, `NeedsPerson`
    (``config.secret_again``) where a hook's secret would go to another address.
    """
    if MARKER not in text:
        return text
    try:
        document = read_document(text)
    except DocumentError as error:
        raise ConfigError([_line(file, one.line, one.path, one.message) for one in error.problems]) from None
    after = document.data
    wanted = [path for path, value in secrets_in(after) if value == MARKER]
    for path in _marked(after, ()):
        if path not in wanted:
            message = f"holds {MARKER}, but no secret stands there; write the value"
            raise ConfigError([_line(file, document.lines.get(path, 1), path, message)])
    try:
        before = read_document(standing).data
    except DocumentError:
        return _unmask_lines(text, wanted, standing, file, known)
    places, now = read_places(standing), read_places(text)
    values = dict(secrets_in(before))
    splices: _Splices = []
    for path in wanted:
        place = place_at(now, path)
        if place is None or place.kind != "scalar":
            raise ConfigError(
                [_line(file, document.lines.get(path, 1), path, "must stand here itself, not as an alias")]
            )
        source = _source(path, before, after, values)
        if source is None:
            raise ConfigError([_line(file, line_at(text, place.start), path, "is marked as unchanged, but none stood")])
        splices.append((place.start, place.end, _raw(standing, place_at(places, source), values[source])))
    splices += _comments_back(text, now, standing, places, (*known, *values.values()))
    return _spliced(text, splices)


def _marked(data: Any, path: KeyPath) -> Iterator[KeyPath]:
    """Give every place in the data, keys too, where the marker is or is a part of a text."""
    if isinstance(data, dict):
        for key, value in data.items():
            if MARKER in str(key):
                yield (*path, key)
            yield from _marked(value, (*path, key))
    elif isinstance(data, list):
        for number, item in enumerate(data):
            yield from _marked(item, (*path, number))
    elif isinstance(data, str) and MARKER in data:
        yield path


def _source(path: KeyPath, before: Any, after: Any, values: dict[KeyPath, str]) -> KeyPath | None:
    """Tell whose standing value is meant; a hook is known by where it calls, not by its number."""
    if not any(isinstance(part, int) for part in path):
        return path if path in values else None
    wanted = _around(after, path)
    same = [one for one in values if one[0] == path[0] and one[-1] == path[-1]]
    found = [one for one in same if _around(before, one) == wanted]
    if found:
        return path if path in found else found[0]
    if same:
        raise NeedsPerson(
            "config.secret_again",
            f"{in_words(path)}: another address would get a stored secret",
            hint="give the secret again, together with the new address",
        )
    return None


def _around(data: Any, path: KeyPath) -> Any:
    for part in path[:-1]:
        data = data[part]
    return data.get("url") if isinstance(data, dict) else None


def _raw(standing: str, place: Place | None, value: str) -> str:
    if place is None or place.kind != "scalar" or place.style in {"|", ">"}:
        return flow(value)
    return standing[place.start : place.end]


def _comments_back(
    text: str, now: Place | None, standing: str, places: Place | None, known: tuple[str, ...]
) -> _Splices:
    """Put what comments said back into those that still say the same."""
    said: dict[str, list[str]] = {}
    for start, end in comments(standing, places):
        comment = standing[start:end]
        if (hidden := _hidden(comment, known)) != comment:
            said.setdefault(hidden, []).append(comment)
    splices: _Splices = []
    for start, end in comments(text, now):
        if originals := said.get(text[start:end]):
            splices.append((start, end, originals.pop(0)))
    return splices


def _by_lines(text: str) -> str:
    return _KEYED.sub(lambda found: f'{found["key"]}"{MARKER}"', text)


def _unmask_lines(text: str, wanted: list[KeyPath], standing: str, file: str, known: tuple[str, ...]) -> str:
    """Put secrets back where what stands cannot be read as YAML: into the lines that it has too."""
    lines: dict[str, list[str]] = {}
    for line, masked in zip(standing.split("\n"), mask(standing, known).split("\n"), strict=False):
        values = [found["value"] for found in _KEYED.finditer(line)]
        if values:
            lines.setdefault(masked.strip(), values)
    splices: _Splices = []
    root, by_line = read_places(text), Lines(text)
    for path in wanted:
        place = place_at(root, path)
        if place is None or place.kind != "scalar":
            continue
        start, end = by_line.start(place.start), by_line.end(place.start)
        values = lines.get(text[start:end].strip(), [])
        number = text.count(MARKER, start, place.start)
        if number >= len(values):
            raise ConfigError([_line(file, line_at(text, start), path, "is marked as unchanged, but none stood")])
        splices.append((place.start, place.end, values[number]))
    return _spliced(text, splices)


def _line(file: str, line: int, path: KeyPath, message: str) -> str:
    return f"{file}:{line}: " + (f"{in_words(path)}: " if path else "") + message
