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
from daemon.settings.places import Place, comments, every, place_at, read_places
from daemon.settings.render import flow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.settings.document import KeyPath

MARKER = "<unchanged secret>"
ROOT = Shape("section", Settings)
_NAMES = "token|password|password_hash|secret"
# In a comment: a key of a secret with something behind it that could be one.
_SAID = re.compile(rf"\b(?:{_NAMES})\s*[:=]\s*[\"']?([A-Za-z0-9$_/+-][^\s\"']{{5,}})")
_LINE = re.compile(rf"^(?P<key>[^\n]*?\b(?:{_NAMES})[\"']?\s*:[ \t]*)(?P<value>[^\s][^\r\n]*)", re.MULTILINE)
_LEAST = 8
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
        masked = _LINE.sub(lambda found: f"{found['key']}{MARKER}", text)
    else:
        found = dict(secrets_in(data))
        known = (*known, *found.values())
        masked = _spliced(text, _to_hide(text, found, known))
    for value in known:
        if len(value) >= _LEAST:
            masked = masked.replace(value, MARKER)
    return masked


def _to_hide(text: str, found: dict[KeyPath, str], known: tuple[str, ...]) -> _Splices:
    root = read_places(text)
    splices: _Splices = []
    for path in found:
        place = place_at(root, path)
        if place is not None:
            splices.append((place.start, place.end, f'"{MARKER}"'))
    for start, end in comments(text, root):
        comment = text[start:end]
        hidden = _hidden(comment, known)
        if hidden != comment:
            splices.append((start, end, hidden))
    return splices


def _hidden(comment: str, known: tuple[str, ...]) -> str:
    for value in known:
        if len(value) >= 4:
            comment = comment.replace(value, MARKER)
    return _SAID.sub(lambda found: found[0].replace(found[1], MARKER), comment)


def _spliced(text: str, splices: _Splices) -> str:
    for start, end, new in sorted(splices, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def unmask(text: str, standing: str, file: str, known: tuple[str, ...] = ()) -> str:
    """Give the text with the secrets of the ``standing`` one where the markers are.

    Raises `ConfigError` naming ``file`` and the line for a marker where no secret stood, `NeedsPerson`
    (``config.secret_again``) where a hook's secret would go to another address.
    """
    if MARKER not in text:
        return text
    try:
        before = read_document(standing).data
    except DocumentError:
        return _unmask_lines(text, standing, file)
    try:
        after = read_document(text).data
    except DocumentError as error:
        raise ConfigError([_line(file, one.line, one.path, one.message) for one in error.problems]) from None
    places, now = read_places(standing), read_places(text)
    values = dict(secrets_in(before))
    splices: _Splices = []
    for path, value in secrets_in(after):
        place = place_at(now, path)
        if value != MARKER or place is None:
            continue
        source = _source(path, before, after, values)
        if source is None:
            raise ConfigError([_line(file, line_at(text, place.start), path, "is marked as unchanged, but none stood")])
        splices.append((place.start, place.end, _raw(standing, place_at(places, source), values[source])))
    splices += _comments_back(text, now, standing, places, (*known, *values.values()))
    return _none_left(_spliced(text, splices), file)


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


def _unmask_lines(text: str, standing: str, file: str) -> str:
    """Put secrets back, line by line, where what stands cannot be read as YAML."""
    lines: dict[str, str] = {}
    for found in _LINE.finditer(standing):
        lines.setdefault(f"{found['key']}{MARKER}".strip(), found[0].strip())
    restored: set[int] = set()
    out = []
    for number, line in enumerate(text.split("\n"), start=1):
        original = lines.get(line.strip()) if MARKER in line else None
        if original is not None:
            restored.add(number)
            line = line.replace(line.strip(), original)
        out.append(line)
    result = _none_left("\n".join(out), file)
    document = read_document(result)
    allowed = {document.lines.get(path) for path, _ in secrets_in(document.data)}
    for number in sorted(restored - allowed):
        raise ConfigError([_line(file, number, (), "holds the marker of a secret where none may stand")])
    return result


def _none_left(text: str, file: str) -> str:
    if MARKER in text:
        number = line_at(text, text.index(MARKER))
        raise ConfigError([_line(file, number, (), f"holds {MARKER}, but no secret stood there; write the value")])
    for place in every(_places(text)):
        if MARKER in place.value:
            number = line_at(text, place.start)
            raise ConfigError([_line(file, number, (), f"holds {MARKER}, but no secret stood there; write the value")])
    return text


def _places(text: str) -> Place | None:
    try:
        read_document(text)
    except DocumentError:
        return None
    return read_places(text)


def _line(file: str, line: int, path: KeyPath, message: str) -> str:
    return f"{file}:{line}: " + (f"{in_words(path)}: " if path else "") + message
