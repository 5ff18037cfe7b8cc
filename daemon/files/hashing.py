"""One pass over a file's bytes: BLAKE3 (our identity), SHA-1 (PhotoPrism's), and the first bytes.

Never by ``mmap``: a file that is truncated while it is mapped kills the process (SIGBUS), and users can truncate.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from blake3 import blake3

from daemon.errors import Refused
from daemon.files.faults import changed, path_of, told
from daemon.files.pace import PACE
from daemon.fingerprint import Fingerprint
from daemon.text import shown, size_in_words

if TYPE_CHECKING:
    from collections.abc import Callable

    EachBlock = Callable[[int], None]

BLOCK = 1 << 20
FIRST_BYTES = 4096
LIMIT = 256 << 30
# Times on disk move in ticks of up to 10 ms (HZ=100): a write in the same tick as the first look leaves no trace.
_TICK = 0.02


class _Digest(Protocol):
    def update(self, data: memoryview, /) -> object: ...


@dataclass(frozen=True, slots=True)
class Hashed:
    """A file's hashes in lower-case hex, its first bytes, and the fingerprint for which they are true."""

    blake3: str
    sha1: str
    first: bytes
    fingerprint: Fingerprint


def hash_file(
    fd: int,
    *,
    limit: int = LIMIT,
    expected: Fingerprint | None = None,
    each_block: EachBlock | None = None,
) -> Hashed:
    """Give BLAKE3, SHA-1 and the first bytes of an open file, all of one and the same content.

    ``expected`` is the fingerprint that the file must have. ``each_block`` is called with the bytes read so far after
    each MiB, and may raise to stop. Raises ``Transient`` ``file.changed`` if the file is changed while it is read (it
    is never read beyond the size seen at the start, so one that grows for ever ends so too), ``Refused``
    ``file.too_large`` above ``limit`` bytes (a sparse file of a petabyte costs its owner nothing).
    """
    digest, sha1 = blake3(), hashlib.sha1(usedforsecurity=False)
    before, first = _read_through(fd, (digest, sha1), limit, expected, each_block)
    return Hashed(digest.hexdigest(), sha1.hexdigest(), first, before)


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
    view = memoryview(bytearray(min(BLOCK, before.size) or 1))
    done = 0
    while done < before.size:
        with told("reading", path_of(fd)):
            count = os.preadv(fd, [view[: min(BLOCK, before.size - done)]], done)
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
    if Fingerprint.of(os.fstat(fd)) != before:
        raise changed(path_of(fd), why="while it was read")
    return before, first
