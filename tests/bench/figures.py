"""One row of the table: a figure, what it is to be, what was measured, and beside what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADS = ("figure", "goal", "measured", "ratio", "against", "runs", "")


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured, in ``unit``, beside a rival's or a limit's value in the same unit, and the ratio of the two.

    ``goal`` is that ratio: at most so much, or with ``least`` at least so much. A rival is named in ``against`` and
    was measured in the same run; where ``against`` is empty, ``beside`` is a plain limit and the goal is to keep it.
    ``runs``: of how many interleaved runs the values are medians.
    """

    name: str
    measured: float
    unit: str
    beside: float
    against: str = ""
    goal: float = 1.0
    least: bool = False
    runs: int = 1

    @property
    def ratio(self) -> float:
        """Give measured by beside; measured itself where beside is nothing at all."""
        return self.measured / self.beside if self.beside else self.measured

    @property
    def kept(self) -> bool:
        """Tell whether the goal is reached; a limit of nothing is kept by nothing only."""
        if not self.beside:
            return self.least or self.measured <= 0
        return self.ratio >= self.goal if self.least else self.ratio <= self.goal

    def cells(self) -> tuple[str, ...]:
        """Give the row's words, as many as there are heads."""
        bound = "at least" if self.least else "at most"
        limit = f"{self.goal:.3g} x" if self.against else _value(self.beside * self.goal, self.unit)
        return (
            self.name,
            f"{bound} {limit}",
            _value(self.measured, self.unit),
            f"{self.ratio:.2f}" if self.beside else "",
            f"{self.against}: {_value(self.beside, self.unit)}" if self.against else "the limit",
            str(self.runs),
            "ok" if self.kept else "SHORT",
        )


def table(figures: Sequence[Figure]) -> str:
    """Give the rows as a table in Markdown, its columns aligned for the eye too."""
    rows = [HEADS, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def _value(value: float, unit: str) -> str:
    """Give a value with three figures that count; ``%`` values are shares of one."""
    if unit == "%":
        return f"{value * 100:.3g} %"
    digits = max(0, 2 - len(str(int(abs(value)))) + 1) if value else 0
    return f"{value:,.{digits}f} {unit}".rstrip()
