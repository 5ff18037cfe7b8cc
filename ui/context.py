"""What every handler of the page may reach: the settings in force, the daemon's one door, the live hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
from aiohttp import web

from daemon.service.starting import starting

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.clock import Clock
    from daemon.service import Service
    from daemon.settings import Settings
    from ui.live import Hub


ARRIVAL = 5.0
"""Seconds for which a request waits for parts that are being built, before it is told to come again."""


class Context:
    """One for the page's whole life; the daemon's parts behind it come and go as settings change."""

    def __init__(
        self,
        *,
        settings: Callable[[], Settings],
        service: Callable[[], Service | None],
        started: Callable[[], bool],
        hub: Hub,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._service = service
        self._started = started
        self.hub = hub
        self.clock = clock
        self.checked: dict[str, Any] | None = None
        """What the last look at everything gave."""
        self.checking = anyio.Lock()

    @property
    def settings(self) -> Settings:
        """The settings in force now; read them once for each request."""
        return self._settings()

    @property
    def service(self) -> Service | None:
        """The daemon's door, ``None`` while its parts are being built."""
        return self._service()

    @property
    def started(self) -> bool:
        """Whether the relay runs: its data directory is mounted, and what a crash left has been brought to an end."""
        return self._service() is not None and self._started()

    async def arrive(self, *, relay: bool = False) -> None:
        """Wait a little while parts are being built, which takes a moment whenever settings want new ones."""
        with anyio.move_on_after(ARRIVAL):
            while self._service() is None or (relay and not self._started()):
                await self.clock.sleep(0.05)

    def room(self, name: str = "", *, relay: bool = False) -> Any:
        """Give the door, or one of its rooms. Raises ``Transient`` ``daemon.starting`` where it is not there yet.

        With ``relay`` it is there only once the relay runs: deeds on photos must not meet a recovery half done.
        """
        service = self._service()
        if service is None or (relay and not self._started()):
            raise starting()
        return getattr(service, name) if name else service


CONTEXT: web.AppKey[Context] = web.AppKey("context", Context)
