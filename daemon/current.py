"""The settings in force: parts hold this, not the settings, so that a saved file counts without a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.settings import Settings


class Current:
    """A place for the one :class:`Settings` that is in force now. Read it once for each piece of work."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
