"""One pass over a file's bytes: BLAKE3 (our identity), SHA-1 (PhotoPrism's), and the first bytes.

Never by ``mmap``: a file that is truncated while it is mapped kills the process (SIGBUS), and users can truncate.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from blake3 import blake3

from daemon.errors import Refused
from daemon.files.faults import changed, disk_fault, path_of
from daemon.files.pace import PACE
from daemon.fingerprint import Fingerprint
from daemon.text import shown, size_in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    EachBlock = Callable[[int], None]

BLOCK = 1 << 20
FIRST_BYTES = 4096
LIMIT = 256 << 30
_LOOK = 16 << 20
"""Bytes after which it is seen whether a file has changed: one that does all the time is not read to its end."""
# Times on disk move in ticks of up to 10 ms (HZ=100): a write in the same tick as the first look leaves no trace.
_TICK = 0.02


class _Digest(Protocol):
    def update(self, data: memoryview, /) -> object: ...


@dataclass(frozen=True, slots=True)
class Hashed:
    """A file's hashes in lower-case hex, its first bytes, and the fingerprint for which they are true.

    ``sha1`` is empty where it was not asked for: it costs four times what BLAKE3 does.
    """

    blake3: str
    sha1: str
    first: bytes
    fingerprint: Fingerprint


class _Buffers:
    """Blocks to read into, used again: a new one for each file costs more than reading a small photo."""

    def __init__(self, most: int) -> None:
        self._free: deque[bytearray] = deque(maxlen=most)

    @contextmanager
    def one(self) -> Iterator[bytearray]:
        """Give a block that nobody else has, and take it back."""
        try:
            buffer = self._free.pop()
        except IndexError:
            buffer = bytearray(BLOCK)
        try:
            yield buffer
        finally:
            self._free.append(buffer)


_BUFFERS = _Buffers(4)


def hash_file(
    fd: int,
    *,
    sha1: bool = True,
    limit: int = LIMIT,
    expected: Fingerprint | None = None,
    each_block: EachBlock | None = None,
) -> Hashed:
    """Give BLAKE3, SHA-1 (if wanted) and the first bytes of an open file, all of one and the same content.

    ``expected`` is the fingerprint that the file must have. ``each_block`` is called with the bytes read so far after
    each MiB, and may raise to stop. Raises ``Transient`` ``file.changed`` if the file is changed while it is read (it
    is never read beyond the size seen at the start, so one that grows for ever ends so too), ``Refused``
    ``file.too_large`` above ``limit`` bytes (a sparse file of a petabyte costs its owner nothing).
    """
    digest = blake3()
    if not sha1:
        before, first = _read_through(fd, (digest,), limit, expected, each_block)
        return Hashed(digest.hexdigest(), "", first, before)
    other = hashlib.sha1(usedforsecurity=False)
    before, first = _read_through(fd, (digest, other), limit, expected, each_block)
    return Hashed(digest.hexdigest(), other.hexdigest(), first, before)


def hash_only_blake3(
    fd: int,
    *,
    limit: int = LIMIT,
    expected: Fingerprint | None = None,
    each_block: EachBlock | None = None,
) -> str:
    """Give the BLAKE3 of an open file in hex, for proofs; raises as ``hash_file`` does."""
    digest = blake3()
    _read_through(fd, (digest,), limit, expected, each_block)
    return digest.hexdigest()


def _read_through(
    fd: int,
    digests: tuple[_Digest, ...],
    limit: int,
    expected: Fingerprint | None,
    each_block: EachBlock | None,
) -> tuple[Fingerprint, bytes]:
    before = Fingerprint.of(os.fstat(fd))
    if expected is not None and before != expected:
        raise changed(path_of(fd), why="since it was last looked at")
    if before.size > limit:
        raise Refused(
            "file.too_large",
            f"{shown(path_of(fd))} has {size_in_words(before.size)}, more than the {size_in_words(limit)} allowed.",
            path=path_of(fd),
            size=before.size,
        )
    if abs(time.time_ns() - before.ctime_ns) < _TICK * 1e9:
        time.sleep(_TICK)
    first = b""
    with _BUFFERS.one() as buffer:
        view = memoryview(buffer)
        done = 0
        while done < before.size:
            try:
                count = os.preadv(fd, [view[: min(BLOCK, before.size - done)]], done)
            except OSError as error:
                raise disk_fault(error, "reading", path_of(fd)) from error
            if not count:
                raise changed(path_of(fd), why="it became shorter while it was read")
            for digest in digests:
                digest.update(view[:count])
            if len(first) < FIRST_BYTES:
                first += bytes(view[: min(count, FIRST_BYTES - len(first))])
            done += count
            PACE.took(count)
            if each_block is not None:
                each_block(done)
            if done % _LOOK == 0 and Fingerprint.of(os.fstat(fd)) != before:
                raise changed(path_of(fd), why="while it was read")
    if Fingerprint.of(os.fstat(fd)) != before:
        raise changed(path_of(fd), why="while it was read")
    return before, first
