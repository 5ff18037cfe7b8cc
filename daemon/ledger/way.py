"""A photo's way in a few bytes: one line a step, in the photo's own row.

A line is a letter for the state, the seconds since the photo was found, and what there is to say: ``r30.75 removed``.
That it was found is no line: the row tells when. A row of its own for each step took five times the bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from daemon.ledger.model import State

if TYPE_CHECKING:
    from collections.abc import Sequence

_LETTERS: Final = {
    State.FOUND: "f",
    State.SETTLED: "s",
    State.EXAMINED: "e",
    State.PLACED: "p",
    State.IMPORTED: "i",
    State.ARCHIVED: "a",
    State.RELEASED: "r",
    State.WAITING: "w",
    State.HELD: "h",
    State.DONE: "d",
    State.REFUSED: "x",
    State.RESTORED: "b",
}
_STATES: Final = {letter: state.value for state, letter in _LETTERS.items()}
_ONE: Final = " || ? || round(? - found_at, 3) || ?"
LONG: Final = 20_000
"""Characters from which on the middle of a way is left out: some hundred lines."""
_KEPT: Final = 40
_LEFT_OUT: Final = "…"


def line(state: State, at: float, note: str) -> Sequence[str | float]:
    """Give a step as the arguments that :func:`append` wants for it."""
    return f"\n{_LETTERS[state]}", at, f" {' '.join(note.splitlines())}" if note else ""


def append(count: int) -> str:
    """Give the assignment that appends ``count`` lines; :func:`line` gives the arguments of each."""
    return f"way = way{_ONE * count}"


def lines(found_at: float, way: str) -> list[dict[str, Any]]:
    """Give a way as it is told: time (seconds since the epoch), state and note of each step, oldest first."""
    told = [{"at": found_at, "state": State.FOUND.value, "note": ""}]
    for one in way.split("\n"):
        if one.startswith(_LEFT_OUT):
            told.append({**told[-1], "note": one.removeprefix(_LEFT_OUT)})
        elif one:
            after, _, note = one[1:].partition(" ")
            told.append({"at": found_at + float(after), "state": _STATES[one[0]], "note": note})
    return told


def shortened(way: str) -> str:
    """Give a way with its first and its last lines, and in between only how many lines are left out."""
    every = way.split("\n")[1:]
    first, middle, last = every[:_KEPT], every[_KEPT:-_KEPT], every[-_KEPT:]
    left_out = len(middle)
    if middle and middle[0].startswith(_LEFT_OUT):
        left_out += int(middle[0].removeprefix(_LEFT_OUT).split()[0]) - 1
    kept = [*first, f"{_LEFT_OUT}{left_out} lines like those around them are left out", *last] if middle else every
    return "".join(f"\n{one}" for one in kept)
