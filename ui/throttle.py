"""How often somebody may try: log-ins that grow slower with each failure, requests from a bucket. Pure, bounded."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network

FREE = 3
"""Failures from one address that cost nothing: people mistype."""
LONGEST = 300.0
"""Seconds that an address waits at most between two tries."""
FREE_OVERALL = 20
LONGEST_OVERALL = 30.0
"""Seconds between two tries of strangers at most, when all addresses together fail a lot."""
FORGET = 24 * 3600.0
MOST = 4096


def key_of(address: IPv4Address | IPv6Address | None) -> str:
    """Give what counts as one caller: an IPv4 address, or the /64 that one IPv6 household has for itself."""
    if address is None:
        return "unknown"
    return str(address if isinstance(address, IPv4Address) else ip_network((int(address), 64), strict=False))


@dataclass(slots=True)
class _Tries:
    failures: int = 0
    next_try: float = 0.0
    last: float = 0.0


class Throttle:
    """Growing pauses between failed log-ins, for each address and for all together.

    Nobody is ever locked out for good: the longest pause is bounded, and from where somebody has logged in before
    (``known``) the failures of others do not count, so that a flood from elsewhere cannot keep the owner out.
    """

    def __init__(self) -> None:
        self._tries: OrderedDict[str, _Tries] = OrderedDict()
        self._all = _Tries()

    def enter(self, key: str, now: float, *, known: bool = False) -> float:
        """Begin a try, counted as failed until :meth:`succeeded`; give 0, or the seconds to wait instead.

        Counting first is what makes a hundred tries at the same time count a hundred times.
        """
        own = self._own(key, now)
        wait = max(own.next_try, 0.0 if known else self._all.next_try) - now
        if wait > 0:
            return wait
        own.failures += 1
        own.last = now
        own.next_try = now + _pause(own.failures, FREE, LONGEST)
        if not known:
            if now - self._all.last > FORGET / 24:
                self._all.failures = 0
            self._all.failures += 1
            self._all.last = now
            self._all.next_try = now + _pause(self._all.failures, FREE_OVERALL, LONGEST_OVERALL)
        return 0.0

    def succeeded(self, key: str) -> None:
        """Forget the failures of an address: its try was right."""
        self._tries.pop(key, None)
        self._all.failures = max(0, self._all.failures - 1)

    def _own(self, key: str, now: float) -> _Tries:
        own = self._tries.get(key)
        if own is None or now - own.last > FORGET:
            own = self._tries[key] = _Tries(last=now)
        self._tries.move_to_end(key)
        while len(self._tries) > MOST:
            self._tries.popitem(last=False)
        return own


def _pause(failures: int, free: int, longest: float) -> float:
    return 0.0 if failures < free else min(longest, 2.0 ** min(failures - free, 20))


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Rate:
    """A bucket for each caller: ``burst`` requests at once, then ``per_second``."""

    def __init__(self, burst: float, per_second: float) -> None:
        self.burst = burst
        self.per_second = per_second
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, key: str, now: float) -> float:
        """Take one; give 0, or the seconds after which there is one again."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(self.burst, now)
            while len(self._buckets) > MOST:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(key)
        bucket.tokens = min(self.burst, bucket.tokens + max(0.0, now - bucket.at) * self.per_second)
        bucket.at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self.per_second
        bucket.tokens -= 1
        return 0.0
