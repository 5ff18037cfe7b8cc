"""The keys that cookies are sealed with: made at the first start, changed by and by, never logging anybody out."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from pathlib import Path

from cryptography.fernet import Fernet, MultiFernet

from daemon.errors import NeedsPerson
from daemon.settings.storing import put_private

log = logging.getLogger(__name__)

ROTATE = 30 * 86400.0
"""Seconds after which a new key is made; the older ones still open what they sealed."""
KEEP = 65 * 86400.0
"""Seconds after which a key is forgotten; by then no cookie that it sealed is valid any more."""


def load_keys(state: str, now: float) -> MultiFernet:
    """Give the keys of a state folder, the newest first; makes and rotates them as needed. Blocking.

    ``keys.json`` is readable by its owner only. Raises ``NeedsPerson`` ``keys.unwritable``.
    """
    path = Path(state) / "keys.json"
    known = _read(path)
    keys = [(key, made) for key, made in known if now - made < KEEP and made <= now + 86400.0]
    if not keys or now - keys[0][1] >= ROTATE:
        keys.insert(0, (Fernet.generate_key().decode(), now))
    if keys != known:
        _write(path, keys)
    return MultiFernet([Fernet(key) for key, _ in keys])


def _read(path: Path) -> list[tuple[str, float]]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unwritable(path, error) from error
    with os.fdopen(descriptor, "rb") as file:
        with contextlib.suppress(OSError):
            if os.fstat(descriptor).st_mode & 0o077:
                os.fchmod(descriptor, 0o600)
        content = file.read(65536)
    try:
        found = [(str(entry["key"]), float(entry["made_at"])) for entry in json.loads(content)["keys"]]
        for key, _ in found:
            Fernet(key)
    except (ValueError, TypeError, KeyError):
        log.warning("%s cannot be read; new keys are made, and everybody has to log in again", path)
        return []
    return sorted(found, key=lambda one: -one[1])


def _write(path: Path, keys: list[tuple[str, float]]) -> None:
    text = json.dumps({"keys": [{"key": key, "made_at": made} for key, made in keys]}, indent=1)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        put_private(path, text.encode())
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> NeedsPerson:
    return NeedsPerson(
        "keys.unwritable",
        f"{path}, which holds the keys of the page's log-ins, cannot be used: {error.strerror}",
        hint="see that the state folder belongs to the user the daemon runs as",
    )
