"""A settings file that a power cut left empty or cut short: never taken for settings, never put back in silence.

Saved by renaming, a file is the old one or the new one. Where only the file itself is mounted it is written in place,
and some file systems then show it empty, or full of zeros, after the power went: read as YAML, that would be a file
that says nothing, so that every default held and every user who is included was asked about anew.

One thing is put back by itself: what the program has half written in place. Both texts were kept beside the versions,
and a file that consists of pieces of both, each at its place, is nobody's work; nobody was told that it was saved.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from typing import TYPE_CHECKING

from daemon.clock import iso
from daemon.errors import ConfigError, RelayError
from daemon.settings.storing import etag_of, store
from daemon.settings.versions import Versions
from daemon.settings_file import Loaded, load, parse, read_bytes
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_NOTHING = b"\0 \t\r\n\xef\xbb\xbf"
_STATE = re.compile(rb"^state:[ \t]*[\"']?([^\"'#\r\n]+)", re.MULTILINE)


def is_blank(content: bytes) -> bool:
    """Tell whether a file holds nothing at all, not even a comment."""
    return not content.strip(_NOTHING)


def blank(path: Path) -> ConfigError:
    """Give the error for a file that holds nothing, where settings were before."""
    file = shown(str(path), 4096)
    return ConfigError([f"{file}:1: is empty, but held settings before; one comment in it makes it mean the defaults"])


def load_at_start(path: Path, environ: Mapping[str, str], *, sweep: bool = False) -> Loaded:
    """Load the file; where it is wrong, or empty though there were settings, also say what can be put back, and how.

    What was half written in place is put back before, and that is the last warning. Raises `ConfigError`.
    """
    mended = _mend(path, environ)
    try:
        loaded = load(path, environ, sweep=sweep)
    except ConfigError as error:
        raise ConfigError([*error.faults, *_way_back(path, environ)]) from None
    if is_blank(loaded.text.encode(errors="replace")) and (back := _way_back(path, environ)):
        raise ConfigError([*blank(path).faults, *back])
    return replace(loaded, warnings=[*loaded.warnings, *mended])


def _mend(path: Path, environ: Mapping[str, str]) -> list[str]:
    """Put the earlier text back where the file is a mixture of it and one that was saved; say so in a line."""
    try:
        content = read_bytes(path)
    except ConfigError:
        return []
    for state in _states(path, content, environ):
        versions = Versions(state / "versions")
        kept = versions.half_written()
        if kept is None:
            continue
        if not is_mixture(content, *kept):
            versions.written()
            continue
        try:
            # Power cut here: it is a mixture of the same two texts still.
            store(path, kept[0], etag_of(content))
        except RelayError as error:
            if error.code == "config.conflict":  # whoever was saving it has come to the end
                return _mend(path, environ)
            # It may not be written: what stands there is not for use.
            raise ConfigError([_half_written(path, f"it could not be put back: {error.message}")]) from None
        versions.written()
        return [_half_written(path, "what stood there before was put back; save the change again")]
    return []


def _half_written(path: Path, then: str) -> str:
    return f"{shown(str(path), 4096)}:1: was being saved when the power went or the program was killed; {then}"


def is_mixture(content: bytes, before: bytes, after: bytes) -> bool:
    """Tell whether each byte of a file is that of one of two texts at this place, and it is neither of them whole.

    Where a longer text has made its room, there may be the empty lines that it wrote for that, or zeros still.
    """
    ends = b"\n"
    if content.rstrip(ends) in {before.rstrip(ends), after.rstrip(ends)}:
        return False
    size = len(content)
    if not len(before) <= size <= max(len(before), len(after)):
        return False
    standing = (before.ljust(size, ends), before.ljust(size, b"\0"), after.ljust(size, ends))
    return all(one in others for one, *others in zip(content, *standing, strict=False))


def _way_back(path: Path, environ: Mapping[str, str]) -> list[str]:
    """Give a line that says which version can be put back and by which command, where there is a good one."""
    try:
        content = read_bytes(path)
    except ConfigError:
        content = b""
    file = shown(str(path), 4096)
    for state in _states(path, content, environ):
        versions = Versions(state / "versions")
        for version in versions.all():
            try:
                kept = versions.content(version.id)
                parse(kept, path, environ)
            except RelayError:
                continue
            if version.etag == etag_of(content) or is_blank(kept):
                continue
            kept_in = state / "versions" / f"{version.id}.yaml"
            # `cat` and not `cp`: the file itself may be mounted, and keeps its owner and mode.
            command = f"cat {shlex.quote(str(kept_in))} > {shlex.quote(str(path))}"
            return [
                f"{file}:1: the version of {iso(version.at)} (saved by {shown(version.who)}) can be put back: "
                + shown(command, 8192)
            ]
    return []


def _states(path: Path, content: bytes, environ: Mapping[str, str]) -> list[Path]:
    """Give where the state folder may be, likeliest first: the file that says so may be the torn one."""
    named = environ.get("PHOTON_RELAY__STATE", "")
    found = _STATE.search(content)
    written = found[1].decode(errors="surrogateescape").strip() if found else ""
    return [path.parent / one for one in dict.fromkeys((named, written, "state")) if one]
