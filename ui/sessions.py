"""The cookie: sealed, and worth nothing without its line in the daemon's register of live sessions.

aiohttp-session's own encrypted cookie sets neither ``SameSite`` nor ``Secure``, knows no time limit of its own and
stays valid after a log-out (its issue 325). So this storage puts only a random id and the epoch into the cookie.
ASVS 5.0: 3.3.1 to 3.3.4.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import warnings
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp_session import AbstractStorage, Session, SessionData
from cryptography.fernet import InvalidToken, MultiFernet

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.clock import Clock
    from ui.identity import Facts

# aiohttp-session keeps its own things in a request under plain texts, which aiohttp warns of once.
warnings.filterwarnings("ignore", category=web.NotAppKeyWarning, module="aiohttp_session")

PLAIN = "photon-relay"
SECURE = f"__Host-{PLAIN}"
"""Browsers take a cookie of such a name only over https, for this host alone and with the path ``/``."""
LIFE = 30 * 86400
LONGEST_COOKIE = 2048


class Cookies(AbstractStorage):
    """Seals sessions into cookies; whether such a session still lives is not for the cookie to say."""

    def __init__(self, keys: Callable[[], MultiFernet], facts: Callable[[web.Request], Facts], clock: Clock) -> None:
        super().__init__(cookie_name=PLAIN, httponly=True, samesite="Strict", path="/")
        self._keys = keys
        self._facts = facts
        self._clock = clock

    async def load_session(self, request: web.Request) -> Session:
        """Give what a request's cookie holds; a new session where there is none, or one that is not ours."""
        sealed = request.cookies.get(SECURE if self._facts(request).secure else PLAIN)
        if not sealed or len(sealed) > LONGEST_COOKIE:
            return await self.new_session()
        try:
            # Without its padding, which would have to stand in quotes in a cookie.
            padded = sealed.encode() + b"=" * (-len(sealed) % 4)
            opened = self._keys().decrypt_at_time(padded, ttl=LIFE, current_time=int(self._clock.wall()))
            found = json.loads(opened)
        except (InvalidToken, ValueError):
            return await self.new_session()
        if not isinstance(found, dict):
            return await self.new_session()
        data: SessionData = {"created": int(found.pop("at", 0)), "session": found}
        return Session(None, data=data, new=False)

    async def save_session(self, request: web.Request, response: web.StreamResponse, session: Session) -> None:
        """Put a session into the answer's cookie; an empty one takes the cookie away."""
        secure = self._facts(request).secure
        name = SECURE if secure else PLAIN
        if session.empty:
            response.del_cookie(name, path="/", secure=secure, httponly=True, samesite="Strict")
            return
        content = json.dumps({**session, "at": session.created}).encode()
        sealed = self._keys().encrypt_at_time(content, int(self._clock.wall())).decode().rstrip("=")
        # Who never logged in needs the cookie only for as long as the browser is open.
        life = LIFE if "id" in session or "device" in session else None
        response.set_cookie(
            name, sealed, max_age=life, path="/", secure=secure or None, httponly=True, samesite="Strict"
        )


def secret_of(session: Session) -> str:
    """Give what a session's CSRF token is made from, empty for one that has nothing yet."""
    found = session.get("id") or session.get("anonymous")
    return found if isinstance(found, str) else ""


def make_anonymous(session: Session) -> None:
    """Give a session an id that stands in no register: it binds a CSRF token to this browser, and nothing else."""
    if not secret_of(session):
        session["anonymous"] = secrets.token_urlsafe(32)


def csrf_of(session: Session) -> str:
    """Give the CSRF token that belongs to a session; nobody without its cookie's content can make it."""
    mac = hmac.digest(secret_of(session).encode(), b"photon-relay csrf", "sha256")
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")


def csrf_fits(session: Session, given: str) -> bool:
    """Tell whether this is the session's CSRF token."""
    if not secret_of(session):
        return False
    return hmac.compare_digest(csrf_of(session).encode(), given.encode("utf-8", "surrogateescape"))
