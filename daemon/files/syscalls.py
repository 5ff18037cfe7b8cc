"""The system calls that Python does not offer: renaming without replacing, sharing extents, syncing a disk."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
from typing import Any

_NOREPLACE = 1  # linux/fs.h: RENAME_NOREPLACE
_FICLONE = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)
_WAIT_BEFORE = 1  # linux/fs.h: SYNC_FILE_RANGE_WAIT_BEFORE
# musl has no renameat2() before 1.2.6: the bare call, by the numbers of asm/unistd.h, for the machines we run on.
_NUMBERS = {"x86_64": 316, "aarch64": 276, "armv7l": 382, "armv6l": 382, "i686": 353, "riscv64": 276, "ppc64le": 357}

_libc = ctypes.CDLL(None, use_errno=True)


def _bind() -> Any:
    try:
        call = _libc.renameat2
    except AttributeError:
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    call.restype = ctypes.c_int
    return call


_renameat2 = _bind()


def renameat2_noreplace(from_fd: int, source: str, to_fd: int, target: str) -> None:
    """Rename without ever replacing; raises ``OSError`` as the kernel says it (``EEXIST``: the target is taken).

    ``EINVAL`` means that the file system knows no such rename (NFS, some FUSE), ``ENOSYS`` the same of the kernel.
    """
    old, new = os.fsencode(source), os.fsencode(target)
    if _renameat2 is not None:
        result = _renameat2(from_fd, old, to_fd, new, _NOREPLACE)
    else:
        number = _NUMBERS.get(platform.machine())
        if number is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), source)
        result = _libc.syscall(
            ctypes.c_long(number),
            ctypes.c_int(from_fd),
            ctypes.c_char_p(old),
            ctypes.c_int(to_fd),
            ctypes.c_char_p(new),
            ctypes.c_uint(_NOREPLACE),
        )
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), source, None, target)


def clone(source_fd: int, target_fd: int) -> None:
    """Let the target share all of the source's extents (btrfs, XFS, ZFS, bcachefs); raises ``OSError`` elsewhere."""
    fcntl.ioctl(target_fd, _FICLONE, source_fd)


def syncfs(fd: int) -> None:
    """Write back all of the file system that an open file or folder is on; raises ``OSError`` where that failed."""
    if _libc.syncfs(ctypes.c_int(fd)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def written_back(fd: int) -> None:
    """Wait for what the kernel is writing back of an open file; raises ``OSError`` where any of that has failed.

    Unlike ``fsync`` it begins nothing and leaves the disk's own cache alone, so it costs next to nothing.
    """
    if _libc.sync_file_range(ctypes.c_int(fd), ctypes.c_int64(0), ctypes.c_int64(0), ctypes.c_uint(_WAIT_BEFORE)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def kind_of_file_system(fd: int) -> int:
    """Give the number by which the kernel knows the kind of file system that an open file is on (linux/magic.h)."""
    answer = ctypes.create_string_buffer(256)  # struct statfs has at most 120 bytes; f_type is its first word
    if _libc.fstatfs(ctypes.c_int(fd), answer) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return ctypes.c_ulong.from_buffer(answer).value & 0xFFFFFFFF
