"""Words and names as people may safely see them: file names are whatever a user made them."""

from __future__ import annotations

import unicodedata


def shown(name: str, limit: int = 200) -> str:
    r"""Give a file name for a log line or a message: one line, no control characters, nothing undecodable.

    Names come from users: a newline would forge a log line, an escape sequence would write to the terminal, and a
    lone surrogate (a byte that is not UTF-8, see ``os.fsdecode``) cannot be encoded at all.
    """
    text = name if name.isprintable() else _escaped(name)
    return text if len(text) <= limit else text[: limit // 2 - 1] + "…" + text[-limit // 2 :]


def _escaped(name: str) -> str:
    out = []
    for char in name:
        if "\udc80" <= char <= "\udcff":
            out.append(f"\\x{ord(char) - 0xDC00:02x}")
        elif unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"}:
            out.append(f"\\u{ord(char):04x}")
        else:
            out.append(char)
    return "".join(out)


def size_in_words(size: int) -> str:
    """Give a number of bytes the way people read it: ``3.2 MiB``."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def span_in_words(seconds: float) -> str:
    """Give a length of time the way people read it: ``4 min``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min" if not rest or minutes >= 10 else f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} days"


def count_in_words(count: int, noun: str) -> str:
    """Give ``1 photo`` or ``7 photos``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
