"""Is a file really gone, or only its mount? An empty mount point must not look like photos that people removed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from daemon.errors import Refused
from daemon.nextcloud.homes import check_data

if TYPE_CHECKING:
    from collections.abc import Iterator

_GONE = frozenset({"file.vanished", "file.not_directory"})


@contextmanager
def really(data: str) -> Iterator[None]:
    """Run a block; what it says is gone counts only if the data directory is there. Blocking.

    Raises ``Transient`` ``nextcloud.mount_missing`` instead of ``Refused`` ``file.vanished`` where it is not.
    """
    try:
        yield
    except Refused as error:
        if error.code in _GONE:
            check_data(data)
        raise
