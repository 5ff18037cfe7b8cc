"""Where each value came from, so that a fault names the line of the file or the variable that is to be mended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from daemon.settings.document import in_words
from daemon.text import shown

if TYPE_CHECKING:
    from daemon.settings.document import KeyPath


@dataclass(frozen=True)
class Fault:
    """Something wrong, or unwise, at a key; ``about`` has other keys that play a part, to find a line by."""

    path: KeyPath
    message: str
    about: tuple[KeyPath, ...] = ()
    where: str = ""
    """The place in words, if it is not that of a key."""


@dataclass
class Origins:
    """The lines and variables that values came from."""

    file: str
    lines: dict[KeyPath, int]
    variables: dict[KeyPath, str] = field(default_factory=dict)
    files: dict[KeyPath, str] = field(default_factory=dict)

    def forget(self, path: KeyPath) -> None:
        """Forget where the value at this path, and all below it, stood: something else takes its place."""
        for old in [old for old in self.lines if old[: len(path)] == path]:
            del self.lines[old]

    def read_from(self, path: KeyPath, key: KeyPath, file: str) -> None:
        """Note that the value at ``path`` was read from a file that ``key`` names."""
        if key in self.variables:
            self.variables[path] = self.variables[key]
        elif key in self.lines:
            self.lines[path] = self.lines[key]
        self.files[path] = file

    def elsewhere(self) -> dict[KeyPath, str]:
        """Give the keys whose value does not stand in the settings file, each with from where in words."""
        found = {path: f"environment variable {shown(name)}" for path, name in self.variables.items()}
        return found | {path: f"file {shown(name)}" for path, name in self.files.items()}

    def lines_for(self, faults: list[Fault]) -> list[str]:
        """Give a printable line for each fault, variables first, then in the order of the file."""
        return [self.line(fault) for fault in sorted(faults, key=lambda fault: self._place(fault)[1])]

    def line(self, fault: Fault) -> str:
        """Give the printable line: ``file:line: key: what is wrong``, or with the variable's name in front."""
        where, _ = self._place(fault)
        source = next((name for path, name in self.files.items() if fault.path[: len(path)] == path), "")
        message = f"{fault.message} (read from {shown(source)})" if source else fault.message
        return ": ".join(part for part in (where, in_words(fault.path), message) if part)

    def _place(self, fault: Fault) -> tuple[str, int]:
        """Give the place of a fault in words, and its line, 0 for a variable."""
        if fault.where:
            return fault.where, 0
        written = (path for path in (fault.path, *fault.about) if path in self.lines or path in self.variables)
        path = next(written, fault.path)
        for length in range(len(path), 0, -1):
            part = path[:length]
            if part in self.variables:
                return f"environment variable {shown(self.variables[part])}", 0
            if part in self.lines:
                return f"{self.file}:{self.lines[part]}", self.lines[part]
        return f"{self.file}:1", 1
