"""A stand-in for the ntfy server: real HTTP, behaving as its documentation says, limits and refusals included.

Limits (docs.ntfy.sh, Limitations): a message over 4,096 bytes becomes an attachment; 60 requests at once for each
visitor, refilled at one in 5 s, then 429 with code 42901; 250 messages a day, then 429 with code 42908. JSON bodies
over twice the message size are refused (41303). Wrong credentials give 401 (40101), too few rights 403 (40301).
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable

MESSAGE_SIZE = 4096
PRIORITIES = range(6)  # 0 is taken as not given
TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")
SEQUENCE = re.compile(r"[-_A-Za-z0-9]{1,64}")
LIMITS = "https://ntfy.sh/docs/publish/#limitations"
AUTHENTICATION = "https://ntfy.sh/docs/publish/#authentication"


class Refusal(Exception):
    """What the server answers instead of taking a message."""

    def __init__(self, status: int, code: int, error: str, link: str = "", **headers: str) -> None:
        super().__init__(error)
        self.status, self.headers = status, headers
        self.body = {"code": code, "http": status, "error": error} | ({"link": link} if link else {})


@dataclass
class NtfyStandIn:
    """One server on a free port of this machine; ``messages`` is what its subscribers have got."""

    token: str = ""
    user: str = ""
    password: str = ""
    anonymous: bool = True
    """May somebody without credentials write?"""
    burst: int = 60
    refill: float = 5.0
    """Seconds until one more request is allowed."""
    daily: int = 250
    attachments: bool = True
    retry_after: str = ""
    """What a proxy in front might say; the server itself says nothing."""
    updates: bool = True
    """False: a server before 2.16, which passes ``sequence_id`` over."""
    healthy: bool = True
    broken: int = 0
    """A status that every call is answered with, such as 502."""
    lose: int = 0
    """So many next messages are taken, but the answer is lost on the way."""
    now: Callable[[], float] = time.monotonic
    messages: list[dict[str, Any]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 20)
        app.router.add_get("/v1/health", self._health)
        app.router.add_post("/", self._publish)
        app.router.add_put("/", self._publish)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        port = int(self.url.rpartition(":")[2]) if self.url else 0
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.url = site.name if port else f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self._tokens, self._filled, self._today = float(self.burst), self.now(), 0
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def shown(self) -> list[dict[str, Any]]:
        """Give the notifications that a phone shows: one with the same sequence id takes the former's place."""
        found: dict[str, dict[str, Any]] = {}
        for message in self.messages:
            key = message.get("sequence_id") or message["id"]
            found.pop(key, None)
            found[key] = message
        return list(found.values())

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"healthy": self.healthy}, status=200 if self.healthy else 503)

    async def _publish(self, request: web.Request) -> web.Response:
        if self.broken:
            return web.Response(status=self.broken, text="<html>Bad Gateway</html>", content_type="text/html")
        try:
            self._visitor()
            self._authorised(request)
            message = self._message(await request.read())
        except Refusal as refusal:
            return web.json_response(refusal.body, status=refusal.status, headers=refusal.headers)
        self.messages.append(message)
        if self.lose:
            self.lose -= 1
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(message)

    def _visitor(self) -> None:
        now = self.now()
        self._tokens = min(float(self.burst), self._tokens + (now - self._filled) / self.refill)
        self._filled = now
        headers = {"Retry-After": self.retry_after} if self.retry_after else {}
        if self._tokens < 1:
            raise Refusal(429, 42901, "limit reached: too many requests", LIMITS, **headers)
        self._tokens -= 1
        if self._today >= self.daily:
            raise Refusal(429, 42908, "limit reached: daily message quota reached", LIMITS, **headers)

    def new_day(self) -> None:
        """Begin a new day: all may be used up once more."""
        self._today = 0

    def _authorised(self, request: web.Request) -> None:
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if not given:
            if not self.anonymous:
                raise Refusal(403, 40301, "forbidden", AUTHENTICATION)
            return
        pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        if not ((kind == "Bearer" and self.token and given == self.token) or (kind == "Basic" and given == pair)):
            raise Refusal(401, 40101, "unauthorized", AUTHENTICATION)

    def _message(self, body: bytes) -> dict[str, Any]:
        if len(body) > 2 * MESSAGE_SIZE:
            raise Refusal(413, 41303, "JSON body too large")
        try:
            given = json.loads(body)
            assert isinstance(given, dict)
        except (ValueError, AssertionError):
            raise Refusal(400, 40017, "invalid request: request body must be message JSON") from None
        self.requests.append(given)
        if not isinstance(given.get("topic"), str) or not TOPIC.fullmatch(given["topic"]):
            raise Refusal(400, 40009, "invalid request: topic invalid")
        priority = given.get("priority", 3)
        if not isinstance(priority, int) or priority not in PRIORITIES:
            raise Refusal(400, 40007, "invalid priority parameter")
        message = {
            "id": secrets.token_urlsafe(9)[:12],
            "time": int(time.time()),
            "event": "message",
            **{key: given[key] for key in ("topic", "title", "tags", "click", "icon") if key in given},
            "message": given.get("message") or "triggered",
            "priority": priority,
        }
        if given.get("markdown"):
            message["content_type"] = "text/markdown"
        if "actions" in given:
            message["actions"] = self._actions(given["actions"])
        if self.updates and "sequence_id" in given:
            if not SEQUENCE.fullmatch(given["sequence_id"]):
                raise Refusal(400, 40049, "invalid request: sequence ID invalid")
            message["sequence_id"] = given["sequence_id"]
        if len(message["message"].encode()) > MESSAGE_SIZE:
            if not self.attachments:
                raise Refusal(400, 40014, "invalid request: attachments not allowed")
            message["attachment"] = {"name": "attachment.txt", "size": len(message["message"].encode())}
            message["message"] = "You received a file: attachment.txt"
        self._today += 1
        return message

    def _actions(self, actions: Any) -> list[dict[str, Any]]:
        if not isinstance(actions, list) or len(actions) > 3:
            raise Refusal(400, 40018, "invalid request: actions invalid, only 3 actions allowed")
        for action in actions:
            known = isinstance(action, dict) and action.get("action") in {"view", "http", "broadcast", "copy"}
            if not known or not action.get("label") or (action["action"] in {"view", "http"} and not action.get("url")):
                raise Refusal(400, 40018, "invalid request: actions invalid")
        return [{"id": secrets.token_urlsafe(8)[:10], **action} for action in actions]
