"""Reads a small file whole, or says in words why not."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class UnreadableError(Exception):
    """Raised for a file that cannot be used; its text says why, without the file's name."""


def read_small(path: Path, limit: int, size_in_words: str) -> bytes:
    """Give the bytes of a file of at most ``limit``; raises `UnreadableError`, for pipes and folders too."""
    try:
        # Not blocking: opening a pipe that nobody writes to would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from None
    except ValueError:  # a NUL, or half a character, in the name
        raise UnreadableError("is no possible file name") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnreadableError("is not a file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise UnreadableError(f"is larger than {size_in_words}")
    return content
