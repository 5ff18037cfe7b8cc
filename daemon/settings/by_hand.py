"""What only a person with the file in hand may change: one stolen session must not become a shell or a stolen token."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from daemon.errors import NeedsPerson
from daemon.settings.document import in_words
from daemon.settings.model import Settings
from daemon.settings.overlay import SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.settings.document import KeyPath

PASSWORD = ("ui", "password_hash")
_KEYS: tuple[tuple[str, ...], ...] = (
    # What runs programs,
    ("nextcloud", "occ", "command"),
    ("nextcloud", "occ", "also"),
    # names files,
    ("ui", "tls"),
    # sends secrets to other machines,
    ("ui", "others"),
    ("state",),
    # or says which folders of this machine are read and written.
    ("nextcloud", "data"),
    ("archive", "folder", "path"),
    ("photoprism", "import"),
    ("photoprism", "originals"),
    PASSWORD,
)
BY_HAND = (*(".".join(key) for key in _KEYS), "hooks[].run", "*_file")
"""The keys in words, for the page."""
# An address, and the secrets that are sent there.
SENT_TO: tuple[tuple[KeyPath, tuple[KeyPath, ...]], ...] = (
    (("photoprism", "url"), (("photoprism", "token"),)),
    (("notify", "ntfy", "url"), (("notify", "ntfy", "token"), ("notify", "ntfy", "password"))),
)


def check_by_hand(before: Any, after: Any, allowed: frozenset[KeyPath] = frozenset()) -> None:
    """Raise `NeedsPerson` (``config.by_hand``) where the file's data differ in what may be changed only by hand."""
    for path in _changed(before, after):
        if path in allowed:
            continue
        words = in_words(path)
        if path == PASSWORD:
            raise NeedsPerson(
                "config.by_hand",
                "the password is not changed together with other settings",
                hint="set a password where the page offers it, or with `photon-relay password`",
                key=words,
            )
        raise NeedsPerson(
            "config.by_hand",
            f"{words} runs a program or names a file, and can be changed only in the settings file itself; nothing was "
            "changed",
            hint=f"change {words} in the file by hand",
            key=words,
        )


def _changed(before: Any, after: Any) -> Iterator[KeyPath]:
    for key in _KEYS:
        if not _same(_value(before, key), _value(after, key)):
            yield key
    via = ("nextcloud", "occ", "via")
    if _value(after, via) == "command" != _value(before, via):
        yield via
    if not _same(_running(before), _running(after)):
        yield ("hooks", "run")
    old, new = dict(_files(before)), dict(_files(after))
    yield from (path for path in {**old, **new} if not _same(old.get(path), new.get(path)))


def _value(data: Any, path: KeyPath) -> Any:
    """Give what the file says at a key, or the default where it says nothing."""
    for source in (data, _DEFAULTS):
        value = source
        for part in path:
            value = value.get(str(part)) if isinstance(value, dict) else None
        if value is not None:
            return _bare(value)
    return ""


def _bare(value: Any) -> Any:
    """Leave out what is empty in a section: a key with nothing behind it says the same as none."""
    if isinstance(value, dict):
        return {key: item for key, item in value.items() if item not in (None, "")}
    return value


def _running(data: Any) -> list[Any]:
    hooks = data.get("hooks") if isinstance(data, dict) else None
    if not isinstance(hooks, list):
        return []
    return [[hook.get("on"), hook["run"]] for hook in hooks if isinstance(hook, dict) and hook.get("run")]


def _files(data: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Give every ``…_file`` key with its value; a user may be called so."""
    if isinstance(data, dict):
        for key, value in data.items():
            if str(key).endswith(SUFFIX) and path != ("users", "include"):
                if path[:1] != ("hooks",):
                    yield (*path, key), value
            else:
                yield from _files(value, (*path, key))
    elif isinstance(data, list):
        if path == ("hooks",):
            files = [
                sorted((key, json.dumps(value)) for key, value in item.items() if str(key).endswith(SUFFIX))
                for item in data
                if isinstance(item, dict)
            ]
            yield ("hooks", "secret_file"), sorted(names for names in files if names)
            return
        for number, item in enumerate(data):
            yield from _files(item, (*path, number))


def _same(one: Any, other: Any) -> bool:
    return json.dumps(one or None, sort_keys=True) == json.dumps(other or None, sort_keys=True)


def check_secrets_again(before: Settings, after: Settings, given: frozenset[KeyPath]) -> None:
    """Raise `NeedsPerson` (``config.secret_again``) where a stored secret would be sent to a new address.

    ``given`` are the secrets that came with this change.
    """
    for address, secrets in SENT_TO:
        old, new = _setting(before, address), _setting(after, address)
        if new == old or not new:
            continue
        for path in secrets:
            if path not in given and _setting(after, path):
                raise NeedsPerson(
                    "config.secret_again",
                    f"a new {in_words(address)} would be sent the stored {in_words(path)}; nothing was changed",
                    hint=f"give {in_words(path)} again in the same change, or change the file by hand",
                    key=in_words(path),
                )


def _setting(settings: Settings, path: KeyPath) -> str:
    value: Any = settings
    for part in path:
        value = getattr(value, str(part))
    return str(value.get_secret_value() if hasattr(value, "get_secret_value") else value)


_DEFAULTS = Settings().model_dump(mode="json", by_alias=True)
