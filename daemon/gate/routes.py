"""The five requests that there are, and the ping."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from daemon.gate.denied import Denied


class Deed(Enum):
    """What a request asks for."""

    PING = "ping"
    VERSION = "version"
    LIST = "list"
    CREATE = "create"
    START = "start"
    INSPECT = "inspect"


@dataclass(frozen=True, slots=True)
class Route:
    """What is asked for; ``of`` is the container or the exec, empty where there is none."""

    deed: Deed
    of: str = ""


_VERSION = r"(?:/v1\.[0-9]{2})?"
_CONTAINER = r"(?P<of>[A-Za-z0-9][A-Za-z0-9_.-]{0,127})"
_EXEC = r"(?P<of>[0-9a-f]{64})"

_TABLE: Final = tuple(
    (method, re.compile(_VERSION + pattern), deed)
    for method, pattern, deed in (
        ("GET", r"/_ping", Deed.PING),
        ("GET", r"/version", Deed.VERSION),
        ("GET", r"/containers/json(?:\?all=(?:1|true))?", Deed.LIST),
        ("POST", rf"/containers/{_CONTAINER}/exec", Deed.CREATE),
        ("POST", rf"/exec/{_EXEC}/start", Deed.START),
        ("GET", rf"/exec/{_EXEC}/json", Deed.INSPECT),
    )
)
"""Matched against the target as it came: nothing is decoded or made canonical, so there is one way to say it."""


def find(method: str, target: str) -> Route:
    """Give what the request asks for.

    Raises:
        Denied: it is none of ours.

    """
    for known, pattern, deed in _TABLE:
        if method == known and (found := pattern.fullmatch(target)):
            return Route(deed, found.groupdict().get("of", ""))
    raise Denied("there is no such request here")
