"""Who comes in: sessions, the password, API tokens. Served by the doors; described here with everything else."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ui.api.shapes.common import Shape, Time, Wish


class SessionAnswer(Shape):
    """Who asks, and what they may do."""

    authenticated: bool
    csrf: str = Field(description="send it back as `X-CSRF-Token` with whatever changes something")
    scope: Literal["none", "read", "control", "admin"]
    password_set: bool
    protection: Literal["password", "list", "open", "loopback", "none"]
    can_set_password: bool
    address: str
    secure: bool


class LoginWish(Wish):
    """The password."""

    password: str = Field(max_length=1024)


class PasswordWish(Wish):
    """A new password; with the one there was, or with the one-time code in the log where there was none."""

    password: str = Field(max_length=1024)
    current: str | None = Field(default=None, max_length=1024)
    code: str | None = Field(default=None, max_length=100)


class SessionsAnswer(Shape):
    """Everyone who is logged in."""

    sessions: list[dict[str, Any]]


class Token(Shape):
    """An API token; what it is itself is kept nowhere."""

    id: int
    name: str
    scope: Literal["read", "control", "admin"]
    created_at: Time | None
    expires_at: Time | None
    used_at: Time | None
    used_from: str | None
    expired: bool


class TokensAnswer(Shape):
    """All API tokens."""

    tokens: list[Token]


class TokenWish(Wish):
    """A new API token."""

    name: str = Field(min_length=1, max_length=80)
    scope: Literal["read", "control", "admin"] = "read"
    days: int = Field(default=365, ge=1, le=3650)


class NewToken(Token):
    """A new API token, with its secret for the only time."""

    token: str


class LoggedOut(Shape):
    """Nobody is logged in any more."""

    authenticated: Literal[False]


class Ended(Shape):
    """How many sessions have ended."""

    ended: int


class Removed(Shape):
    """Which token was removed."""

    removed: int
