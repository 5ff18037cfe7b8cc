"""Log-in, log-out, sessions, the password and API tokens, as the API offers them."""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp_session import Session, get_session, new_session

from daemon.errors import RelayError, Transient
from daemon.service.doors import TOKEN_DAYS
from ui.access import fetched_by_another_site, origin_is_ours
from ui.api.errors import BadRequest, answer
from ui.identity import WHO
from ui.passwords import weakness
from ui.routes import Route
from ui.sessions import csrf_of, make_anonymous

if TYPE_CHECKING:
    from ui.doorkeeper import Doors
    from ui.identity import Who

log = logging.getLogger(__name__)

LARGEST = 8192
"""Bytes that a body here has at most."""
BODY_TIME = 10.0


class Handlers:
    """The handlers, over one :class:`Doors`."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    def routes(self) -> list[Route]:
        """Give the routes."""
        base = "/api/v1"
        return [
            Route("GET", f"{base}/session", self.who_am_i, "none"),
            # A log-in needs no token of a session that does not exist yet; it looks at Origin itself.
            Route("POST", f"{base}/session", self.log_in, "none", csrf=False),
            Route("DELETE", f"{base}/session", self.log_out, "none"),
            Route("GET", f"{base}/sessions", self.sessions, "admin"),
            Route("DELETE", f"{base}/sessions", self.log_out_everywhere, "admin"),
            Route("DELETE", f"{base}/sessions/{{id}}", self.end_session, "admin"),
            Route("PUT", f"{base}/password", self.set_password, "read"),
            Route("GET", f"{base}/tokens", self.tokens, "admin"),
            Route("POST", f"{base}/tokens", self.make_token, "admin"),
            Route("DELETE", f"{base}/tokens/{{id}}", self.remove_token, "admin"),
        ]

    # -- the session --------------------------------------------------------------------------------------------

    async def who_am_i(self, request: web.Request) -> web.Response:
        """Say who asks, and give the CSRF token for what they may do."""
        who: Who = request[WHO]
        session = await get_session(request)
        if who.kind != "token":
            make_anonymous(session)
        return self._session_answer(request, who, session)

    def _session_answer(self, request: web.Request, who: Who, session: Session) -> web.Response:
        doors = self._doors
        return web.json_response(
            {
                "authenticated": who.kind != "nobody",
                "csrf": "" if who.kind == "token" else csrf_of(session),
                "scope": who.scope,
                "password_set": bool(doors.password_hash()),
                "protection": doors.protection(),
                "can_set_password": doors.can_set_password,
                "address": who.address,
                "secure": doors.facts(request).secure,
            }
        )

    async def log_in(self, request: web.Request) -> web.Response:
        """Begin a session for whoever knows the password. Its id is always a new one (ASVS 7.2.4)."""
        doors, facts = self._doors, self._doors.facts(request)
        origin = request.headers.get("Origin")
        ours = origin is None or origin_is_ours(origin, facts.scheme, facts.host_header, doors.settings.ui)
        if not ours or fetched_by_another_site(request.headers.get("Sec-Fetch-Site")):
            return answer(403, "access.cross_site", "a log-in is taken from this page alone")
        password = _text(await _body(request), "password")
        phc = doors.password_hash()
        refusal = await self._try(request, password, phc)
        if refusal is not None:
            return refusal
        if phc != doors.password_hash():
            return _wrong()  # changed meanwhile
        old = request[WHO].session
        if old and request[WHO].kind == "session":
            await doors.registers().end(bytes.fromhex(old))
        who, session = await self._begin(request)
        await doors.registers().log_in(ok=True, who=who.audit, address=who.address)
        return self._session_answer(request, who, session)

    async def _try(self, request: web.Request, password: str, phc: str) -> web.Response | None:
        """Check a password within the throttle; give the refusal, or ``None`` where it is right."""
        doors, facts = self._doors, self._doors.facts(request)
        doors.line.not_too_long()
        key, wait = doors.begin_try(facts, await _device(request))
        if wait > 0:
            return _too_often(wait)
        right = await doors.line.matches(password, phc)
        if not phc:
            return answer(409, "session.no_password", "no password is set", "set one with `photon-relay password`")
        if not right:
            address = str(facts.address)
            log.warning("a log-in from %s failed", address)
            await doors.registers().log_in(ok=False, who=f"page {address}", address=address)
            return _wrong()
        doors.throttle.succeeded(key)
        return None

    async def _begin(self, request: web.Request) -> tuple[Who, Session]:
        """Begin a session in the register and in this answer's cookie."""
        doors, facts = self._doors, self._doors.facts(request)
        registers = doors.registers()
        device = await _device(request) or secrets.token_urlsafe(16)
        identity = await registers.begin(str(facts.address), request.headers.get("User-Agent", ""))
        session = await new_session(request)
        session["id"], session["epoch"], session["device"] = identity, registers.epoch, device
        live = registers.session(identity, registers.epoch)
        if live is None:
            raise Transient("session.ended", "the password was changed at this moment", retry_after=1.0)
        who = doors.who_of(facts, live.id_hash)
        request[WHO] = who
        return who, session

    async def log_out(self, request: web.Request) -> web.Response:
        """End this session, on the server and in the browser."""
        who: Who = request[WHO]
        if who.kind == "session" and who.session:
            await self._doors.registers().end(bytes.fromhex(who.session))
            await self._doors.registers().note("logout", who.audit)
            self._doors.tell_ended()
        await self._forget(request)
        return web.json_response({"authenticated": False})

    async def _forget(self, request: web.Request) -> None:
        """Take the session out of the cookie; that this browser has logged in before stays known."""
        device = await _device(request)
        session = await new_session(request)
        session.invalidate()
        if device:
            session["device"] = device

    async def sessions(self, request: web.Request) -> web.Response:
        """Give the live sessions."""
        who: Who = request[WHO]
        current = bytes.fromhex(who.session) if who.kind == "session" and who.session else None
        return web.json_response({"sessions": self._doors.registers().sessions(current)})

    async def log_out_everywhere(self, request: web.Request) -> web.Response:
        """End every session, this one too."""
        who: Who = request[WHO]
        ended = await self._doors.registers().end_all()
        await self._doors.registers().note("logout everywhere", who.audit, f"{ended} sessions")
        self._doors.tell_ended()
        if who.kind == "session":
            await self._forget(request)
        return web.json_response({"ended": ended})

    async def end_session(self, request: web.Request) -> web.Response:
        """End one session of the list."""
        registers = self._doors.registers()
        found = registers.named(request.match_info["id"])
        if found is None:
            return answer(404, "session.unknown", "there is no such session (any more)")
        await registers.end(found)
        await registers.note("session ended", request[WHO].audit)
        self._doors.tell_ended()
        return web.json_response({"ended": 1})

    # -- the password -------------------------------------------------------------------------------------------

    async def set_password(self, request: web.Request) -> web.Response:
        """Set or change the password; every other session ends, and the caller gets a new one."""
        doors, who = self._doors, request[WHO]
        body = await _body(request)
        new = _text(body, "password")
        if who.kind == "token":
            return answer(403, "token.not_here", "an API token cannot change the password", "log in on the page")
        if found := weakness(new):
            return answer(422, found.code, found.message, found.hint)
        if who.scope != "admin":
            refusal = self._try_code(request, _text(body, "code", ""), await _device(request))
        elif who.kind == "session":
            refusal = await self._try(request, _text(body, "current", ""), doors.password_hash())
        else:
            refusal = None
        if refusal is not None:
            return refusal
        phc = await doors.line.hash(new)
        await doors.write_password(phc, who)
        who, session = await self._begin(request)
        await doors.registers().note("password set", who.audit)
        return self._session_answer(request, who, session)

    def _try_code(self, request: web.Request, code: str, device: str) -> web.Response | None:
        doors, facts = self._doors, self._doors.facts(request)
        if not doors.can_set_password:
            return answer(403, "password.not_here", "the password cannot be set here", "use `photon-relay password`")
        key, wait = doors.begin_try(facts, device)
        if wait > 0:
            return _too_often(wait)
        if not doors.code_fits(code):
            log.warning("a wrong one-time code came from %s", facts.address)
            return answer(403, "password.code", "this is not the one-time code", "it stands in the daemon's log")
        doors.throttle.succeeded(key)
        return None

    # -- tokens -------------------------------------------------------------------------------------------------

    async def tokens(self, _request: web.Request) -> web.Response:
        """Give the API tokens, without their secrets."""
        return web.json_response({"tokens": self._doors.registers().tokens()})

    async def make_token(self, request: web.Request) -> web.Response:
        """Make an API token; it is shown this once."""
        who: Who = request[WHO]
        body = await _body(request)
        if who.kind == "token":
            return answer(403, "token.not_here", "an API token cannot make others", "log in on the page")
        name, scope = _text(body, "name"), _text(body, "scope", "read")
        days = body.get("days")
        days = TOKEN_DAYS if days is None else days
        if not isinstance(days, int) or isinstance(days, bool):
            raise BadRequest("request.invalid", "`days` must be a whole number")
        try:
            token, line = await self._doors.registers().new_token(name, scope, days, who.audit)
        except RelayError as error:
            return answer(422, error.code, error.message, error.hint)
        return web.json_response({"token": token, **line}, status=201)

    async def remove_token(self, request: web.Request) -> web.Response:
        """Remove an API token; what came in with it is shut out at once."""
        text = request.match_info["id"]
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            return answer(404, "token.unknown", "there is no such API token")
        if request[WHO].kind == "token":
            return answer(403, "token.not_here", "an API token cannot remove others", "log in on the page")
        await self._doors.registers().remove_token(int(text), request[WHO].audit)
        self._doors.tell_ended()
        return web.json_response({"removed": int(text)})


