"""Folders below a root that are used again and again: each is opened once, and all are closed at the end."""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from daemon.files.opening import directory_below
from daemon.files.publishing import made_dirs

if TYPE_CHECKING:
    from types import TracebackType


class Folders:
    """Open folders, for as many files as belong to one piece of work and no longer: a descriptor follows its folder.

    ``root`` is a path or an open folder, which must stay open meanwhile. May be used from several threads. Open
    descriptors are few: one for each folder asked for.
    """

    def __init__(self, root: str | int) -> None:
        self._root = root
        self._stack = ExitStack()
        self._open: dict[str, int] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def below(self, relpath: str) -> int:
        """Give the descriptor of a folder that is there; raises as ``directory_below`` does."""
        with self._lock:
            if (fd := self._open.get(relpath)) is not None:
                return fd
        # Not under the lock: a disk that does not answer would keep the folders on all others from being opened.
        with ExitStack() as stack:
            opened = stack.enter_context(directory_below(self._root, relpath))
            with self._lock:
                if (fd := self._open.get(relpath)) is not None:
                    return fd
                self._open[relpath] = opened
                self._stack.push(stack.pop_all())
                return opened

    def made(self, relpath: str) -> int:
        """Give the descriptor of a folder, made durably where it is missing; raises as ``made_dirs`` does."""
        with self._lock:
            fd = self._open.get(relpath)
            if fd is None:
                fd = self._open[relpath] = self._stack.enter_context(made_dirs(self._root, relpath))
            return fd

    def devices(self) -> dict[int, int]:
        """Give an open folder on each of the file systems that these folders are on, by its device's number."""
        with self._lock:
            return {os.fstat(fd).st_dev: fd for fd in self._open.values()}

    def close(self) -> None:
        """Close all; for who opens them without ``with`` because somebody may use them for longer."""
        self._stack.close()
        self._open.clear()

    def names(self) -> list[str]:
        """Give the folders that are open."""
        with self._lock:
            return list(self._open)
