"""What every part of the benchmark is told: where to work, how long, and where to put a word for people."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Bench:
    """One run. ``root`` is a folder of its own; ``quick`` asks for the short form: smaller, rougher, soon over.

    ``rounds`` is how many interleaved runs a median is taken of, in the long form.
    """

    root: Path
    quick: bool = False
    rounds: int = 5

    def of(self, whole: int, quick: int) -> int:
        """Give the size for this run."""
        return quick if self.quick else whole

    @property
    def runs(self) -> int:
        """Give how many interleaved runs there are to be."""
        return min(self.rounds, 3) if self.quick else self.rounds

    def note(self, text: str) -> None:
        """Tell people, beside the table, what is going on or what was seen besides."""
        print(text, file=sys.stderr, flush=True)
