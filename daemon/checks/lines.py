"""The checks as lines for a terminal: how it is, what was looked at, and what to do below it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.checks.check import Check, Level
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORDS = {Level.OK: "ok", Level.WARNING: "warn", Level.FAILED: "FAIL"}
_COLOURS = {Level.OK: "\x1b[32m", Level.WARNING: "\x1b[33m", Level.FAILED: "\x1b[1;31m"}
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"
_LONGEST = 4000


def lines(checks: Sequence[Check], colour: bool) -> list[str]:
    """Give a line for each check, its hint indented below it; words and not signs, so that any terminal shows them."""
    room = max((len(check.name) for check in checks), default=0)
    found: list[str] = []
    for check in checks:
        word = f"{_WORDS[check.level]:4}"
        if colour:
            word = f"{_COLOURS[check.level]}{word}{_PLAIN}"
        code = f" [{check.code}]" if check.code else ""
        found.append(f"{word}  {check.name:{room}}  {shown(check.message, _LONGEST)}{code}")
        if check.hint:
            hint = " " * (room + 8) + shown(check.hint, _LONGEST)
            found.append(f"{_DIM}{hint}{_PLAIN}" if colour else hint)
    return found
