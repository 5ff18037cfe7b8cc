"""How much was tried in this process, and what came of it."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LOST = "stand nowhere"
"""What a trial says of contents that are not to be found."""


@dataclass
class Counts:
    """Kills, power cuts, states of a disk that were looked at, faults injected; photos lost, done twice, other ends."""

    kills: int = 0
    cuts: int = 0
    states: int = 0
    faults: int = 0
    lost: int = 0
    twice: int = 0
    otherwise: int = 0

    def any(self) -> bool:
        """Tell whether anything was counted."""
        return any(astuple(self))

    def found(self, faults: Sequence[str]) -> None:
        """Count what one trial has found wrong."""
        lost = any(LOST in fault for fault in faults)
        twice = any("twice" in fault or fault.startswith("places: found") for fault in faults)
        self.lost += lost
        self.twice += twice
        self.otherwise += bool(faults) and not lost and not twice

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.cuts} power cuts, {self.states} states of a disk looked at,"
            f" {self.faults} faults injected: photos lost {self.lost}, done twice {self.twice}, other ends"
            f" {self.otherwise}"
        )


COUNTS = Counts()
