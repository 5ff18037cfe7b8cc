"""A stretch of an open file as a file object of its own, with a limit on how much may be read through it.

The parsers behind it are given hostile files: a tag may claim to be 4 GiB long, a list may lead back to its start.
Whatever they do, they end when the budget does.
"""

from __future__ import annotations

import os

_LARGEST_READ = 1 << 20


class BudgetSpent(Exception):
    """Raised inside a parser that has read more than a well-meant file makes it read."""


class Window:
    """Reads of ``length`` bytes from ``start`` of an open file, for as many calls and bytes as the budget has."""

    def __init__(self, fd: int, start: int, length: int, *, calls: int = 20_000, total: int = 16 << 20) -> None:
        self._fd = fd
        self._start = start
        self._length = max(length, 0)
        self._at = 0
        self._calls = calls
        self._total = total

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to an offset; one before the start is refused, one behind the end reads nothing."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        if base + offset < 0:
            raise ValueError("seek before the start")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """Give the offset."""
        return self._at

    def read(self, count: int = -1) -> bytes:
        """Give at most ``count`` bytes, 1 MiB and what is left; raises ``BudgetSpent`` at the end of the budget."""
        left = max(self._length - self._at, 0)
        count = min(left if count < 0 else count, left, _LARGEST_READ)
        self._calls -= 1
        self._total -= count
        if self._calls < 0 or self._total < 0:
            raise BudgetSpent
        data = os.pread(self._fd, count, self._start + self._at) if count else b""
        self._at += len(data)
        return data
