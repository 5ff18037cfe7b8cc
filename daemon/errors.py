"""What can go wrong, as a small tree of its own.

Each error carries a stable ``code`` (``area.fault``), a sentence for people, a hint what the person can do, and the
context as plain values. The page, ntfy, the API and the log all show the same code. Secrets never go into an error.
"""

from __future__ import annotations

from typing import Any


class RelayError(Exception):
    """Something the program has a word for; every other exception is a fault of the program itself."""

    def __init__(self, code: str, message: str, *, hint: str = "", **context: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.context = context

    def as_dict(self) -> dict[str, str]:
        """Give the error the way the API and the control socket hand it out: code, message, hint."""
        return {"code": self.code, "message": self.message, "hint": self.hint}

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"


class Transient(RelayError):
    """Raised for what passes by itself: the work is tried again, after ``retry_after`` seconds at the earliest."""

    def __init__(
        self, code: str, message: str, *, hint: str = "", retry_after: float | None = None, **context: Any
    ) -> None:
        super().__init__(code, message, hint=hint, **context)
        self.retry_after = retry_after


class NeedsPerson(RelayError):
    """Raised for what no waiting mends; the hint says what the person can do. Nothing is deleted meanwhile."""


class Refused(RelayError):
    """Raised for a file that will not be moved, now or later, and why. It stays where its owner put it."""


class ConfigError(RelayError):
    """Raised for a configuration that cannot be used; ``faults`` has one printable line for each thing wrong."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("config.invalid", "; ".join(faults) or "the configuration is not valid")
        self.faults = faults
