"""What is wrong right now: one entry for each thing, with since when and what to do; gone when it is well again."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.clock import iso

if TYPE_CHECKING:
    from daemon.clock import Clock
    from daemon.errors import RelayError
    from daemon.events import Bus

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong: ``about`` names the part (``photoprism``, ``watch``, ``photo 17``)."""

    about: str
    code: str
    message: str
    hint: str
    since: float
    subject: str = ""
    """Whom it is about, as they are: a user's id, where ``about`` has it as people may see it."""

    def as_dict(self) -> dict[str, str | None]:
        """Give the issue as plain values."""
        return {
            "about": self.about,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "since": iso(self.since),
            "subject": self.subject,
        }


class Issues:
    """The list of what is wrong. The same thing twice is one entry with its first time, and one line in the log."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock
        self._open: dict[str, Issue] = {}

    def report(self, about: str, error: RelayError, *, subject: str = "") -> None:
        """Write down that ``about`` has this trouble now, instead of any trouble it had before."""
        before = self._open.get(about)
        if before and before.code == error.code:
            self._open[about] = Issue(about, error.code, error.message, error.hint, before.since, subject)
            return
        issue = Issue(about, error.code, error.message, error.hint, self._clock.wall(), subject)
        self._open[about] = issue
        hint = f"; {error.hint}" if error.hint else ""
        log.warning("%s: %s [%s]%s", about, error.message, error.code, hint, extra={"code": error.code})
        self._bus.tell("issue.opened", **issue.as_dict())

    def clear(self, about: str) -> None:
        """Write down that ``about`` is well (again)."""
        before = self._open.pop(about, None)
        if before:
            log.info("%s: well again (was: %s)", about, before.code, extra={"code": before.code})
            self._bus.tell("issue.closed", **before.as_dict())

    def all(self) -> list[Issue]:
        """Give what is wrong, oldest first."""
        return sorted(self._open.values(), key=lambda issue: issue.since)
