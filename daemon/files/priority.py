"""How this process stands back from others: for the processor (nice), and for the disk (ionice)."""

from __future__ import annotations

import ctypes
import os
import platform
from contextlib import suppress
from typing import Literal

Io = Literal["normal", "low", "idle"]

# linux/ioprio.h: class << 13 | level; no class of one's own (the kernel derives it from nice), the last level of best
# effort, idle. Schedulers without classes (none, mq-deadline before 5.14) do not look at it.
_IO: dict[Io, int] = {"normal": 0, "low": 2 << 13 | 7, "idle": 3 << 13}
_WHO_PROCESS = 1
# ioprio_set has no wrapper in any C library: the numbers of asm/unistd.h.
_NUMBERS = {"x86_64": 251, "aarch64": 30, "armv7l": 314, "armv6l": 314, "i686": 289, "riscv64": 30, "ppc64le": 273}

_libc = ctypes.CDLL(None, use_errno=True)


def set_priority(nice: int, io: Io) -> list[str]:
    """Put a priority in force for every thread there is; those to come have it from them. Gives what was refused.

    Without rights a priority can only be lowered, so that a higher one counts from the next start on.
    """
    refused: set[str] = set()
    for thread in map(int, os.listdir("/proc/self/task")):
        with suppress(ProcessLookupError):  # it has ended
            try:
                if os.getpriority(os.PRIO_PROCESS, thread) != nice:
                    os.setpriority(os.PRIO_PROCESS, thread, nice)
            except PermissionError:
                refused.add("relay.nice")
            try:
                _set_io(thread, _IO[io])
            except PermissionError:
                refused.add("relay.io")
            except OSError:
                refused.add("relay.io (not on this machine)")
    return sorted(refused)


def _set_io(thread: int, value: int) -> None:
    number = _NUMBERS.get(platform.machine())
    if number is None:
        raise OSError("this machine's number of ioprio_set is not known")
    if _libc.syscall(ctypes.c_long(number), _WHO_PROCESS, thread, value) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
