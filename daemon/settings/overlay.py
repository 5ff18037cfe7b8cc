"""Values that do not stand in the file itself: from the environment, and from files named by ``…_file`` keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from daemon.settings.base import keyed
from daemon.settings.document import DocumentError, in_words, read_document
from daemon.settings.fields import Shape, shape_of
from daemon.settings.origins import Fault, Origins
from daemon.settings.reading import UnreadableError, read_small
from daemon.settings.words import did_you_mean
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from daemon.settings.document import KeyPath

PREFIX = "PHOTON_RELAY__"
SUFFIX = "_file"
MAX_VALUE = 64 * 1024


class _UnusableError(Exception):
    """Raised for a variable or a file that cannot be used, with words for people."""


def apply_environment(
    data: dict[str, Any], root: Shape, environ: Mapping[str, str], origins: Origins
) -> Iterator[Fault]:
    """Put the values of ``PHOTON_RELAY__SECTION__KEY`` variables into ``data``, giving what is wrong with them.

    Names are compared without case. An empty variable counts as not set, since Compose passes ``${UNSET:-}`` so.
    Shorter names are applied first, so that a section can be given whole and one key of it beside.
    """
    names = [name for name, value in environ.items() if name.upper().startswith(PREFIX) and value.strip()]
    for name in sorted(names, key=lambda name: (name.count("__"), name)):
        parts = name[len(PREFIX) :].split("__")
        try:
            _apply(data, root, parts, name, environ[name], origins)
        except _UnusableError as error:
            yield Fault((), str(error), where=f"environment variable {shown(name)}")


def _apply(data: dict[str, Any], root: Shape, parts: list[str], name: str, text: str, origins: Origins) -> None:
    target, shape = data, root
    path: KeyPath = ()
    for part in parts[:-1]:
        key, shape = _resolve(target, shape, path, part)
        path = (*path, key)
        if shape.kind not in {"section", "map"}:
            raise _UnusableError(f"{in_words(path)} has no keys below it; give its whole value")
        if target.get(key) is None:
            target[key] = {}
        target = target[key]
        if not isinstance(target, dict):
            raise _UnusableError(
                f"{in_words(path)} has no keys in the file, so none can be added; give its whole value"
            )
    key, shape = _resolve(target, shape, path, parts[-1])
    base = key.removesuffix(SUFFIX) if shape.names_file else key
    for same in (base, base + SUFFIX):
        if (*path, same) in origins.variables:
            raise _UnusableError(f"{shown(origins.variables[*path, same])} is set too; only one of them can be")
    value = _value(text, shape)
    for same in (base, base + SUFFIX):
        target.pop(same, None)
        origins.forget((*path, same))
    target[key] = value
    origins.variables[*path, key] = name


def _resolve(target: dict[str, Any], shape: Shape, path: KeyPath, part: str) -> tuple[str, Shape]:
    """Find the key that a part of a variable's name means, and what it holds."""
    if shape.model is None or not part:
        raise _UnusableError("leads to no key")
    if shape.kind == "map":
        matching = [key for key in target if key.casefold() == part.casefold()]
        return (matching[0] if len(matching) == 1 else part), Shape("section", shape.model)
    keys = {key.casefold(): (key, shape_of(info)) for key, info in keyed(shape.model).items()}
    if found := keys.get(part.casefold()):
        return found
    named = keys.get(part.casefold().removesuffix(SUFFIX))
    if named and named[1].kind in {"text", "scalar"}:
        return named[0] + SUFFIX, Shape("text", names_file=True)
    here = (*path, part.lower())
    raise _UnusableError(f"{in_words(here)}: unknown key{did_you_mean(here, shape.model)}")


def _value(text: str, shape: Shape) -> Any:
    """Read a variable's text: YAML for lists and sections, else the text as it stands, without quotes around it."""
    text = text.strip()
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise _UnusableError("is not UTF-8 text")
    if shape.kind not in {"text", "scalar"}:
        try:
            return read_document(text).data
        except DocumentError as error:
            raise _UnusableError(error.problems[0].message) from None
    if re.fullmatch(r"'[^']*'|\"[^\"\\]*\"", text):
        return text[1:-1]
    return text


def expand_files(data: Any, shape: Shape, folder: Path, origins: Origins, path: KeyPath = ()) -> Iterator[Fault]:
    """Put in place of each ``key_file`` the text of the file that it names, giving what is wrong with them.

    A relative name is relative to ``folder``, that of the configuration file.
    """
    if shape.kind == "list" and isinstance(data, list):
        for number, item in enumerate(data):
            yield from expand_files(item, Shape("section", shape.model), folder, origins, (*path, number))
    elif shape.kind == "map" and isinstance(data, dict):
        for key, value in data.items():
            yield from expand_files(value, Shape("section", shape.model), folder, origins, (*path, key))
    elif shape.kind == "section" and shape.model and isinstance(data, dict):
        shapes = {key: shape_of(info) for key, info in keyed(shape.model).items()}
        for key in list(data):
            if key in shapes:
                yield from expand_files(data[key], shapes[key], folder, origins, (*path, key))
                continue
            base = key.removesuffix(SUFFIX)
            if base != key and base in shapes and shapes[base].kind in {"text", "scalar"}:
                yield from _expand(data, base, key, folder, origins, path)


def _expand(
    data: dict[str, Any], base: str, key: str, folder: Path, origins: Origins, path: KeyPath
) -> Iterator[Fault]:
    name = data.pop(key)
    here, target = (*path, key), (*path, base)
    if name is None or name == "":
        return
    if data.get(base) not in (None, ""):
        yield Fault(here, f"stands beside {base}; only one of them can be", (target,))
        return
    try:
        if not isinstance(name, str):
            raise _UnusableError("must be the name of a file")
        data[base] = _read(folder / name)
    except _UnusableError as error:
        yield Fault(here, str(error), (target,))
        return
    origins.read_from(target, here, name)


def _read(path: Path) -> str:
    """Give a small file's text without the newline at its end."""
    try:
        content = read_small(path, MAX_VALUE, "64 KiB; is it the right file?")
    except UnreadableError as error:
        raise _UnusableError(f"{shown(str(path))} {error}") from None
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise _UnusableError(f"{shown(str(path))} is not UTF-8 text") from None
    if "\0" in text:
        raise _UnusableError(f"{shown(str(path))} is not text")
    return text.removesuffix("\n").removesuffix("\r")
