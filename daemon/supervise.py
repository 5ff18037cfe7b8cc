"""Keeping loops alive: a crash in one is logged, shown and restarted with growing pauses; the others never notice."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from daemon.errors import NeedsPerson, RelayError
from daemon.pauses import pause
from daemon.text import span_in_words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.clock import Clock
    from daemon.issues import Issues

log = logging.getLogger(__name__)

LONG = 600.0
"""A loop that ran for so many seconds before it crashed starts its pauses anew."""


class Supervisor:
    """Runs named loops; one task group owns them all."""

    def __init__(self, issues: Issues, clock: Clock) -> None:
        self._issues = issues
        self._clock = clock
        self.running: dict[str, bool] = {}

    async def keep(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """Run ``loop`` until it returns by itself or is cancelled; whatever it raises else, run it again."""
        crashes = 0
        while True:
            started = self._clock.monotonic()
            self.running[name] = True
            try:
                await loop()
            except RelayError as error:
                self._issues.report(name, error)
            except Exception as error:
                log.exception("the loop %s crashed", name)
                self._issues.report(
                    name,
                    NeedsPerson(
                        "task.crashed",
                        f"the part {name} stopped with a fault of the program ({type(error).__name__}: {error})",
                        hint="it is started again; please report it with the lines in the log",
                    ),
                )
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
