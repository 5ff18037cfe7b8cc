"""One line of ``photon-relay check``: what was looked at, how it is, and what a person can do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.errors import RelayError


class Level(StrEnum):
    """How something is; a failure: what the relay needs, or what was asked for, does not work."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """What one look gave: printable sentences, with the error's code where there is one."""

    name: str
    """What was looked at, such as ``data directory``."""
    level: Level
    message: str
    hint: str = ""
    code: str = ""

    def as_dict(self) -> dict[str, str]:
        """Give the check the way ``check --json`` and the API hand it out."""
        return {
            "name": self.name,
            "level": self.level.value,
            "message": self.message,
            "hint": self.hint,
            "code": self.code,
        }


def ok(name: str, message: str) -> Check:
    """Say that all is well."""
    return Check(name, Level.OK, message)


def warning(name: str, message: str, hint: str = "", code: str = "") -> Check:
    """Say that something is not as it should be, though the relay works."""
    return Check(name, Level.WARNING, message, hint, code)


def failed(name: str, message: str, hint: str = "", code: str = "") -> Check:
    """Say that something which the relay needs, or which was asked for, does not work."""
    return Check(name, Level.FAILED, message, hint, code)


def of_error(name: str, error: RelayError, level: Level = Level.FAILED) -> Check:
    """Say what an error says."""
    return Check(name, level, error.message, error.hint, error.code)


def exit_code(checks: Iterable[Check]) -> int:
    """Give the command's exit code: 1 if anything failed, 0 otherwise, with warnings too."""
    return int(any(check.level is Level.FAILED for check in checks))
