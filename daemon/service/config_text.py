"""The settings file itself for a front end: looked at, tried, compared and written. All of it blocks."""

from __future__ import annotations

import difflib
import logging
from typing import TYPE_CHECKING, Any

from daemon.errors import ConfigError, NeedsPerson, RelayError
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
from daemon.service.wished import as_in_file, bounded, emptied, not_overridden
from daemon.settings import Settings
from daemon.settings.by_hand import BY_HAND, check_by_hand, check_secrets_again
from daemon.settings.document import DocumentError, in_words, read_document
from daemon.settings.editing import edit, plain
from daemon.settings.secrets import MARKER, mask, secrets_in, unmask
from daemon.settings.storing import etag_of, store, writable
from daemon.settings.versions import BY_HAND as SAVED_BY_HAND
from daemon.settings_file import Loaded, parse, read_bytes
from daemon.settings_torn import is_blank
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from daemon.clock import Clock
    from daemon.ledger.ledger import Ledger
    from daemon.settings.document import KeyPath
    from daemon.settings.versions import Versions

log = logging.getLogger(__name__)


class ConfigText:
    """Reads and writes the file; nothing is overwritten that was changed by hand meanwhile."""

    def __init__(
        self, loaded: Loaded, environ: Mapping[str, str], versions: Versions, ledger: Ledger, clock: Clock
    ) -> None:
        self.path = loaded.path
        self.good = loaded
        """The last settings that were in force."""
        self.writable = writable(loaded.path)
        self._environ = environ
        self._versions = versions
        self._ledger = ledger
        self._clock = clock

    def read(self) -> dict[str, Any]:
        """Give the settings, the file's text without its secrets, and what may be changed from here."""
        content = read_bytes(self.path)
        self.writable = writable(self.path)
        loaded, faults = self._look(content)
        settings = dump(loaded)
        data = loaded.document.data
        return {
            "settings": settings,
            "yaml": mask(decoded(content), self.known()),
            "etag": etag_of(content),
            "path": self.file,
            "valid": not faults,
            "faults": [fault_parts(line, self.file) for line in faults],
            "writable": self.writable.can,
            "why_not": self.writable.why_not or None,
            "by_hand": list(BY_HAND),
            "secrets_set": secrets_set(loaded.settings, data),
            "overridden": {in_words(path): source for path, source in loaded.overridden.items()},
            "defaults": Settings().model_dump(mode="json", by_alias=True),
            "warnings": [fault_parts(line, self.file) for line in loaded.warnings],
        }

    def store(
        self,
        make: Callable[[bytes], tuple[str, frozenset[KeyPath]]],
        if_match: str | None,
        who: str,
        allowed: frozenset[KeyPath],
        guard: Callable[[Settings], None] | None,
    ) -> tuple[str, list[str]] | None:
        """Write what ``make`` gives for what stands there; give its tag and the changed keys, ``None`` if it is equal.

        ``guard`` is called with the settings that are about to be saved. Raises as `Config.patch`.
        """
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
        if guard is not None:
            guard(loaded.settings)
        self.writable = writable(self.path)
        if not self.writable.can:
            raise NeedsPerson(
                "config.read_only", "the settings file cannot be written from here", hint=self.writable.why_not
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
            raise ConfigError([f"{self.file}:1: would be empty; one comment in it makes it mean the defaults"])

    def edited(self, content: bytes, changes: Mapping[str, Any]) -> tuple[str, frozenset[KeyPath]]:
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
        return unmask(text, standing, self.file, self.known()), given

    def _look(self, content: bytes) -> tuple[Loaded, list[str]]:
        """Give what stands in the file, or the last good one and what is wrong."""
        if etag_of(content) == self.good.etag:
            return self.good, []
        try:
            return parse(content, self.path, self._environ), []
        except ConfigError as error:
            return self.good, error.faults

    def _conflict(self) -> NeedsPerson:
        try:
            content = read_bytes(self.path)
        except ConfigError:
            content = b""
        return NeedsPerson(
            "config.conflict",
            "the settings file was changed meanwhile; nothing was overwritten",
            hint="look at what stands there now, and save again what is still wanted",
            theirs=mask(content.decode(errors="replace"), self.known()),
            etag=etag_of(content),
        )

    def known(self) -> tuple[str, ...]:
        """Give the secrets in force: they are not to be seen wherever they stand."""
        return tuple(value for _, value in secrets_in(self.good.document.data))

    @property
    def file(self) -> str:
        """The file's path in words."""
        return shown(str(self.path), 4096)

    def validate(self, text: str) -> dict[str, Any]:
        """Tell what would be wrong with this text; nothing is changed."""
        refused: dict[str, str] | None = None
        try:
            content = read_bytes(self.path)
            standing = decoded(content)
            self._not_blank(encoded(text))
            new = unmask(text, standing, self.file, self.known())
            before = self._look(content)[0]
            if (data := data_of(new)) is not None:
                # First of all: reading the text reads the files that it names, and the answer would tell of any file.
                check_by_hand(data_or(standing, before), data)
            loaded = parse(encoded(new), self.path, self._environ)
        except ConfigError as error:
            return {
                "valid": False,
                "faults": [fault_parts(line, self.file) for line in error.faults],
                "warnings": [],
                "refused": None,
            }
        except NeedsPerson as error:
            return {"valid": True, "faults": [], "warnings": [], "refused": error.as_dict()}
        try:
            check_secrets_again(before.settings, loaded.settings, given_in(text))
        except NeedsPerson as error:
            refused = error.as_dict()
        warnings = [fault_parts(line, self.file) for line in loaded.warnings]
        return {"valid": True, "faults": [], "warnings": warnings, "refused": refused}

    def diff(self, text: str | None, changes: Mapping[str, Any] | None) -> dict[str, Any]:
        """Give what would change, as a unified diff, and the new text; both without secrets."""
        content = read_bytes(self.path)
        standing = decoded(content)
        new = self.edited(content, changes or {})[0] if text is None else text
        before, after = mask(standing, self.known()), mask(new, self.known())
        lines = difflib.unified_diff(
            before.splitlines(keepends=True), after.splitlines(keepends=True), self.path.name, self.path.name
        )
        return {"diff": "".join(line if line.endswith("\n") else f"{line}\n" for line in lines), "yaml": after}


def _matches(if_match: str, etag: str) -> bool:
    words = [word.strip().removeprefix("W/").strip('"') for word in if_match.split(",")]
    return "*" in words or etag in words
