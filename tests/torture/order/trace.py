"""What ``strace -f -y`` wrote: each call with the paths it is about, and when it began and ended."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_CALLS = (
    "openat", "write", "pwrite64", "writev", "copy_file_range", "ioctl", "ftruncate", "fsync", "fdatasync", "syncfs",
    "rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat",
)  # fmt: skip
_DONE = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+)(.*)")
_BEGUN = re.compile(r"(\d+) +(\w+)\((.*) <unfinished \.\.\.>")
_ENDED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (-?\d+)(.*)")
_PATHS = re.compile(r'(?P<fd>(?:\d+|AT_FDCWD)<(?P<open>(?:[^<>\\]|\\.)*)>)|"(?P<text>(?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\([0-7]{1,3}|x[0-9a-f]{2}|.)")
_LETTERS = {"n": b"\n", "t": b"\t", "r": b"\r", "v": b"\v", "f": b"\f"}


@dataclass(frozen=True, slots=True)
class Call:
    """One call that succeeded: its paths in their order, and the lines at which it began and ended."""

    name: str
    paths: tuple[str, ...]
    begun: int
    ended: int
    words: str

    @property
    def writes(self) -> bool:
        """Tell whether it changes the bytes of its last path."""
        return self.name in {"write", "pwrite64", "writev", "copy_file_range", "ftruncate"} or (
            self.name == "ioctl" and "CLONE" in self.words
        )

    @property
    def syncs(self) -> bool:
        """Tell whether it makes something durable."""
        return self.name in {"fsync", "fdatasync", "syncfs"}

    @property
    def moves(self) -> bool:
        """Tell whether it gives a file another name."""
        return self.name.startswith("rename")

    @property
    def names(self) -> bool:
        """Tell whether it gives a file a name that it had not."""
        return self.moves or self.name.startswith("link")

    def takes_away(self, path: str) -> bool:
        """Tell whether a name is gone after it."""
        return (self.moves or self.name.startswith("unlink")) and self.paths[0] == path


def traced(argv: Sequence[str], output: Path, **options: object) -> tuple[int, list[Call]]:
    """Run a command under ``strace`` and give its exit code and its calls, those of its children too."""
    strace = ["strace", "-f", "-y", "-qq", "-s", "600", "-e", f"trace={','.join(_CALLS)}", "-o", str(output), *argv]
    ran = subprocess.run(strace, check=False, **options)  # type: ignore[call-overload]
    with output.open(encoding="latin-1") as lines:
        return ran.returncode, sorted((call for call in read(lines) if call.paths), key=lambda call: call.ended)


def read(lines: Iterator[str]) -> Iterator[Call]:
    """Read the calls that succeeded."""
    begun: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(lines):
        if match := _BEGUN.match(line):
            begun[match[1]] = (number, match[3])
        elif match := _ENDED.match(line):
            start, words = begun.pop(match[1])
            if int(match[4]) >= 0:
                yield _call(match[2], words + match[3], match[5], start, number)
        elif (match := _DONE.match(line)) and int(match[4]) >= 0:
            yield _call(match[2], match[3], match[5], number, number)


def _call(name: str, words: str, answer: str, begun: int, ended: int) -> Call:
    if name == "openat":
        words = f"3{answer}" if "O_CREAT" in words else ""
    elif name in {"write", "pwrite64", "writev"}:
        words = words.partition('"')[0].partition("[")[0]
    paths: list[str] = []
    folder = ""
    for match in _PATHS.finditer(words):
        if match["fd"]:
            if name.endswith("at") or name == "renameat2":
                folder = _plain(match["open"])
            if name not in {"renameat", "renameat2", "linkat", "unlinkat"}:
                paths.append(_plain(match["open"]))
        else:
            text = _plain(match["text"])
            paths.append(text if text.startswith("/") else f"{folder}/{text}")
    return Call(name, tuple(paths), begun, ended, words)


def _plain(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        found = match[1]
        if found[0] in "01234567":
            return chr(int(found, 8))
        if found[0] == "x" and len(found) == 3:
            return chr(int(found[1:], 16))
        return _LETTERS.get(found, found.encode()).decode()

    return _ESCAPE.sub(one, text).encode("latin-1").decode(errors="surrogateescape").removesuffix(" (deleted)")
