"""What happens in a folder, by the kernel's own word: every name that came, went or was renamed there."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# linux/inotify.h
_NAMES = {0x40: "from", 0x80: "to", 0x100: "create", 0x200: "delete"}
_HEAD = struct.Struct("iIII")


class WatchedFolder:
    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self._fd >= 0
        assert libc.inotify_add_watch(self._fd, os.fsencode(path), sum(_NAMES)) >= 0

    def events(self) -> list[tuple[str, str]]:
        """Everything since the beginning or the last call, as ("create", name) and so on; ends the watch."""
        try:
            data = os.read(self._fd, 1 << 16)
        except BlockingIOError:
            data = b""
        os.close(self._fd)
        found = []
        while data:
            _, mask, _, length = _HEAD.unpack_from(data)
            name = data[_HEAD.size : _HEAD.size + length].rstrip(b"\0")
            found.append((next(word for bit, word in _NAMES.items() if mask & bit), os.fsdecode(name)))
            data = data[_HEAD.size + length :]
        return found
