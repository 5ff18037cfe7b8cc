"""How much, how many, how long: what one client may ask of the gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.clock import Clock


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds, rates for a second; far above what one daemon needs."""

    connections: int = 32
    requests_rate: float = 100.0
    """The daemon asks for an exit code twenty times a second, for five seconds at most."""
    requests_burst: int = 400
    lists_rate: float = 10.0
    """Each costs the engine a look at all its containers; the daemon asks when it does not know which one is meant."""
    lists_burst: int = 60
    creates_rate: float = 5.0
    """One ``occ`` at a time, of half a second at least."""
    creates_burst: int = 40
    running: int = 8
    """Commands at once. One that outlived the daemon's patience goes on in the container and counts until it ends."""
    head_bytes: int = 8 * 1024
    create_bytes: int = 64 * 1024
    start_bytes: int = 1024
    request_seconds: float = 10.0
    """From the connection to the last byte of the request."""
    engine_seconds: float = 30.0
    """For each request to the engine; the output of a command has ``exec_seconds``."""
    write_seconds: float = 60.0
    """In which a client must take what it is sent."""
    exec_seconds: float = 4 * 3600.0
    output_bytes: int = 64 * 1024 * 1024
    output_rate: float = 16 * 1024 * 1024
    unstarted_seconds: float = 60.0
    """An exec that was made and not started is unknown after that."""
    known_seconds: float = 120.0
    """One whose output has ended can be asked for its exit code for that long."""
    known: int = 256
    """Execs that are remembered."""
    passwd_seconds: float = 60.0
    """For so long it is believed who a user name is in a container."""


class Bucket:
    """A token bucket: ``burst`` at once, then ``rate`` a second."""

    def __init__(self, rate: float, burst: int, clock: Clock) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._when = clock.monotonic()

    def take(self) -> bool:
        """Take one token; false where there is none."""
        now = self._clock.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._when) * self._rate)
        self._when = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
