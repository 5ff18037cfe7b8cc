"""Output of a foreign program, kept within bounds."""

from __future__ import annotations

LIMIT = 1024 * 1024
"""Bytes kept of one stream: some hundred times what ``occ`` says where nothing is wrong."""


class HeadAndTail:
    """The beginning and the end of a byte stream; what lies between is dropped once ``limit`` bytes are exceeded.

    Both ends matter: ``occ`` says who is wrong first and prints its table last.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._head_limit = limit // 4
        self._tail_limit = limit - self._head_limit
        self._head = bytearray()
        self._tail = bytearray()
        self.dropped = 0

    def add(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        room = self._head_limit - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        # Trimmed only at twice the size, so that a long stream is not moved once for each chunk.
        if len(self._tail) > 2 * self._tail_limit:
            self._trim()

    def _trim(self) -> None:
        over = len(self._tail) - self._tail_limit
        if over > 0:
            del self._tail[:over]
            self.dropped += over

    def text(self) -> str:
        """Give what is kept as text, with a line that says how much is missing."""
        self._trim()
        gap = f"\n[… {self.dropped} bytes left out …]\n".encode() if self.dropped else b""
        return bytes(self._head + gap + self._tail).decode("utf-8", errors="replace")
