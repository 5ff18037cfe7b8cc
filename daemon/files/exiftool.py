"""Asking exiftool, if it is installed, what our own readers cannot tell.

The file is handed over as a descriptor (``/proc/self/fd/N``): its name never becomes an argument, so nothing in a
name can become an option, and no other file can be put in its place.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import threading
from typing import Any

_TAGS = ("DateTimeOriginal", "OffsetTimeOriginal", "CreateDate", "CreationDate", "MediaCreateDate")
_LARGEST_ANSWER = 64 << 10
_MEMORY = 1 << 30


def find_exiftool() -> str | None:
    """Give the path of exiftool, ``None`` where it is not installed."""
    return shutil.which("exiftool")


def ask_exiftool(program: str, fd: int, *, timeout: float = 20.0) -> dict[str, Any]:
    """Give the date tags that exiftool finds in an open file; empty where it fails, for whatever reason.

    It has ``timeout`` seconds, 1 GiB of memory, and 64 KiB for its answer. About 0.2 to 0.9 s a call.
    """
    path = f"/proc/self/fd/{fd}"
    # -config "" first: otherwise a configuration file, which is Perl code, is looked for in HOME.
    command = [program, "-config", "", "-j", "-n", *(f"-{tag}" for tag in _TAGS), path]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(fd,),
            cwd="/",
            start_new_session=True,  # so that what it starts itself ends with it
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
        )
    except OSError:
        return {}
    with process:
        with contextlib.suppress(OSError, ValueError):
            resource.prlimit(process.pid, resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        timer = threading.Timer(timeout, _end, [process.pid])
        timer.start()
        try:
            answer = process.stdout.read(_LARGEST_ANSWER) if process.stdout else b""
        finally:
            # Only then is it waited for: until that its number cannot belong to another process.
            timer.cancel()
            timer.join()
            _end(process.pid)
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    return found[0] if isinstance(found, list) and found and isinstance(found[0], dict) else {}


def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
