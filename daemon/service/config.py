"""The settings for a front end: what they are, changing them in the file itself, and what they were."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from daemon.clock import iso
from daemon.errors import ConfigError, RelayError
from daemon.schedule import zone_name
from daemon.service.config_text import ConfigText
from daemon.service.stated import (
    data_of,
    decoded,
    fault_parts,
    given_in,
)
from daemon.service.timetable import explained
from daemon.settings.by_hand import PASSWORD
from daemon.settings.editing import edit
from daemon.settings.schema import json_schema
from daemon.settings.secrets import mask, secrets_in, unmask
from daemon.settings.versions import BY_HAND as SAVED_BY_HAND
from daemon.settings_file import Loaded, read_bytes
from daemon.wake import Wake

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from daemon.clock import Clock
    from daemon.events import Bus
    from daemon.ledger.ledger import Ledger
    from daemon.settings import Settings
    from daemon.settings.document import KeyPath
    from daemon.settings.versions import Versions

log = logging.getLogger(__name__)

PATIENCE = 3.0
"""Seconds for which an answer waits until what was saved is in force."""


class Config:
    """The one place through which a front end reads and changes the settings.

    It lives as long as the daemon, across parts that are built anew. The daemon's loop tells it what it has taken
    (``taken``, ``wrong``); ``hurry`` makes that loop look at the file at once.
    """

    def __init__(
        self,
        loaded: Loaded,
        environ: Mapping[str, str],
        versions: Versions,
        ledger: Ledger,
        clock: Clock,
    ) -> None:
        self.path = loaded.path
        self.hurry = Wake()
        self.guard: Callable[[Settings], None] | None = None
        """Called with what is about to be saved; raises where that would lock out whoever saves it."""
        self.bus: Bus | None = None
        """The bus of the parts that run now."""
        self.followed = False
        """Whether a loop takes what is saved in force."""
        self._started = loaded.settings
        self._text = ConfigText(loaded, environ, versions, ledger, clock)
        self._etag = loaded.etag
        self._in_force = loaded.etag
        self._faults: list[str] = []
        self._environ = environ
        self._versions = versions
        self._clock = clock
        self._changed = Wake()
        self._one_at_a_time = anyio.Lock()

    # -- what the daemon's loop tells -----------------------------------------------------------------------------

    def taken(self, loaded: Loaded) -> None:
        """Take note that these settings are in force now."""
        self._text.good = loaded
        self._etag = self._in_force = loaded.etag
        self._faults = []
        self._changed.set()

    def wrong(self, error: ConfigError) -> None:
        """Take note that the file holds something that cannot be used."""
        self._faults = list(error.faults)
        self._etag = str(error.context.get("etag") or "")
        self._changed.set()

    async def note_by_hand(self) -> None:
        """Keep what stands in the file as a version, if it was changed by hand; never raises."""
        async with self._one_at_a_time:
            await anyio.to_thread.run_sync(self._note_by_hand)

    def _note_by_hand(self) -> None:
        try:
            content = read_bytes(self.path)
            self._versions.note(content, SAVED_BY_HAND, self._clock.wall())
        except RelayError as error:
            log.warning("a version of the settings could not be kept: %s", error.message)

    # -- questions ------------------------------------------------------------------------------------------------

    @property
    def restart_needed(self) -> bool:
        """Whether something was changed that counts only from the next start on."""
        return self._text.good.settings.state != self._started.state

    def without_restart(self, settings: Settings) -> Settings:
        """Give the settings as they can be in force now: the ledger and its lock stay where they are."""
        return settings.model_copy(update={"state": self._started.state})

    def state(self) -> dict[str, Any]:
        """Give how the file is; costs nothing."""
        return {
            "etag": self._etag,
            "valid": not self._faults,
            "faults": [fault_parts(line, self._text.file) for line in self._faults],
            "writable": self._text.writable.can,
            "restart_needed": self.restart_needed,
            "path": self._text.file,
        }

    async def read(self) -> dict[str, Any]:
        """Give the settings, the file's text without its secrets, and what may be changed from here."""
        found = await anyio.to_thread.run_sync(self._text.read)
        return {**found, "restart_needed": self.restart_needed}

    async def schema(self) -> dict[str, Any]:
        """Give the JSON schema of the file."""
        return json_schema()

    async def schedule(self, expression: str) -> dict[str, Any]:
        """Tell what a schedule means: ``valid``, ``error``, ``words`` and the ``next`` five moments."""
        zone = zone_name(self._text.good.settings.ui.timezone, self._environ)
        return await anyio.to_thread.run_sync(explained, expression[:200], zone, self._clock.now())

    async def validate(self, text: str) -> dict[str, Any]:
        """Tell what would be wrong with this text as the settings file; nothing is changed."""
        return await anyio.to_thread.run_sync(self._text.validate, text)

    async def diff(self, yaml: str | None = None, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Give what would change in the file, as a unified diff, and its new text; both without secrets."""
        return await anyio.to_thread.run_sync(self._text.diff, yaml, changes)

    async def versions(self) -> dict[str, Any]:
        """Give the versions that are kept, newest first."""
        found = await anyio.to_thread.run_sync(self._versions.all)
        return {
            "versions": [
                {
                    "id": str(one.id),
                    "at": iso(one.at),
                    "who": one.who,
                    "etag": one.etag,
                    "size": one.size,
                    "current": one.etag == self._etag,
                }
                for one in found
            ]
        }

    async def version(self, number: int | str) -> dict[str, Any]:
        """Give a version's text without its secrets; raises `NeedsPerson` ``version.unknown``."""
        content = await anyio.to_thread.run_sync(self._versions.content, _id(number))
        return {"id": str(_id(number)), "yaml": mask(content.decode(errors="replace"), self._text.known())}

    # -- deeds ----------------------------------------------------------------------------------------------------

    async def patch(self, changes: Mapping[str, Any], if_match: str | None, who: str) -> dict[str, Any]:
        """Change single settings (RFC 7396); everything else in the file stays byte for byte.

        Gives what ``read`` gives, with ``in_force``. Raises `ConfigError`; `NeedsPerson` with ``config.conflict``,
        ``config.by_hand``, ``config.read_only``, ``config.overridden``, ``config.secret_again``,
        ``config.cannot_edit``.
        """
        return await self._save(lambda content: self._text.edited(content, changes), if_match, who)

    async def put(self, text: str, if_match: str | None, who: str) -> dict[str, Any]:
        """Replace the file's text; secrets' markers keep what stands. Gives and raises as ``patch``."""

        def made(content: bytes) -> tuple[str, frozenset[KeyPath]]:
            return unmask(text, decoded(content), self._text.file, self._text.known()), given_in(text)

        return await self._save(made, if_match, who)

    async def restore_version(self, number: int | str, if_match: str | None, who: str) -> dict[str, Any]:
        """Put a version back, as a change like any other; today's password stays. Gives and raises as ``patch``."""

        def made(content: bytes) -> tuple[str, frozenset[KeyPath]]:
            text = decoded(self._versions.content(_id(number)))
            hashed = dict(secrets_in(data_of(decoded(content)))).get(PASSWORD)
            if dict(secrets_in(data_of(text))).get(PASSWORD) != hashed:
                text = edit(text, {"ui": {"password_hash": hashed}})
            return text, given_in(text)

        return await self._save(made, if_match, f"{who} (version {number})")

    async def set_password_hash(self, hashed: str, who: str) -> dict[str, Any]:
        """Write a password's hash into the file; for whoever has asked for the old one, or need not."""
        changes = {"ui": {"password_hash": hashed}}
        return await self._save(
            lambda content: self._text.edited(content, changes), None, who, allowed=frozenset({PASSWORD})
        )

    async def _save(
        self,
        make: Callable[[bytes], tuple[str, frozenset[KeyPath]]],
        if_match: str | None,
        who: str,
        *,
        allowed: frozenset[KeyPath] = frozenset(),
    ) -> dict[str, Any]:
        # Shielded: who has asked may go away, what was begun ends.
        with anyio.CancelScope(shield=True):
            async with self._one_at_a_time:
                saved = await anyio.to_thread.run_sync(self._text.store, make, if_match, who, allowed, self.guard)
            if saved is not None:
                etag, keys = saved
                log.info("the settings were changed by %s: %s", who, ", ".join(keys) or "comments and spacing")
                self.hurry.set()
                if self.bus is not None:
                    self.bus.tell("config.changed", etag=etag, who=who, keys=keys)
        in_force = await self._until_in_force(saved[0]) if saved is not None else True
        return {**await self.read(), "in_force": in_force}

    async def _until_in_force(self, etag: str) -> bool:
        with anyio.move_on_after(PATIENCE):
            while self.followed and self._in_force != etag:
                seen = self._changed.count
                if self._in_force != etag:
                    await self._changed.wait(seen, PATIENCE)
        return self._in_force == etag


def _id(number: int | str) -> int:
    return int(number) if re.fullmatch("[0-9]{1,12}", str(number), re.ASCII) else -1
