"""The execs that the gate allowed: nobody can start or look at another one, and each is started once.

The engine hears of one only when it is started: it remembers what was made and never started for as long as the
container lives, so that somebody who makes thousands of them would fill its memory.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.gate.denied import Denied

if TYPE_CHECKING:
    from daemon.clock import Clock
    from daemon.docker.engine import Container
    from daemon.gate.bodies import Exec
    from daemon.gate.limits import Limits


@dataclass(slots=True)
class Made:
    """One exec: where, what, its id at the engine (empty before its start), how far it is; times are monotonic."""

    container: Container
    asked: Exec
    when: float
    engine_id: str = ""
    started: bool = False
    streaming: bool = False
    ended: bool = False
    left: float = 0.0
    """When its output ended, or its client went."""

    @property
    def what(self) -> str:
        """Say what it runs, for the log."""
        return f"{self.container.name} as {self.asked.user}: {' '.join(self.asked.argv)}"


class Execs:
    """Remembers them under ids of the gate's own, so that no id of the engine's means anything here."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._known: dict[str, Made] = {}

    def add(self, container: Container, asked: Exec) -> str:
        """Remember a new exec and give the id for it.

        Raises:
            Denied: 429, there are too many.

        """
        self._forget()
        while len(self._known) >= self._limits.known and (
            ended := [key for key in self._known if self._known[key].ended]
        ):
            del self._known[ended[0]]
        if len(self._known) >= self._limits.known:
            raise Denied("too many execs were made and not started", status=429)
        ours = secrets.token_hex(32)
        self._known[ours] = Made(container, asked, self._clock.monotonic())
        return ours

    def take(self, ours: str) -> Made:
        """Give an exec that is to be started now; no other call gives it again.

        Raises:
            Denied: it is not known, too old, or was started before.

        """
        made = self.look(ours)
        if made.started:
            raise Denied("this exec was started before")
        made.started = made.streaming = True
        return made

    def look(self, ours: str) -> Made:
        """Give an exec that may be asked for.

        Raises:
            Denied: it is not known, or too old.

        """
        self._forget()
        made = self._known.get(ours)
        if made is None:
            raise Denied("this exec is not known here")
        return made

    def left(self, made: Made, *, ended: bool) -> None:
        """Note that nobody listens to its output any more, and whether that is because it ended."""
        made.streaming = False
        made.ended = made.ended or ended
        made.left = self._clock.monotonic()

    def running(self) -> list[Made]:
        """List those that were started and are not known to have ended."""
        return [made for made in self._known.values() if made.started and not made.ended]

    def _forget(self) -> None:
        now = self._clock.monotonic()
        self._known = {ours: made for ours, made in self._known.items() if not self._is_old(made, now)}

    def _is_old(self, made: Made, now: float) -> bool:
        if not made.started:
            return now - made.when > self._limits.unstarted_seconds
        if made.streaming:
            return False
        # One that goes on without a listener is remembered, since it counts; it is asked for when there are many.
        return made.ended and now - made.left > self._limits.known_seconds
