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
from daemon.service.timetable import explained
from daemon.settings import Hook, Settings
from daemon.settings.by_hand import BY_HAND, PASSWORD, check_by_hand, check_secrets_again
from daemon.settings.document import DocumentError, in_words, read_document
from daemon.settings.editing import edit, plain
from daemon.settings.schema import json_schema
from daemon.settings.secrets import MARKER, mask, secrets_in, unmask
from daemon.settings.splicing import same
from daemon.settings.storing import etag_of, store, writable
from daemon.settings.versions import BY_HAND as SAVED_BY_HAND
from daemon.settings_file import Loaded, parse, read_bytes
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
_KEY = re.compile(r'((?:[\w@-]+|"[^"]*")(?:\.(?:[\w@-]+|"[^"]*")|\[[0-9]+\])*): (.*)', re.DOTALL)
_SHOWN_KEYS = 20
_HOOK = {key: value for key, value in Hook(on="x").model_dump(mode="json").items() if key != "on"}


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
            "yaml": mask(_decoded(content), self._known()),
            "etag": etag_of(content),
            "path": self._file,
            "valid": not faults,
            "faults": [fault_parts(line, self._file) for line in faults],
            "writable": self._writable.can,
            "why_not": self._writable.why_not or None,
            "restart_needed": self.restart_needed,
            "by_hand": list(BY_HAND),
            "secrets_set": _secrets_set(loaded.settings, data),
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
            standing = _decoded(content)
            new = unmask(text, standing, self._file, self._known())
            before = self._look(content)[0]
            if (data := _data(new)) is not None:
                # First of all: reading the text reads the files that it names, and the answer would tell of any file.
                check_by_hand(_data_or(standing, before), data)
            loaded = parse(_encoded(new), self.path, self._environ)
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
            check_secrets_again(before.settings, loaded.settings, _given_in(text))
        except NeedsPerson as error:
            refused = error.as_dict()
        warnings = [fault_parts(line, self._file) for line in loaded.warnings]
        return {"valid": True, "faults": [], "warnings": warnings, "refused": refused}

    async def diff(self, yaml: str | None = None, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Give what would change in the file, as a unified diff, and its new text; both without secrets."""
        return await anyio.to_thread.run_sync(self._diff, yaml, changes)

    def _diff(self, text: str | None, changes: Mapping[str, Any] | None) -> dict[str, Any]:
        content = read_bytes(self.path)
        standing = _decoded(content)
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
            return unmask(text, _decoded(content), self._file, self._known()), _given_in(text)

        return await self._save(made, if_match, who)

    async def restore_version(self, number: int | str, if_match: str | None, who: str) -> dict[str, Any]:
        """Put a version back, as a change like any other; today's password stays. Gives and raises as ``patch``."""

        def made(content: bytes) -> tuple[str, frozenset[KeyPath]]:
            text = _decoded(self._versions.content(_id(number)))
            hashed = dict(secrets_in(_data(_decoded(content)))).get(PASSWORD)
            if dict(secrets_in(_data(text))).get(PASSWORD) != hashed:
                text = edit(text, {"ui": {"password_hash": hashed}})
            return text, _given_in(text)

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
        etag, standing = etag_of(content), _decoded(content)
        if if_match is not None and not _matches(if_match, etag):
            raise self._conflict()
        text, given = make(content)
        if text == standing:
            return None
        encoded = _encoded(text)
        before, data = self._look(content)[0], _data(text)
        if data is not None:
            # First of all: who may not change a key is told so, whatever else is wrong with the value.
            check_by_hand(_data_or(standing, before), data, allowed)
        loaded = parse(encoded, self.path, self._environ)
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
            way = store(self.path, encoded, etag)
        except NeedsPerson as error:
            raise self._conflict() if error.code == "config.conflict" else error from None
        keys = _changed_keys(_data(standing), loaded.document.data)
        # What follows only tells of it: the change itself is made.
        try:
            self._versions.note(encoded, who, self._clock.wall())
            note = ", ".join(keys) + (" (written in place)" if way == "in place" else "")
            self._ledger.audit.note(self._clock.wall(), "settings changed", who=who, note=note)
        except RelayError as error:
            log.warning("the settings were saved, but this could not be written down: %s", error.message)
        return etag_of(encoded), keys

    def _edited(self, content: bytes, changes: Mapping[str, Any]) -> tuple[str, frozenset[KeyPath]]:
        """Give the text with the changes in it, and the secrets that came with them."""
        standing = _decoded(content)
        loaded, _ = self._look(content)
        try:
            data = read_document(standing).data
            wanted = _as_in_file(plain(dict(changes)), data)
            wanted = _not_overridden(wanted, dump(loaded), loaded.overridden)
            given = frozenset(path for path, value in secrets_in(wanted) if value != MARKER) | _emptied(wanted)
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


def fault_parts(line: str, file: str) -> dict[str, Any]:
    """Take ``file:line: key: what is wrong`` apart: the line (``None`` for a variable), the key, the message."""
    number: int | None = None
    rest = line
    if line.startswith(f"{file}:"):
        head, _, tail = line[len(file) + 1 :].partition(": ")
        if head.isdecimal():
            number, rest = int(head), tail
    found = _KEY.fullmatch(rest)
    return {"line": number, "key": found[1] if found else "", "message": found[2] if found else rest}


def dump(loaded: Loaded) -> dict[str, Any]:
    """Give the settings in the file's own form, without secrets, and file names as they stand there."""
    found = loaded.settings.model_dump(mode="json", by_alias=True, exclude_none=True)
    data = loaded.document.data if isinstance(loaded.document.data, dict) else {}
    if ("state",) not in loaded.overridden:
        found["state"] = data.get("state") or Settings().state
    tls = (data.get("ui") or {}).get("tls") or {}
    for name in ("cert", "key"):
        if ("ui", "tls", name) not in loaded.overridden and isinstance(tls, dict):
            found["ui"]["tls"][name] = tls.get(name) or ""
    return found


def _decoded(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode(errors="surrogateescape")


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ConfigError(["the text holds half characters that no file can have"]) from None


def _data(text: str) -> Any:
    try:
        return read_document(text).data
    except DocumentError:
        return None


def _data_or(text: str, good: Loaded) -> Any:
    """Give a text's data, or the last good one's where it has none."""
    data = _data(text)
    return good.document.data if data is None else data


def _matches(if_match: str, etag: str) -> bool:
    words = [word.strip().removeprefix("W/").strip('"') for word in if_match.split(",")]
    return "*" in words or etag in words


def _given_in(text: str) -> frozenset[KeyPath]:
    """Give the secrets that a text states itself, or states to be empty."""
    data = _data(text)
    return frozenset(path for path, value in secrets_in(data) if value != MARKER)


def _emptied(changes: Any) -> frozenset[KeyPath]:
    found = set()
    for path in (("photoprism", "token"), ("notify", "ntfy", "token"), ("notify", "ntfy", "password")):
        value = changes
        for part in path:
            value = value.get(part, "…") if isinstance(value, dict) else "…"
        if value in (None, ""):
            found.add(path)
    return frozenset(found)


def _secrets_set(settings: Settings, data: Any) -> dict[str, bool]:
    ntfy = settings.notify.ntfy
    found = {
        "photoprism.token": bool(settings.photoprism.token.get_secret_value()),
        "notify.ntfy.token": bool(ntfy.token.get_secret_value()),
        "notify.ntfy.password": bool(ntfy.password.get_secret_value()),
        "ui.password_hash": bool(settings.ui.password_hash.get_secret_value()),
    }
    return found | {in_words(path): True for path, _ in secrets_in(data)}


def _as_in_file(changes: dict[str, Any], data: Any) -> dict[str, Any]:
    """Bring changes, which are made to the settings as the page shows them, to what really stands in the file.

    ``include: [alice]`` is shown as a section, and hooks are shown without their secrets.
    """
    standing = data if isinstance(data, dict) else {}
    users, wanted = standing.get("users"), changes.get("users")
    listed = users.get("include") if isinstance(users, dict) else None
    if isinstance(wanted, dict) and isinstance(wanted.get("include"), dict) and isinstance(listed, list):
        kept: dict[str, Any] = {str(user): {} for user in listed if wanted["include"].get(str(user), {}) is not None}
        given = {user: rules for user, rules in wanted["include"].items() if rules is not None}
        include: Any = kept | given
        if not any(given.values()):
            include = list(include)
        changes = {**changes, "users": {**wanted, "include": include}}
    if isinstance(changes.get("hooks"), list) and isinstance(standing.get("hooks"), list):
        changes = {**changes, "hooks": [_with_secret(hook, standing["hooks"]) for hook in changes["hooks"]]}
    return changes


def _with_secret(hook: Any, standing: list[Any]) -> Any:
    if not isinstance(hook, dict):
        return hook
    like = [one for one in standing if isinstance(one, dict) and one.get("url", "") == hook.get("url", "")]
    # What is shown has every key; a default that nobody has written is not written now either.
    hook = {key: value for key, value in hook.items() if value != _HOOK.get(key) or any(key in one for one in like)}
    if not hook.get("url") or {"secret", "secret_file"} & hook.keys():
        return hook
    for one in like:
        if one.get("secret"):
            return {**hook, "secret": MARKER}
        if one.get("secret_file"):
            return {**hook, "secret_file": one["secret_file"]}
    return hook


def _not_overridden(
    changes: dict[str, Any], settings: Any, overridden: Mapping[KeyPath, str], path: KeyPath = ()
) -> dict[str, Any]:
    """Leave out what says the same as a value from elsewhere; raise where it says something else."""
    found: dict[str, Any] = {}
    for key, value in changes.items():
        here = (*path, key)
        now = settings.get(key) if isinstance(settings, dict) else None
        source = next((words for other, words in overridden.items() if _touch(here, other)), None)
        if source is None:
            found[key] = value
        elif isinstance(value, dict) and here not in overridden:
            found[key] = _not_overridden(value, now, overridden, here)
        elif value == MARKER or same(value, now):
            continue
        else:
            raise NeedsPerson(
                "config.overridden",
                f"{in_words(here)} comes from the {source}, which wins over the settings file; nothing was changed",
                hint=f"change the {source} instead, or take it away",
                key=in_words(here),
            )
    return found


def _touch(path: KeyPath, other: KeyPath) -> bool:
    shorter = min(len(path), len(other))
    return path[:shorter] == other[:shorter]


def _changed_keys(before: Any, after: Any) -> list[str]:
    found = [in_words(path) for path in _differing(before, after, ())]
    return found if len(found) <= _SHOWN_KEYS else [*found[:_SHOWN_KEYS], "…"]


def _differing(before: Any, after: Any, path: KeyPath) -> list[KeyPath]:
    if isinstance(before, dict) and isinstance(after, dict):
        keys = list(dict.fromkeys([*before, *after]))
        return [one for key in keys for one in _differing(before.get(key), after.get(key), (*path, key))]
    return [] if same(before, after) else [path]
