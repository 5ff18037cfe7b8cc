"""What outlives the parts: one bus, one clock, the page, and which parts are in force just now."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

from daemon.clock import Clock
from daemon.events import Bus
from daemon.pauses import pause
from daemon.text import span_in_words
from daemon.wake import Wake

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from daemon.app import App
    from daemon.errors import RelayError
    from daemon.service import Service
    from daemon.settings import Settings
    from daemon.watch.early import Early

log = logging.getLogger(__name__)

ABOUT = "page"
"""What issues of the page itself are about."""


class Front:
    """Stands between the page, which stays, and the parts, which are built anew when settings want it."""

    def __init__(self, settings: Settings, clock: Clock | None = None, early: Early | None = None) -> None:
        self.bus = Bus()
        self.clock = clock or Clock()
        self.changed = Wake()
        """Rings when other settings are in force, and when parts come or go."""
        self.early = early
        """A watch that may stand already, until the first parts have taken it."""
        self._settings = settings
        self._app: App | None = None
        self._trouble: RelayError | None = None
        self.begun = False
        """Whether the parts in force have brought what a crash left to an end, and run."""

    def settings(self) -> Settings:
        """Give the settings in force."""
        if self._app is not None:
            self._settings = self._app.current.settings
        return self._settings

    def service(self) -> Service | None:
        """Give the door to the parts; ``None`` while there are none."""
        return None if self._app is None else self._app.service

    def started(self) -> bool:
        """Tell whether the relay runs."""
        return self._app is not None and self.begun

    async def until_started(self) -> None:
        """Wait until the relay runs."""
        while not self.started():
            await self.clock.sleep(0.05)

    @contextmanager
    def showing(self, app: App) -> Iterator[None]:
        """Put parts in force for as long as the block runs."""
        self._app, self.begun = app, False
        self.changed.set()
        if self._trouble is not None:
            app.issues.report(ABOUT, self._trouble)
        try:
            yield
        finally:
            self._settings = app.current.settings
            self._app, self.begun = None, False
            self.changed.set()

    def trouble(self, error: RelayError | None) -> None:
        """Take note of what keeps the page from being served, or that nothing does any more."""
        self._trouble = error
        if self._app is None:
            if error is not None:
                log.warning("%s", error)
        elif error is None:
            self._app.issues.clear(ABOUT)
        else:
            self._app.issues.report(ABOUT, error)

    async def keep(self, page: Callable[[Front], Awaitable[None]]) -> None:
        """Serve the page until cancelled; whatever goes wrong with it, the relay goes on, and it is tried again."""
        crashes = 0
        while True:
            began = self.clock.monotonic()
            try:
                await page(self)
            except Exception:
                log.exception("the page stopped with a fault of the program")
            if self.clock.monotonic() - began > 600:
                crashes = 0
            seconds = pause(crashes)
            crashes += 1
            log.warning("the page is started again in %s", span_in_words(seconds))
            await self.clock.sleep(seconds)
