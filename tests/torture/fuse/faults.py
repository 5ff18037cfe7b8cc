"""Which calls fail or take long: rules, tried in their order at every call."""

from __future__ import annotations

import errno
import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

GROUPS = {
    "any": frozenset({
        "getattr", "readdir", "readlink", "open", "read", "statfs", "create", "mkdir", "unlink", "rmdir", "rename",
        "link", "symlink", "write", "truncate", "chmod", "chown", "utimens", "fsync", "fsyncdir", "flush",
    }),
    "growing": frozenset({"create", "mkdir", "link", "symlink", "write"}),
    "changing": frozenset({
        "create", "mkdir", "unlink", "rmdir", "rename", "link", "symlink", "write", "truncate", "chmod", "chown",
        "utimens",
    }),
    "syncing": frozenset({"fsync", "fsyncdir"}),
}  # fmt: skip
"""Words for several calls: what wants space (full, quota), what a read-only file system refuses, what syncs."""


@dataclass
class Rule:
    """Calls of these kinds on these paths fail with an error, or wait before they are done.

    ``calls`` is a list of call names and words of ``GROUPS``; ``path`` a pattern (``fnmatch``; ``*`` crosses slashes)
    for the path below the mount, without a leading slash, where a rename or link matches by either name. The rule acts
    from the ``first`` matching call on (counted from 1), for ``times`` calls (0: for ever), each with this ``chance``.
    ``errno`` is a name such as ``EIO``; empty means that the call only waits ``seconds``, before an error too.
    """

    calls: frozenset[str]
    path: str = "*"
    errno: str = ""
    seconds: float = 0.0
    first: int = 1
    times: int = 0
    chance: float = 1.0
    seed: int = 0
    met: int = 0
    acted: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    """Set when the rule is taken back: what it holds up goes on."""
    _dice: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self._dice.seed(self.seed)

    @classmethod
    def read(cls, wish: dict[str, Any]) -> Rule:
        """Make one from a request; ``calls`` may be one word."""
        words = wish.pop("calls", "any")
        calls: set[str] = set()
        for word in [words] if isinstance(words, str) else words:
            if word not in GROUPS["any"] and word not in GROUPS:
                raise ValueError(f"no such call: {word}")
            calls |= GROUPS.get(word, {word})
        if wish.get("errno"):
            getattr(errno, wish["errno"])
        return cls(frozenset(calls), **wish)

    def acts(self, call: str, paths: tuple[str, ...]) -> bool:
        """Tell whether it acts on this call, and count it."""
        if call not in self.calls or not any(fnmatchcase(path, self.path) for path in paths):
            return False
        self.met += 1
        if self.met < self.first or (self.times and self.acted >= self.times):
            return False
        if self.chance < 1 and self._dice.random() >= self.chance:
            return False
        self.acted += 1
        return True


class Faults:
    """All rules in force, and how often which call was made."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.free: int | None = None
        """What ``statfs`` tells as free, in bytes; ``None`` for the truth."""
        self._rules: dict[int, Rule] = {}
        self._lock = threading.Lock()
        self._next = 1

    def add(self, wish: dict[str, Any]) -> int:
        """Put a rule in force; gives the number by which it can be asked for and taken back."""
        with self._lock:
            number, self._next = self._next, self._next + 1
            self._rules[number] = Rule.read(wish)
            return number

    def remove(self, number: int | None) -> int:
        """Take a rule back, or all of them; tells how often they acted."""
        with self._lock:
            gone = [self._rules.pop(key) for key in ([number] if number else list(self._rules))]
            for rule in gone:
                rule.over.set()
            return sum(rule.acted for rule in gone)

    def acted(self, number: int | None) -> int:
        """Tell how often a rule, or all of them, acted until now."""
        with self._lock:
            return sum(self._rules[key].acted for key in ([number] if number else self._rules))

    def meet(self, call: str, *paths: str | None) -> None:
        """Wait or raise ``OSError`` where a rule says so."""
        known = tuple((path or "/").lstrip("/") for path in paths)
        with self._lock:
            self.calls[call] += 1
            acting = [rule for rule in self._rules.values() if rule.acts(call, known)]
        for rule in acting:
            if rule.seconds:
                rule.over.wait(rule.seconds)
            if rule.errno:
                raise OSError(getattr(errno, rule.errno), rule.errno)
