"""The settings in force: parts hold this, not the settings, so that a saved file counts without a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.wake import Wake

if TYPE_CHECKING:
    from daemon.settings import Settings


class Current:
    """A place for the one :class:`Settings` that is in force now. Read it once for each piece of work.

    ``changed`` rings when others are put in force: who must not miss that waits for it and need not look.
    """

    def __init__(self, settings: Settings, changed: Wake | None = None) -> None:
        self._settings = settings
        self.changed = changed or Wake()

    @property
    def settings(self) -> Settings:
        """The settings in force now. To be set from the event loop only."""
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        self._settings = settings
        self.changed.set()
