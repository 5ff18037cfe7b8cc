"""``photon-relay password``: asks for a new password and writes its hash into the configuration file, or prints it."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.errors import NeedsPerson
from daemon.settings.editing import edit
from daemon.settings.storing import etag_of, store, unkept
from daemon.settings.versions import Versions
from daemon.settings_file import ensure_default, load, parse, read_bytes
from daemon.text import shown
from ui.passwords import MOST_BYTES, hash_password, weakness

if TYPE_CHECKING:
    from argparse import Namespace

_KEY = ("ui", "password_hash")


def password(arguments: Namespace) -> int:
    """Ask twice (standard input where there is no terminal) and change that one value in the file, nothing else.

    With ``--print`` nothing is read or written: the hash goes to standard output, for a secret of Docker's.
    """
    if arguments.print:
        new = _ask()
        if found := weakness(new):
            raise found
        print(hash_password(new))
        return 0
    path: Path = arguments.config
    ensure_default(path)
    loaded = load(path, os.environ)  # a file that is not valid is mended first
    source = loaded.overridden.get(_KEY)
    if source is not None:
        raise NeedsPerson(
            "config.overridden",
            f"ui.password_hash comes from the {source}, which wins over the file; nothing was changed",
            hint=f"change the {source} instead, or take it away",
        )
    new = _ask()
    if found := weakness(new):
        raise found
    hashed = hash_password(new)
    try:
        _write(path, hashed, Path(loaded.settings.state) / "versions")
    except NeedsPerson as error:
        if error.code != "config.conflict":
            print(f"The hash, to be put into the file by hand:\nui:\n  password_hash: '{hashed}'")
        raise
    print(f"The password is set in {shown(str(path), 1000)}. A running daemon takes it within two seconds,")
    print("and everybody who was logged in has to log in anew.")
    return 0


def _write(path: Path, hashed: str, kept: Path) -> None:
    content = read_bytes(path)
    text = edit(content.decode(), {"ui": {"password_hash": hashed}})
    encoded = text.encode()
    parse(encoded, path, os.environ)
    # The folder is the daemon's to make: as its owner it must be able to write there.
    keep = Versions(kept).written_over if kept.is_dir() else unkept
    store(path, encoded, etag_of(content), keep)


def _ask() -> str:
    if not sys.stdin.isatty():
        line = sys.stdin.buffer.readline(MOST_BYTES + 2)
        try:
            return line.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise NeedsPerson("password.not_text", "the password on standard input is not UTF-8 text") from None
    first = getpass.getpass("New password: ")
    if found := weakness(first):
        raise found
    if getpass.getpass("The same again: ") != first:
        raise NeedsPerson("password.differ", "the two are not the same; nothing was changed")
    return first
