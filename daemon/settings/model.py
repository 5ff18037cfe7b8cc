"""The whole configuration file as one frozen object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from daemon.settings.base import Section, key
from daemon.settings.messages import Hook, Notify
from daemon.settings.page import Ui
from daemon.settings.sections import Archive, Log, Nextcloud, Photoprism, Relay, Watch
from daemon.settings.users import Users
from daemon.settings.values import FilePath

if TYPE_CHECKING:
    from pathlib import Path


class Settings(Section):
    """Everything that can be configured. ``Settings()`` is what holds when the file says nothing.

    Lengths of time are seconds (float), sizes are bytes (int). ``model_dump(mode="json", by_alias=True)`` gives the
    file's own form, without the secrets.
    """

    nextcloud: Nextcloud = Field(default=Nextcloud(), description="Nextcloud, where the photos come from.")
    users: Users = Field(
        default=Users(), description="Whose photos are relayed, from where, and what becomes of the originals."
    )
    archive: Archive = Field(default=Archive(), description="Where the photos go.")
    photoprism: Photoprism = Field(default=Photoprism(), description="PhotoPrism, with `archive.via: photoprism`.")
    watch: Watch = Field(default=Watch(), description="When new photos are noticed and taken.")
    hooks: tuple[Hook, ...] = key(
        (),
        "Addresses or programs that are called when something has happened.",
        [{"on": "batch.done", "url": "http://home.example/hook"}],
    )
    relay: Relay = Field(default=Relay(), description="How the work is done.")
    notify: Notify = Field(default=Notify(), description="Who is told what.")
    ui: Ui = Field(default=Ui(), description="The page.")
    state: FilePath = key(
        "state",
        "The folder for what the program must remember, relative to this file. Not on a network file system.",
        "/state",
    )
    log: Log = Field(default=Log(), description="What the log says, and how.")

    def below(self, folder: Path) -> Settings:
        """Give the settings with ``state`` and the certificate's files made absolute, relative to ``folder``."""
        base = folder.absolute()
        tls = self.ui.tls
        files = {name: str(base / value) for name, value in (("cert", tls.cert), ("key", tls.key)) if value}
        if tls.self_signed:
            files = {}
        ui = self.ui.model_copy(update={"tls": tls.model_copy(update=files)}) if files else self.ui
        return self.model_copy(update={"state": str(base / self.state), "ui": ui})
