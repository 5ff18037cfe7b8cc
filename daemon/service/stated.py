"""What a settings file states: its text, its data, its secrets and faults, in the forms that a front end has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from daemon.errors import ConfigError
from daemon.settings import Settings
from daemon.settings.document import DocumentError, in_words, read_document
from daemon.settings.secrets import MARKER, secrets_in
from daemon.settings.splicing import same

if TYPE_CHECKING:
    from daemon.settings.document import KeyPath
    from daemon.settings_file import Loaded

_KEY = re.compile(r'((?:[\w@-]+|"[^"]*")(?:\.(?:[\w@-]+|"[^"]*")|\[[0-9]+\])*): (.*)', re.DOTALL)
_SHOWN_KEYS = 20


def decoded(content: bytes) -> str:
    """Give a file's text; bytes that are not UTF-8 survive."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode(errors="surrogateescape")


def encoded(text: str) -> bytes:
    """Give a text's bytes; raises `ConfigError` where it has none."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ConfigError(["the text holds half characters that no file can have"]) from None


def data_of(text: str) -> Any:
    """Give a text's data, ``None`` where it is no usable YAML; a text with comments alone says all that is default."""
    try:
        data = read_document(text).data
    except DocumentError:
        return None
    return {} if data is None else data


def data_or(text: str, good: Loaded) -> Any:
    """Give a text's data, or the last good one's where it has none."""
    data = data_of(text)
    return data or good.document.data


def given_in(text: str) -> frozenset[KeyPath]:
    """Give the secrets that a text states itself, or states to be empty."""
    data = data_of(text)
    return frozenset(path for path, value in secrets_in(data) if value != MARKER)


def secrets_set(settings: Settings, data: Any) -> dict[str, bool]:
    """Tell which secrets are set, by key; never what they are."""
    ntfy = settings.notify.ntfy
    found = {
        "photoprism.token": bool(settings.photoprism.token.get_secret_value()),
        "notify.ntfy.token": bool(ntfy.token.get_secret_value()),
        "notify.ntfy.password": bool(ntfy.password.get_secret_value()),
        "ui.password_hash": bool(settings.ui.password_hash.get_secret_value()),
    }
    return found | {in_words(path): True for path, _ in secrets_in(data)}


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


def changed_keys(before: Any, after: Any) -> list[str]:
    """Give the keys that differ, in words, not too many."""
    found = [in_words(path) for path in _differing(before, after, ())]
    return found if len(found) <= _SHOWN_KEYS else [*found[:_SHOWN_KEYS], "…"]


def _differing(before: Any, after: Any, path: KeyPath) -> list[KeyPath]:
    if isinstance(before, dict) and isinstance(after, dict):
        keys = list(dict.fromkeys([*before, *after]))
        return [one for key in keys for one in _differing(before.get(key), after.get(key), (*path, key))]
    return [] if same(before, after) else [path]
