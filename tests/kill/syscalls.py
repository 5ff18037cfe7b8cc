"""Stopping a process at each system call that changes something, by seccomp's user notification; asks no cooperation.

``listen_in_child`` is called in the process that is to be watched; from then on each of these calls, in any of its
threads and children, waits until ``Listener.receive`` was told of it and ``Listener.go_on`` lets it happen. See
seccomp_unotify(2). Needs Linux 5.8 on x86-64 or arm64, and root or ``no_new_privs`` (which is set).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import platform
import struct
import time
from dataclasses import dataclass

_X86 = {
    "open": 2, "write": 1, "pwrite64": 18, "writev": 20, "pwritev": 296, "pwritev2": 328, "sendfile": 40, "sendto": 44,
    "truncate": 76, "ftruncate": 77, "rename": 82, "mkdir": 83, "rmdir": 84, "creat": 85, "link": 86, "unlink": 87,
    "symlink": 88, "chmod": 90, "fchmod": 91, "chown": 92, "fchown": 93, "lchown": 94, "mknod": 133, "setxattr": 188,
    "lsetxattr": 189, "fsetxattr": 190, "utimes": 235, "openat": 257, "mkdirat": 258, "mknodat": 259, "fchownat": 260,
    "unlinkat": 263, "renameat": 264, "linkat": 265, "symlinkat": 266, "fchmodat": 268, "splice": 275,
    "utimensat": 280, "fallocate": 285, "renameat2": 316, "copy_file_range": 326, "fchmodat2": 452, "fsync": 74,
    "fdatasync": 75, "sync_file_range": 277, "syncfs": 306, "sync": 162, "ioctl": 16,
}  # fmt: skip
_ARM = {
    "write": 64, "pwrite64": 68, "writev": 66, "pwritev": 70, "pwritev2": 287, "sendfile": 71, "sendto": 206,
    "truncate": 45, "ftruncate": 46, "fchmod": 52, "fchown": 55, "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7,
    "openat": 56, "mkdirat": 34, "mknodat": 33, "fchownat": 54, "unlinkat": 35, "renameat": 38, "linkat": 37,
    "symlinkat": 36, "fchmodat": 53, "splice": 76, "utimensat": 88, "fallocate": 47, "renameat2": 276,
    "copy_file_range": 285, "fchmodat2": 452, "fsync": 82, "fdatasync": 83, "sync_file_range": 84, "syncfs": 267,
    "sync": 81, "ioctl": 29,
}  # fmt: skip
# The machine's word for it, AUDIT_ARCH_*, the numbers, and those of seccomp and pidfd_getfd.
_MACHINES = {"x86_64": (0xC000003E, _X86, 317), "aarch64": (0xC00000B7, _ARM, 277)}
_PIDFD_GETFD = 438
_FILTER, _NEW_LISTENER, _NO_NEW_PRIVS = 1, 8, 38
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_FICLONE = (0x40049409, 0x4020940D)  # FICLONE, FICLONERANGE
_CREATING = os.O_CREAT | os.O_TRUNC
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_CONTINUE = 1

_libc = ctypes.CDLL(None, use_errno=True)


def missing() -> str:
    """Say why calls cannot be stopped here; empty where they can."""
    return "" if platform.machine() in _MACHINES else f"system calls are not known by number on {platform.machine()}"


def names() -> dict[int, str]:
    """Give the names of the calls that are stopped at, by number."""
    return {number: name for name, number in _MACHINES[platform.machine()][1].items()}


@dataclass(frozen=True, slots=True)
class Call:
    """One call that waits: which thread makes it, its name and arguments."""

    id: int
    thread: int
    name: str
    args: tuple[int, ...]


class Listener:
    """The other end of a watched process."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._names = names()
        self._buffer = bytearray(80)

    def receive(self) -> Call | None:
        """Give the next call that waits, once the descriptor is readable; ``None`` where its process has died."""
        self._buffer[:] = bytes(80)
        try:
            fcntl.ioctl(self.fd, _RECEIVE, self._buffer)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.EINTR}:
                return None
            raise
        number, thread, _, nr, _, _, *args = struct.unpack("=QIIiIQ6Q", self._buffer)
        return Call(number, thread, self._names[nr], tuple(args))

    def go_on(self, call: Call) -> None:
        """Let a call happen."""
        try:
            fcntl.ioctl(self.fd, _SEND, struct.pack("=QqiI", call.id, 0, 0, _CONTINUE))
        except OSError as error:
            if error.errno != errno.ENOENT:  # it has died meanwhile
                raise


def listen_in_child(say: int) -> None:
    """Have this process, which has one thread, watched; the number of the listener is written to ``say`` before."""
    arch, numbers, seccomp = _MACHINES[platform.machine()]
    program = _program(arch, numbers)
    buffer = ctypes.create_string_buffer(program)
    whole = struct.pack("HP", len(program) // 8, ctypes.addressof(buffer))
    descriptor = os.dup(0)
    os.close(descriptor)  # the next one that the kernel gives
    # Written before, since afterwards even this waits for somebody who listens.
    os.write(say, struct.pack("i", descriptor))
    if _libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    found = _libc.syscall(seccomp, _FILTER, _NEW_LISTENER, ctypes.create_string_buffer(whole))
    if found != descriptor:
        os._exit(71)


def listener_of(pid: int, heard: int) -> Listener:
    """Give the listener of a child that calls ``listen_in_child`` with the other end of ``heard``."""
    (theirs,) = struct.unpack("i", os.read(heard, 4))
    pidfd = os.pidfd_open(pid)
    try:
        until = time.monotonic() + 10
        while True:
            fd = _libc.syscall(_PIDFD_GETFD, pidfd, theirs, 0)
            if fd >= 0:
                return Listener(fd)
            if ctypes.get_errno() != errno.EBADF or time.monotonic() > until:
                raise OSError(ctypes.get_errno(), "pidfd_getfd")
            time.sleep(0.0002)
    finally:
        os.close(pidfd)


def _program(arch: int, numbers: dict[str, int]) -> bytes:
    """Give the filter: notify of these calls, of opening only where it makes or empties, of ``ioctl`` only reflinks."""

    def instruction(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
        return struct.pack("HBBI", code, yes, no, value)

    plain = sorted(number for name, number in numbers.items() if name not in {"open", "openat", "ioctl"})
    special = [
        (numbers[name], argument, code, value)
        for name, argument, code, value in (
            ("open", 1, _ANY_BIT, _CREATING),
            ("openat", 2, _ANY_BIT, _CREATING),
            ("ioctl", 1, _EQUAL, _FICLONE[0]),
            ("ioctl", 1, _EQUAL, _FICLONE[1]),
        )
        if name in numbers
    ]
    lines = [instruction(_LOAD, 4), instruction(_EQUAL, arch, 1, 0), instruction(_RETURN, _ALLOW)]
    lines.append(instruction(_LOAD, 0))
    for number in plain:
        lines += [instruction(_EQUAL, number, 0, 1), instruction(_RETURN, _NOTIFY)]
    for number, argument, code, value in special:
        lines += [
            instruction(_EQUAL, number, 0, 4),
            instruction(_LOAD, 16 + 8 * argument),
            instruction(code, value, 0, 1),
            instruction(_RETURN, _NOTIFY),
            instruction(_LOAD, 0),
        ]
    lines.append(instruction(_RETURN, _ALLOW))
    return b"".join(lines)
