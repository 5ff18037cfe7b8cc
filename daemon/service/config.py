"""The settings for a front end: what they are, changing them in the file itself, and what they were."""

from __future__ import annotations

import difflib
import logging
import re
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from daemon.clock import iso
from daemon.errors import ConfigError, NeedsPerson, RelayError
from daemon.schedule import zone_name
from daemon.service.stated import (
    changed_keys,
    data_of,
    data_or,
    decoded,
    dump,
    encoded,
    fault_parts,
    given_in,
    secrets_set,
)
from daemon.service.timetable import explained
from daemon.service.wished import as_in_file, bounded, emptied, not_overridden
from daemon.settings import Settings
from daemon.settings.by_hand import BY_HAND, PASSWORD, check_by_hand, check_secrets_again
from daemon.settings.document import DocumentError, in_words, read_document
from daemon.settings.editing import edit, plain
from daemon.settings.schema import json_schema
from daemon.settings.secrets import MARKER, mask, secrets_in, unmask
from daemon.settings.storing import etag_of, store, writable
from daemon.settings.versions import BY_HAND as SAVED_BY_HAND
from daemon.settings_file import Loaded, parse, read_bytes
from daemon.settings_torn import is_blank
from daemon.text import shown
from daemon.wake import Wake

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from daemon.clock import Clock
    from daemon.events import Bus
    from daemon.ledger.ledger import Ledger
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
        self._good = loaded
        self._etag = loaded.etag
        self._in_force = loaded.etag
        self._faults: list[str] = []
        self._environ = environ
        self._versions = versions
        self._ledger = ledger
        self._clock = clock
        self._changed = Wake()
        self._one_at_a_time = anyio.Lock()
        self._writable = writable(loaded.path)

    # -- what the daemon's loop tells -----------------------------------------------------------------------------

    def taken(self, loaded: Loaded) -> None:
        """Take note that these settings are in force now."""
        self._good = loaded
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
        return self._good.settings.state != self._started.state

    def without_restart(self, settings: Settings) -> Settings:
        """Give the settings as they can be in force now: the ledger and its lock stay where they are."""
        return settings.model_copy(update={"state": self._started.state})

    def state(self) -> dict[str, Any]:
        """Give how the file is; costs nothing."""
        return {
            "etag": self._etag,
            "valid": not self._faults,
            "faults": [fault_parts(line, self._file) for line in self._faults],
            "writable": self._writable.can,
            "restart_needed": self.restart_needed,
            "path": self._file,
        }

    async def read(self) -> dict[str, Any]:
        """Give the settings, the file's text without its secrets, and what may be changed from here."""
        return await anyio.to_thread.run_sync(self._read)

    def _read(self) -> dict[str, Any]:
        content = read_bytes(self.path)
        self._writable = writable(self.path)
        loaded, faults = self._look(content)
        settings = dump(loaded)
        data = loaded.document.data
        return {
            "settings": settings,
            "yaml": mask(decoded(content), self._known()),
            "etag": etag_of(content),
            "path": self._file,
            "valid": not faults,
            "faults": [fault_parts(line, self._file) for line in faults],
            "writable": self._writable.can,
            "why_not": self._writable.why_not or None,
            "restart_needed": self.restart_needed,
            "by_hand": list(BY_HAND),
            "secrets_set": secrets_set(loaded.settings, data),
            "overridden": {in_words(path): source for path, source in loaded.overridden.items()},
            "defaults": Settings().model_dump(mode="json", by_alias=True),
            "warnings": [fault_parts(line, self._file) for line in loaded.warnings],
        }

    async def schema(self) -> dict[str, Any]:
        """Give the JSON schema of the file."""
        return json_schema()

    async def schedule(self, expression: str) -> dict[str, Any]:
        """Tell what a schedule means: ``valid``, ``error``, ``words`` and the ``next`` five moments."""
        zone = zone_name(self._good.settings.ui.timezone, self._environ)
        return await anyio.to_thread.run_sync(explained, expression[:200], zone, self._clock.now())

    async def validate(self, text: str) -> dict[str, Any]:
        """Tell what would be wrong with this text as the settings file; nothing is changed."""
        return await anyio.to_thread.run_sync(self._validate, text)

    def _validate(self, text: str) -> dict[str, Any]:
        refused: dict[str, str] | None = None
        try:
            content = read_bytes(self.path)
            standing = decoded(content)
            self._not_blank(encoded(text))
            new = unmask(text, standing, self._file, self._known())
            before = self._look(content)[0]
            if (data := data_of(new)) is not None:
                # First of all: reading the text reads the files that it names, and the answer would tell of any file.
                check_by_hand(data_or(standing, before), data)
            loaded = parse(encoded(new), self.path, self._environ)
        except ConfigError as error:
            return {
                "valid": False,
                "faults": [fault_parts(line, self._file) for line in error.faults],
                "warnings": [],
                "refused": None,
            }
        except NeedsPerson as error:
            return {"valid": True, "faults": [], "warnings": [], "refused": error.as_dict()}
        try:
            check_secrets_again(before.settings, loaded.settings, given_in(text))
        except NeedsPerson as error:
            refused = error.as_dict()
        warnings = [fault_parts(line, self._file) for line in loaded.warnings]
        return {"valid": True, "faults": [], "warnings": warnings, "refused": refused}

    async def diff(self, yaml: str | None = None, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Give what would change in the file, as a unified diff, and its new text; both without secrets."""
        return await anyio.to_thread.run_sync(self._diff, yaml, changes)

    def _diff(self, text: str | None, changes: Mapping[str, Any] | None) -> dict[str, Any]:
        content = read_bytes(self.path)
        standing = decoded(content)
        new = self._edited(content, changes or {})[0] if text is None else text
        before, after = mask(standing, self._known()), mask(new, self._known())
        lines = difflib.unified_diff(
            before.splitlines(keepends=True), after.splitlines(keepends=True), self.path.name, self.path.name
        )
        return {"diff": "".join(line if line.endswith("\n") else f"{line}\n" for line in lines), "yaml": after}

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
        return {"id": str(_id(number)), "yaml": mask(content.decode(errors="replace"), self._known())}

    # -- deeds ----------------------------------------------------------------------------------------------------

    async def patch(self, changes: Mapping[str, Any], if_match: str | None, who: str) -> dict[str, Any]:
        """Change single settings (RFC 7396); everything else in the file stays byte for byte.

        Gives what ``read`` gives, with ``in_force``. Raises `ConfigError`; `NeedsPerson` with ``config.conflict``,
        ``config.by_hand``, ``config.read_only``, ``config.overridden``, ``config.secret_again``,
        ``config.cannot_edit``.
        """
        return await self._save(lambda content: self._edited(content, changes), if_match, who)

    async def put(self, text: str, if_match: str | None, who: str) -> dict[str, Any]:
        """Replace the file's text; secrets' markers keep what stands. Gives and raises as ``patch``."""

        def made(content: bytes) -> tuple[str, frozenset[KeyPath]]:
            return unmask(text, decoded(content), self._file, self._known()), given_in(text)

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
            lambda content: self._edited(content, changes), None, who, allowed=frozenset({PASSWORD})
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
                saved = await anyio.to_thread.run_sync(self._store, make, if_match, who, allowed)
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

    def _store(
        self,
        make: Callable[[bytes], tuple[str, frozenset[KeyPath]]],
        if_match: str | None,
        who: str,
        allowed: frozenset[KeyPath],
    ) -> tuple[str, list[str]] | None:
        content = read_bytes(self.path)
        etag, standing = etag_of(content), decoded(content)
        if if_match is not None and not _matches(if_match, etag):
            raise self._conflict()
        text, given = make(content)
        if text == standing:
            return None
        fresh = encoded(text)
        self._not_blank(fresh)
        before, data = self._look(content)[0], data_of(text)
        if data is not None:
            # First of all: who may not change a key is told so, whatever else is wrong with the value.
            check_by_hand(data_or(standing, before), data, allowed)
        loaded = parse(fresh, self.path, self._environ)
        check_secrets_again(before.settings, loaded.settings, given)
        if self.guard is not None:
            self.guard(loaded.settings)
        self._writable = writable(self.path)
        if not self._writable.can:
            raise NeedsPerson(
                "config.read_only", "the settings file cannot be written from here", hint=self._writable.why_not
            )
        self._versions.note(content, SAVED_BY_HAND, self._clock.wall())
        try:
            way = store(self.path, fresh, etag, self._versions.written_over)
        except NeedsPerson as error:
            raise self._conflict() if error.code == "config.conflict" else error from None
        keys = changed_keys(data_of(standing), loaded.document.data)
        # What follows only tells of it: the change itself is made.
        try:
            self._versions.note(fresh, who, self._clock.wall())
            note = ", ".join(keys) + (" (written in place)" if way == "in place" else "")
            self._ledger.audit.note(self._clock.wall(), "settings changed", who=who, note=note)
        except RelayError as error:
            log.warning("the settings were saved, but this could not be written down: %s", error.message)
        return etag_of(fresh), keys

    def _not_blank(self, content: bytes) -> None:
        """Refuse what holds nothing: it would mean the defaults, and a start takes it for a file that was torn."""
        if is_blank(content):
            raise ConfigError([f"{self._file}:1: would be empty; one comment in it makes it mean the defaults"])

    def _edited(self, content: bytes, changes: Mapping[str, Any]) -> tuple[str, frozenset[KeyPath]]:
        """Give the text with the changes in it, and the secrets that came with them."""
        bounded(changes)
        standing = decoded(content)
        loaded, _ = self._look(content)
        try:
            data = read_document(standing).data
            wanted = as_in_file(plain(dict(changes)), data)
            wanted = not_overridden(wanted, dump(loaded), loaded.overridden)
            given = frozenset(path for path, value in secrets_in(wanted) if value != MARKER) | emptied(wanted)
            text = edit(standing, wanted)
        except DocumentError:
            parse(content, self.path, self._environ)  # raises, with a line for each fault
            raise
        return unmask(text, standing, self._file, self._known()), given

    def _look(self, content: bytes) -> tuple[Loaded, list[str]]:
        """Give what stands in the file, or the last good one and what is wrong."""
        if etag_of(content) == self._good.etag:
            return self._good, []
        try:
            return parse(content, self.path, self._environ), []
        except ConfigError as error:
            return self._good, error.faults

    def _conflict(self) -> NeedsPerson:
        try:
            content = read_bytes(self.path)
        except ConfigError:
            content = b""
        return NeedsPerson(
            "config.conflict",
            "the settings file was changed meanwhile; nothing was overwritten",
            hint="look at what stands there now, and save again what is still wanted",
            theirs=mask(content.decode(errors="replace"), self._known()),
            etag=etag_of(content),
        )

    def _known(self) -> tuple[str, ...]:
        """Give the secrets in force: they are not to be seen wherever they stand."""
        return tuple(value for _, value in secrets_in(self._good.document.data))

    @property
    def _file(self) -> str:
        return shown(str(self.path), 4096)


def _id(number: int | str) -> int:
    return int(number) if re.fullmatch("[0-9]{1,12}", str(number), re.ASCII) else -1


def _matches(if_match: str, etag: str) -> bool:
    words = [word.strip().removeprefix("W/").strip('"') for word in if_match.split(",")]
    return "*" in words or etag in words
