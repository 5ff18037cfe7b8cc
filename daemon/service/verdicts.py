"""A preview's sentences, one for each file, summed up by what would happen and why."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Final

_CODE = re.compile(r"\[([a-z_]+\.[a-z_]+)\]$")
_IN_WORDS: Final = {
    "file.empty": "it is empty",
    "file.encrypted": "it is encrypted by Nextcloud",
    "file.changed": "it changes just now",
    "file.vanished": "it was taken away meanwhile",
    "file.link": "it is a link",
    "file.too_large": "it is too large",
    "media.mismatch": "it is not what its name says",
    "photo.put_back": "it was put back on request",
    "photo.kept": "it was relayed before and kept",
}
_ORDER: Final = ("would_move", "duplicate", "would_stay", "refused", "known")


class Verdicts:
    """Counts of what was said, by verdict and reason."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, words: str) -> None:
        """Take in what was said of one file."""
        self._counts[verdict(words)] += 1

    def by_reason(self) -> list[dict[str, Any]]:
        """Give each verdict and reason with how many files, what would move first."""
        ordered = sorted(self._counts.items(), key=lambda one: (_ORDER.index(one[0][0]), -one[1], one[0][1]))
        return [{"verdict": kind, "words": words, "count": count} for (kind, words), count in ordered]


def verdict(words: str) -> tuple[str, str]:
    """Give verdict and reason, the same for all files of which the same holds: no name stands in them."""
    if words.startswith("known already: "):
        return "known", words.partition(" (")[0]
    if words.startswith("is a duplicate"):
        return "duplicate", "the archive has it already"
    if words.startswith("would be relayed"):
        return "would_move", "would be relayed"
    code = _CODE.search(words)
    if code is None:
        return "would_stay", words.removeprefix("would stay: ")
    return "refused", _IN_WORDS.get(code[1], code[1])
