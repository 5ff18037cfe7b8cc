"""Whether a user's name means root in a container, as linuxserver's ``abc`` does with ``PUID=0``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from daemon.gate.denied import Denied

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from daemon.clock import Clock


class Accounts:
    """Looks names up with ``read``, which gives a container's ``/etc/passwd``; believes it for ``seconds``."""

    def __init__(self, read: Callable[[str], Awaitable[str]], *, seconds: float, clock: Clock) -> None:
        self._read = read
        self._seconds = seconds
        self._clock = clock
        self._seen: tuple[str, float, str] | None = None

    async def check(self, container: str, user: str) -> None:
        """Let pass a user who is not root there; a number (never 0, see the rules) needs no look.

        A name that is not there at all passes: the engine itself refuses it, in the words that the daemon knows.

        Raises:
            Denied: the name is root's.

        """
        name = user.partition(":")[0]
        if name.isdecimal():
            return
        if is_root(name, await self._passwd(container)):
            raise Denied(f"the user {name} is root in that container")

    async def _passwd(self, container: str) -> str:
        now = self._clock.monotonic()
        if self._seen is None or self._seen[0] != container or now - self._seen[1] > self._seconds:
            self._seen = (container, now, await self._read(container))
        return self._seen[2]


def is_root(name: str, passwd: str) -> bool:
    """Tell whether ``name`` is user 0; a user id that is no number counts, since the engine reads it as 0."""
    for line in passwd.split("\n"):
        parts = line.strip().split(":")
        if parts[0] == name:
            uid = parts[2] if len(parts) > 2 else ""
            if not (uid.isascii() and uid.isdecimal() and int(uid) > 0):
                return True
    return False