async def _body(request: web.Request) -> dict[str, Any]:
    """Give a small JSON object. Only as ``application/json``: no other site's form can send that."""
    if request.content_type != "application/json":
        raise BadRequest("request.media_type", "the body must be JSON (Content-Type: application/json)")
    if request.content_length is None or request.content_length > LARGEST:
        raise BadRequest("request.too_large", f"the body must not be longer than {LARGEST} bytes, and say its length")
    try:
        async with asyncio.timeout(BODY_TIME):
            body = await request.json()
    except TimeoutError:
        raise BadRequest("request.slow", "the request did not arrive in time") from None
    except (ValueError, RecursionError):
        raise BadRequest("request.malformed", "the body is not JSON") from None
    if not isinstance(body, dict):
        raise BadRequest("request.malformed", "the body must be a JSON object")
    return body


def _text(body: dict[str, Any], key: str, default: str | None = None) -> str:
    value = body.get(key, default)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise BadRequest("request.invalid", f"`{key}` must be a text")
    return value


async def _device(request: web.Request) -> str:
    found = (await get_session(request)).get("device")
    return found if isinstance(found, str) else ""


def _wrong() -> web.Response:
    return answer(401, "session.wrong_password", "the password is not right")


def _too_often(wait: float) -> web.Response:
    seconds = math.ceil(wait)
    headers = {"Retry-After": str(seconds)}
    return answer(429, "session.too_often", "too many wrong tries", f"wait {seconds} s and try again", **headers)
