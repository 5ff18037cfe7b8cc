"""Where the gate stands (its socket, the engine's, its group), what it was told, and asking a running one how it is.

Imports little: the health of its container is asked for every half minute, on small machines too.
"""

from __future__ import annotations

import grp
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.errors import ConfigError
from daemon.gate import rules
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.gate.rules import Rules

LISTEN: Final = "/gate/docker.sock"
ENGINE: Final = "unix:///var/run/docker.sock"
DAEMON_UID: Final = 33
CHECK_SECONDS: Final = 5.0

VARIABLES: Final[Mapping[str, str]] = {
    "CONTAINER": "Nextcloud's container: a name, a Swarm service, a Compose service, or label=value. Must be set.",
    "USERS": f"users as whom occ may run, by name or number; default {', '.join(rules.USERS)}. Never root or 0.",
    "COMMANDS": "how occ may be started, separated by semicolons, or JSON; default "
    f"{'; '.join(' '.join(command) for command in rules.COMMANDS)}",
    "ALSO": "further occ commands, word for word as in nextcloud.occ.also, separated by semicolons, or JSON",
    "WITHOUT": "occ commands of the daemon that are not wanted here, such as files:delete, tag:files:add",
    "RULES": "a TOML file with container, users, commands, also and without, in place of those variables (--rules)",
    "LISTEN": f"the gate's own socket; default {LISTEN}",
    "GROUP": "group, by name or number, that may use the socket; default: the gate's own",
    "ENGINE": f"the engine's socket; default DOCKER_HOST, else {ENGINE}",
    "DAEMON_UID": f"the daemon's user id, who must not be able to change the rules file; default {DAEMON_UID}",
    "LOG": "text or json; default text",
}
"""What can be set, by the variable's name without its prefix, in words for people."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the gate stands."""

    listen: Path
    engine: str
    gid: int | None
    log: str


def read_place(environ: Mapping[str, str]) -> Place:
    """Read where the gate is to stand.

    Raises:
        ConfigError: a variable is not known or not understood.

    """
    rules.surroundings_ok(environ, frozenset(VARIABLES))
    listen = Path(_get(environ, "LISTEN") or LISTEN)
    engine = _get(environ, "ENGINE") or environ.get("DOCKER_HOST") or ENGINE
    faults = []
    if not listen.is_absolute():
        faults.append(f"{rules.PREFIX}LISTEN: must begin with a slash")
    if engine.removeprefix("unix://") == str(listen):
        faults.append(f"{rules.PREFIX}ENGINE: {shown(engine)} is the gate's own socket")
    form = _get(environ, "LOG") or "text"
    if form not in {"text", "json"}:
        faults.append(f"{rules.PREFIX}LOG: text or json")
    gid = None
    if group := _get(environ, "GROUP"):
        try:
            gid = int(group) if group.isascii() and group.isdecimal() else grp.getgrnam(group).gr_gid
        except KeyError:
            faults.append(f"{rules.PREFIX}GROUP: there is no group {shown(group)} here; give its number")
    if faults:
        raise ConfigError(faults)
    return Place(listen, engine, gid, form)


def read_rules(environ: Mapping[str, str], file: Path | None) -> Rules:
    """Read the rules, from the file where there is one, else from the environment.

    Raises:
        ConfigError: they are not complete, not understood, in both places, or the daemon could change them.

    """
    file = file or (Path(named) if (named := _get(environ, "RULES")) else None)
    if file is None:
        return rules.from_environment(environ)
    if both := [rules.PREFIX + key.upper() for key in rules.KEYS if _get(environ, key.upper())]:
        raise ConfigError([f"{name}: is set beside the rules file; one place only" for name in both])
    uid = _get(environ, "DAEMON_UID") or str(DAEMON_UID)
    if not (uid.isascii() and uid.isdecimal()):
        raise ConfigError([f"{rules.PREFIX}DAEMON_UID: must be a number"])
    return rules.from_file(file, daemon_uid=int(uid))


def check(listen: Path) -> str:
    """Ask a running gate for a ping, which asks the engine in turn; give what is wrong, or an empty string."""
    try:
        with socket.socket(socket.AF_UNIX) as asked:
            asked.settimeout(CHECK_SECONDS)
            asked.connect(str(listen))
            asked.sendall(b"GET /_ping HTTP/1.1\r\nHost: gate\r\n\r\n")
            said = b""
            while len(said) < 4096 and (more := asked.recv(4096)):
                said += more
    except OSError as error:
        return f"no gate answers at {shown(str(listen))}: {shown(str(error))}"
    if said.startswith(b"HTTP/1.1 200 "):
        return ""
    body = said.rpartition(b"\r\n")[2].decode(errors="replace")
    return f"the gate says: {shown(body)}"


def _get(environ: Mapping[str, str], name: str) -> str:
    return environ.get(rules.PREFIX + name, "").strip()
