"""Keeping loops alive: a crash in one is logged, shown and restarted with growing pauses; the others never notice."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, TypeAlias

import anyio

from daemon.errors import NeedsPerson, RelayError
from daemon.pauses import pause
from daemon.text import shown, span_in_words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.clock import Clock
    from daemon.issues import Issues

log = logging.getLogger(__name__)

InWords: TypeAlias = "Callable[[Exception, str], RelayError | None]"

LONG = 600.0
"""A loop that ran for so many seconds before it crashed starts its pauses anew."""
WELL = 60.0
"""Seconds after which a loop that was started again counts as well."""


class Supervisor:
    """Runs named loops; one task group owns them all.

    ``in_words`` gives the project's own error for what a disk said that no part has put into words, else ``None``.
    """

    def __init__(self, issues: Issues, clock: Clock, in_words: InWords = lambda _error, _doing: None) -> None:
        self._issues = issues
        self._clock = clock
        self._in_words = in_words
        self.running: dict[str, bool] = {}

    async def keep(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Run ``loop`` until it returns by itself or is cancelled; whatever it raises else, run it again."""
        crashes = 0
        told: RelayError | None = None
        while True:
            started = self._clock.monotonic()
            self.running[name] = True
            try:
                await self._run(name, loop, told)
            except Exception as error:
                told = self._told(name, error)
                if told.code == "task.crashed":
                    log.exception("the loop %s crashed", name)
                self._issues.report(name, told)
            else:
                self.running[name] = False
                return
            self.running[name] = False
            if self._clock.monotonic() - started > LONG:
                crashes = 0
            seconds = pause(crashes)
            crashes += 1
            log.warning("the loop %s is started again in %s", name, span_in_words(seconds))
            await self._clock.sleep(seconds)

    async def _run(self, name: str, loop: Callable[[], Awaitable[None]], told: RelayError | None) -> None:
        """Run a loop once; what was told of its last crash is taken back when it has run well for a while."""
        if told is None:
            await loop()
            return
        async with anyio.create_task_group() as group:
            group.start_soon(self._well_again, name, told.code)
            await loop()
            group.cancel_scope.cancel()

    async def _well_again(self, name: str, code: str) -> None:
        await self._clock.sleep(WELL)
        if any(issue.about == name and issue.code == code for issue in self._issues.all()):
            self._issues.clear(name)

    def _told(self, name: str, error: Exception) -> RelayError:
        """Give an error of ours as it is, also from inside a group, and a fault of the program in words."""
        said = [
            one if isinstance(one, RelayError) else self._in_words(one, f"the part {name} worked with")
            for one in _each(error)
        ]
        if said[0] is not None and None not in said:
            return said[0]
        while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        return NeedsPerson(
            "task.crashed",
            f"the part {name} stopped with a fault of the program ({type(error).__name__}: {shown(str(error))})",
            hint="it is started again; please report it with the lines in the log",
        )


def _each(error: Exception) -> list[Exception]:
    """Give the errors that a group has come of; several tasks may have met one and the same disk."""
    if isinstance(error, ExceptionGroup):
        return [one for member in error.exceptions for one in _each(member)]
    return [error]
