"""What the gate allows, and where it was told so: by its own environment, or by a file that the daemon cannot write."""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from daemon.errors import ConfigError
from daemon.gate.arguments import FORMS
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX: Final = "PHOTON_RELAY_GATE_"
USERS: Final = ("www-data", "abc", "33")
COMMANDS: Final = (("php", "occ"), ("php", "/app/www/public/occ"), ("php", "/var/www/html/occ"))
"""As the daemon tries them where it is told nothing else (`daemon.nextcloud.container.CANDIDATES`)."""

KEYS: Final = ("container", "users", "commands", "also", "without")

_NUMBER = r"[1-9][0-9]{0,9}"
_NAME = r"(?!root(?![A-Za-z0-9._-]))[A-Za-z_][A-Za-z0-9._-]{0,63}"
_USER: Final = re.compile(rf"(?:{_NUMBER}|{_NAME})(?::(?:[0-9]{{1,10}}|[A-Za-z_][A-Za-z0-9._-]{{0,63}}))?")
_ID_LAST: Final = 2**31 - 1

_PROGRAM_TEXT: Final = frozenset({"-c", "-r", "-e", "--run", "eval"})
"""Words after which a shell, PHP and others take their next argument for a program."""

_FROM_DAEMON: Final = Path("/config")


@dataclass(frozen=True, slots=True)
class Rules:
    """What is allowed.

    ``container`` is a name, a Swarm service, a Compose service or ``label=value``; ``users`` are allowed as they are
    written, so ``33`` does not allow ``33:0``; ``also`` are whole argument lists of further ``occ`` commands;
    ``without`` are commands that are not allowed though the daemon has a use for them.
    """

    container: str
    users: tuple[str, ...] = USERS
    commands: tuple[tuple[str, ...], ...] = COMMANDS
    also: tuple[tuple[str, ...], ...] = ()
    without: tuple[str, ...] = ()


def from_environment(environ: Mapping[str, str]) -> Rules:
    """Make the rules of the variables that begin with ``PHOTON_RELAY_GATE_``.

    Raises:
        ConfigError: they are not complete, or not understood.

    """
    faults: list[str] = []
    found: dict[str, Any] = {}
    for key in KEYS:
        text = environ.get(PREFIX + key.upper(), "").strip()
        if text:
            try:
                found[key] = text if key == "container" else _listed(key, text)
            except ValueError as error:
                faults.append(f"{PREFIX}{key.upper()}: {shown(str(error))}")
    if faults:
        raise ConfigError(faults)
    return _rules(found, lambda key: PREFIX + key.upper())


def _listed(key: str, text: str) -> object:
    """Read ``a, b`` for lists of words and ``a b; c d`` for lists of lists, or JSON for either."""
    if text.startswith("["):
        return json.loads(text)
    if key in {"users", "without"}:
        return [one.strip() for one in text.split(",") if one.strip()]
    return [one.split() for one in text.split(";") if one.strip()]


def from_file(path: Path, *, daemon_uid: int) -> Rules:
    """Make the rules of a TOML file, if nobody but its owner can change it, and the daemon is not its owner.

    Raises:
        ConfigError: others can change the file, or it is not complete, or not understood.

    """
    try:
        # A link could be turned elsewhere by whoever can write the folder it stands in, or the next link's.
        if path.absolute() != path.resolve(strict=True):
            raise ConfigError([f"{shown(str(path))}: is reached by a link; name the file itself"])
        faults = _who_can_write(path.absolute(), daemon_uid)
        found = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError([f"{shown(str(path))}: {shown(str(error))}"]) from None
    if faults:
        raise ConfigError(faults)
    return _rules(found, lambda key: f"{shown(str(path))}: {shown(key)}")


def _who_can_write(path: Path, daemon_uid: int) -> list[str]:
    """Name what would let the daemon, or anybody, change the file: it, and each folder on the way to it."""
    if path.is_relative_to(_FROM_DAEMON):
        return [f"{shown(str(path))}: the rules cannot lie below {_FROM_DAEMON}, which the daemon can write"]
    faults = []
    for one in (path, *path.parents):
        found = one.stat()
        # In a folder such as /tmp (sticky) nobody can replace what is not theirs.
        sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
        if found.st_uid == daemon_uid:
            faults.append(f"{shown(str(one))}: belongs to the daemon's user ({daemon_uid}), who could change the rules")
        elif found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not sticky:
            faults.append(f"{shown(str(one))}: others than its owner can write it (chmod go-w)")
    return faults


def _rules(found: Mapping[str, Any], named: Any) -> Rules:
    faults = [f"{named(key)}: is not known" for key in found if key not in KEYS]
    container = found.get("container", "")
    if not isinstance(container, str) or not container or not container.isprintable() or len(container) > 256:
        faults.append(f"{named('container')}: says which container: a name, a service, or label=value; it must be set")
    users = _words(found.get("users", USERS))
    if not users or not all(map(_may_be_user, users)):
        faults.append(f"{named('users')}: names or numbers of users, of whom none is root, 0 or empty")
    commands = _lists(found.get("commands", COMMANDS))
    if not commands or not all(map(_may_be_command, commands)):
        faults.append(
            f"{named('commands')}: how occ is started, such as [[php, occ]]; what takes a program as an argument "
            "(sh -c, php -r) is not possible"
        )
    also = _lists(found.get("also", ()))
    if also is None:
        faults.append(f"{named('also')}: lists of words, such as [[preview:pre-generate]]")
    without = _words(found.get("without", ()))
    if without is None or not set(without) <= set(FORMS):
        faults.append(f"{named('without')}: some of {', '.join(FORMS)}")
    if faults or users is None or commands is None or also is None or without is None:
        raise ConfigError(faults)
    return Rules(container, users, commands, also, without)


def _words(value: object) -> tuple[str, ...] | None:
    if isinstance(value, (list, tuple)) and all(isinstance(one, str) and one and "\0" not in one for one in value):
        return tuple(value)
    return None


def _lists(value: object) -> tuple[tuple[str, ...], ...] | None:
    if not isinstance(value, (list, tuple)):
        return None
    found = [words for one in value if (words := _words(one))]
    return tuple(found) if len(found) == len(value) else None


def _may_be_user(user: str) -> bool:
    if not _USER.fullmatch(user):
        return False
    return all(int(part) <= _ID_LAST for part in user.split(":") if part.isdecimal())


def _may_be_command(command: tuple[str, ...]) -> bool:
    return not _PROGRAM_TEXT & set(command)


def surroundings_ok(environ: Mapping[str, str], known: frozenset[str]) -> None:
    """Refuse a variable with our prefix that means nothing: a rule with a slip in its name would not be in force.

    Raises:
        ConfigError: there is one.

    """
    wrong = sorted(name for name in environ if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in known)
    if wrong:
        raise ConfigError([f"{os.fsencode(name).decode(errors='replace')}: is not known" for name in wrong])
