"""What the two requests with a body say: strict JSON, no key that is not known, no value that is not expected.

The engine's own reader takes the last of two equal keys, and keys in any case (``cmd`` for ``Cmd``). Nothing depends on
that here, since the engine is sent a body of our own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from daemon.gate.arguments import check_occ
from daemon.gate.denied import Denied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from daemon.gate.rules import Rules


@dataclass(frozen=True, slots=True)
class Exec:
    """A command that may be run, and as whom."""

    argv: tuple[str, ...]
    user: str


def _off(value: Any) -> bool:
    return value is False


def _on(value: Any) -> bool:
    return value is True


def _nothing(value: Any) -> bool:
    return value is None or value == "" or value == []


_CREATE: Final[Mapping[str, Callable[[Any], bool]]] = {
    "AttachStdin": _off,
    "AttachStdout": _on,
    "AttachStderr": _on,
    "Privileged": _off,
    "Tty": _off,
    "Env": _nothing,
    "WorkingDir": _nothing,
    "detachKeys": _nothing,
    "DetachKeys": _nothing,
    "ConsoleSize": _nothing,
}
"""Keys that may be there if they ask for nothing; beside them ``Cmd``, ``User`` and ``Container``."""

_START: Final[Mapping[str, Callable[[Any], bool]]] = {"Detach": _off, "Tty": _off, "ConsoleSize": _nothing}


def read_create(body: bytes, named: str, rules: Rules) -> Exec:
    """Give the command that a request to make an exec asks for, if the rules allow it.

    ``named`` is the container in the request's path; one in the body must be the same.

    Raises:
        Denied: it is not allowed, or it is no such request.

    """
    asked = _object(body)
    argv, user = asked.pop("Cmd", None), asked.pop("User", None)
    if asked.pop("Container", named) != named:
        raise Denied("the request names two containers")
    _only(asked, _CREATE)
    if not isinstance(user, str) or user not in rules.users:
        raise Denied(f"the user {user!r} is not allowed")
    if not isinstance(argv, list) or not all(isinstance(word, str) for word in argv):
        raise Denied("Cmd is not a list of words")
    if any("\0" in word or _has_surrogates(word) for word in argv):
        raise Denied("Cmd has a word that is no text")
    _check_command(argv, rules)
    return Exec(tuple(argv), user)


def read_start(body: bytes) -> None:
    """Let pass a request to start an exec that asks for its output and nothing else.

    Raises:
        Denied: it asks for more.

    """
    _only(_object(body), _START)


def _check_command(argv: list[str], rules: Rules) -> None:
    why: Denied | None = None
    for command in rules.commands:
        if tuple(argv[: len(command)]) == command:
            try:
                check_occ(argv[len(command) :], also=rules.also, without=rules.without)
            except Denied as denied:
                why = denied
            else:
                return
    raise why or Denied(f"the command {' '.join(argv)} is not allowed")


def _only(asked: Mapping[str, Any], known: Mapping[str, Callable[[Any], bool]]) -> None:
    for key, value in asked.items():
        if key not in known:
            raise Denied(f"the key {key} is not allowed")
        if not known[key](value):
            raise Denied(f"{key}: {value!r} is not allowed")


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body.decode(), object_pairs_hook=_pairs)
    except (ValueError, RecursionError):
        raise Denied("the body is not JSON") from None
    if not isinstance(found, dict):
        raise Denied("the body is not a JSON object")
    return found


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Denied("the body has a key twice")
    return found


def _has_surrogates(word: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in word)
