"""Is a file really gone, or only its mount? An empty mount point must not look like photos that people removed."""

from __future__ import annotations

from daemon.errors import Refused
from daemon.nextcloud.homes import check_data

_GONE = frozenset({"file.vanished", "file.not_directory"})


class really:
    """Run a block; what it says is gone counts only if the data directory is there. Blocking.

    Raises ``Transient`` ``nextcloud.mount_missing`` instead of ``Refused`` ``file.vanished`` where it is not.
    """

    __slots__ = ("_data",)

    def __init__(self, data: str) -> None:
        self._data = data

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, Refused) and error.code in _GONE:
            check_data(self._data)
