"""How many connections each caller may hold, so that nobody takes all there are. Pure, bounded by the connections."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from ui.access import contains
from ui.throttle import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ui.access import Address, Network

MOST = 512
MOST_EACH = 64
"""Connections from one address. A browser opens six and one live, so a household behind one address has enough."""
RESERVED = 16
"""Connections beyond the most, for this machine alone: its health is asked for while strangers hold all the others."""


class Places:
    """Counts connections by the socket's other end; trusted proxies and this machine bring many callers in one."""

    def __init__(self, trusted: Callable[[], Sequence[Network]]) -> None:
        self._trusted = trusted
        self._held: Counter[str] = Counter()
        self._all = 0

    @property
    def held(self) -> int:
        """How many are held now."""
        return self._all

    def take(self, peer: Address | None) -> str | None:
        """Take a place; give the word with which it is given back, ``None`` where there is none."""
        key = key_of(peer)
        here = peer is not None and peer.is_loopback
        if self._all >= MOST + (RESERVED if here else 0):
            return None
        shared = here or (peer is not None and contains(self._trusted(), peer))
        if not shared and self._held[key] >= MOST_EACH:
            return None
        self._held[key] += 1
        self._all += 1
        return key

    def give_back(self, key: str) -> None:
        """Give a place back."""
        self._all -= 1
        self._held[key] -= 1
        if not self._held[key]:
            del self._held[key]
