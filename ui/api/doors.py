"""What the doors and the live hub serve, described for the document."""

from __future__ import annotations

from ui.api.operations import Operation
from ui.api.shapes.common import Query, Whole
from ui.api.shapes.doors import (
    Ended,
    LoggedOut,
    LoginWish,
    NewToken,
    PasswordWish,
    Removed,
    SessionAnswer,
    SessionsAnswer,
    TokensAnswer,
    TokenWish,
)


class LiveQuery(Query):
    """Where to go on."""

    since: Whole | None = None


OPERATIONS = (
    Operation(
        "GET",
        "/live",
        "read",
        "WebSocket: a snapshot, then numbered changes; `since` is the last number seen before a break.",
        status=101,
        query=LiveQuery,
    ),
    Operation("GET", "/session", "none", "Who am I, and the CSRF token.", answer=SessionAnswer),
    Operation("POST", "/session", "none", "Log in.", answer=SessionAnswer, body=LoginWish, refuses=(409,)),
    Operation("DELETE", "/session", "none", "Log out.", answer=LoggedOut),
    Operation("GET", "/sessions", "admin", "Who is logged in.", answer=SessionsAnswer),
    Operation("DELETE", "/sessions", "admin", "Log out everywhere.", answer=Ended),
    Operation("DELETE", "/sessions/{id}", "admin", "End one session.", answer=Ended, id_kind="text"),
    Operation(
        "PUT",
        "/password",
        "read",
        "Set or change the password; every other session ends.",
        answer=SessionAnswer,
        body=PasswordWish,
        refuses=(409,),
    ),
    Operation("GET", "/tokens", "admin", "API tokens, without their secrets.", answer=TokensAnswer),
    Operation(
        "POST",
        "/tokens",
        "admin",
        "Make an API token; it is shown this once.",
        answer=NewToken,
        status=201,
        body=TokenWish,
    ),
    Operation("DELETE", "/tokens/{id}", "admin", "Remove an API token at once.", answer=Removed),
)
