"""A page with real doors on loopback: the real registers over a real ledger, real sockets, a clock that can be set."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import aiohttp
from aiohttp import web

from daemon.clock import Clock
from daemon.events import Bus
from daemon.ledger.ledger import Ledger
from daemon.service.doors import Registers
from daemon.settings import Settings
from daemon.wake import Wake
from ui import security
from ui.api.errors import errors
from ui.doors import WHO, Doors, middlewares, routes
from ui.routes import Route, mount

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator
    from pathlib import Path

    from daemon.service import Service

PASSWORD = "correct horse battery"
HASH = "$argon2id$v=19$m=19456,t=2,p=1$ShMOiuFDErIuuNrQVa7e3Q$yzsC4NvIGbjmBCelJBXWjH0oTdOTlY5XM8I5RIBwGIM"
HOME = "192.168.1.50"
"""A device in the house; it comes through the proxy on loopback."""
LAN: dict[str, Any] = {"listen": "0.0.0.0:8080", "trusted_proxies": ["127.0.0.1"]}
"""A page that others reach; the tests' own connection is its trusted proxy, so that they can come from anywhere."""


class SetClock(Clock):
    """Time that passes only when it is told to, on top of the real one."""

    ahead = 0.0

    def wall(self) -> float:
        return super().wall() + self.ahead

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


class Config:
    """What the configuration does for a password: the settings in force get it, a moment later."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.written: list[tuple[str, str]] = []

    async def set_password_hash(self, phc: str, who: str) -> None:
        self.written.append((phc, who))


@dataclass
class Answer:
    status: int
    headers: Any
    text: str
    cookies: dict[str, str] = field(default_factory=dict)
    set_cookie: list[str] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


class World:
    """The page, and who calls it."""

    def __init__(self, state: Path, **ui: Any) -> None:
        self.state = state
        self.clock = SetClock()
        self.ledger = Ledger(str(state))
        self.bus = Bus()
        self.settings = settings(**ui)
        self.config = Config(self)
        self.up = True
        self.restarted()
        self.changed = Wake()
        self.doors = Doors(self.service, lambda: self.settings, self.clock, str(state), self.changed)
        self.seen: list[str] = []
        self.port = 0
        self.sockets = AsyncExitStack()
        self.scheme = "http"

    def restarted(self) -> None:
        """The daemon's parts are built anew over the same ledger."""
        self.registers = Registers(self.ledger, self.bus, self.clock)
        self._service = SimpleNamespace(doors=self.registers, config=self.config)

    def service(self) -> Service | None:
        return cast("Service", self._service) if self.up else None

    def set(self, **ui: Any) -> None:
        """Change settings while it runs, of which the daemon tells whoever waits for that."""
        self.settings = settings(**ui)
        self.changed.set()

    def application(self) -> web.Application:
        app = web.Application(middlewares=[errors, *middlewares(self.doors)], client_max_size=1 << 20)
        app.on_response_prepare.append(security.hardening(self.doors.wants_hsts))

        async def answer(request: web.Request) -> web.Response:
            self.seen.append(f"{request.method} {request.path}")
            body = await request.read()
            who = request[WHO]
            return web.json_response({"kind": who.kind, "scope": who.scope, "address": who.address, "body": len(body)})

        async def live(request: web.Request) -> web.StreamResponse:
            self.seen.append("live")
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            who = request[WHO]

            def look() -> None:
                code = self.doors.verdict(who)
                if code:
                    closing.append(asyncio.ensure_future(socket.close(code=code)))

            closing: list[Any] = []
            self.doors.on_end(look)
            await socket.send_str("hello")
            async for _ in socket:
                pass
            await asyncio.gather(*closing)
            return socket

        mount(app, routes(self.doors))
        mount(
            app,
            [
                Route("GET", "/healthz", answer, "none"),
                Route("GET", "/metrics", answer, "read"),
                Route("GET", "/static/app.js", answer, "none"),
                Route("GET", "/", answer, "none"),
                Route("GET", "/api/v1/status", answer, "read"),
                Route("POST", "/api/v1/pause", answer, "control"),
                Route("PUT", "/api/v1/config", answer, "admin"),
                Route("POST", "/api/v1/act/{token}", answer, "none", csrf=False),
                Route("GET", "/api/v1/live", live, "read"),
            ],
        )
        app.router.add_get("/api/v1/forgotten", answer)
        return app

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def served(self, context: ssl.SSLContext | None = None) -> AsyncIterator[World]:
        self.scheme = "https" if context else "http"
        runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=0.5, auto_decompress=False)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await self.sockets.aclose()
            await runner.cleanup()
            self.ledger.close()

    def caller(self, address: str = "", **headers: str) -> Caller:
        return Caller(self, address, headers)

    async def raw(self, request: bytes, seconds: float = 5.0) -> bytes:
        """Send bytes as they are and give all that comes back."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            async with asyncio.timeout(seconds):
                return await reader.read(65536)
        finally:
            writer.close()


class Caller:
    """A browser or a program: it keeps its cookies and its CSRF token, and may come from anywhere by the proxy."""

    def __init__(self, world: World, address: str, headers: dict[str, str]) -> None:
        self.world = world
        self.address = address
        self.headers = headers
        self.cookies: dict[str, str] = {}
        self.csrf = ""

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        headers = {**({"X-Forwarded-For": self.address} if self.address else {}), **self.headers}
        headers |= {name.replace("_", "-"): value for name, value in more.pop("headers", {}).items()}
        if self.csrf and "X-CSRF-Token" not in headers:
            headers["X-CSRF-Token"] = self.csrf
        if self.cookies and "Cookie" not in headers:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body is not None:
            more["json"] = body
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.request(method, self.world.url + path, headers=headers, ssl=False, **more) as answer,
        ):
            text = await answer.text()
            found = Answer(answer.status, answer.headers, text, {}, answer.headers.getall("Set-Cookie", []))
            for name, morsel in answer.cookies.items():
                found.cookies[name] = morsel.value
                if morsel.value:
                    self.cookies[name] = morsel.value
                else:
                    self.cookies.pop(name, None)
            return found

    async def get(self, path: str, **more: Any) -> Answer:
        return await self.ask("GET", path, **more)

    async def greet(self) -> Answer:
        """Ask who I am, as the page does first, and keep the CSRF token."""
        found = await self.get("/api/v1/session")
        self.csrf = found.json["csrf"]
        return found

    async def log_in(self, password: str = PASSWORD) -> Answer:
        found = await self.ask("POST", "/api/v1/session", {"password": password})
        if found.status == 200:
            self.csrf = found.json["csrf"]
        return found


def settings(**ui: Any) -> Settings:
    ui = {"listen": "127.0.0.1:8080"} | ui
    return Settings.model_validate({"ui": ui})
