# ruff: noqa: PTH108, PTH118
"""A stand-in for PhotoPrism: its HTTP and WebSocket API over a real import and originals tree, traps included.

In a test: ``async with PhotoPrismStandIn(import_dir, originals_dir, token="…") as pp: pp.url``; switches are
``pp.traps``, what happened is in ``pp.imports``, ``pp.indexes``, ``pp.calls`` and ``pp.rows``. As a process:
``python -m tests.standins.photoprism --import DIR --originals DIR --token T --port N [--db FILE]``, driven through
``GET`` and ``POST /_control``. Needs nothing but aiohttp, so that it can be copied into a container.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from tests.standins.photoprism_import import CrashedError, Library, alter
from tests.standins.photoprism_rows import FileRow, Rows
from tests.standins.photoprism_rules import user_path
from tests.standins.photoprism_traps import Traps

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TOKEN_BURST, TOKEN_SECONDS = 60, 10.0
LOGIN_BURST = 10
BROKEN_ICON = '<svg xmlns="http://www.w3.org/2000/svg"/>'
THUMBNAILS = {"tile_50", "tile_100", "tile_224", "tile_500", "fit_720"}
COMPLETED = {"en": "{} completed in {} s", "de": "{} in {} s abgeschlossen"}


@dataclass(frozen=True)
class Session:
    """What a token may do: its scope (as ``auth add -s`` takes it), its role, and whether a user stands behind it."""

    scope: str = "files photos"
    role: str = "admin"
    user: bool = True
    ends_in: int = -1

    def covers(self, resource: str) -> bool:
        """Say whether the scope includes a resource."""
        return self.scope == "*" or resource in self.scope.split()


def thumbnail_of(sha1: str) -> bytes:
    """Give what the stand-in hands out as a picture of a content: enough of a JPEG to be taken for one."""
    return b"\xff\xd8\xff\xe0" + sha1.encode()


def _say(status: int, error: str) -> web.Response:
    return web.json_response({"code": status, "error": error}, status=status)


class PhotoPrismStandIn:
    """One PhotoPrism on a loopback port, as an async context manager."""

    def __init__(
        self,
        import_dir: str | os.PathLike[str],
        originals_dir: str | os.PathLike[str],
        *,
        token: str = "standin-standin-standin-xyz",
        db: str | os.PathLike[str] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        prefix: str = "",
    ) -> None:
        self.traps = Traps()
        self.imports: list[dict[str, Any]] = []
        """Each import that was asked for: ``path`` (as cleaned), ``asked``, ``albums``, ``move``, ``report``."""
        self.indexes: list[dict[str, Any]] = []
        self.calls: list[tuple[str, str]] = []
        """Each call of the API, as method and path with query."""
        self.sessions = {token: Session()}
        self.token, self.prefix = token, prefix.rstrip("/")
        self.download_token = uuid.uuid4().hex[:8]
        self.preview_token = uuid.uuid4().hex[:8]
        self.whim: Callable[[str, str], None] = lambda _method, _path: None
        """Called with method and path just before each call is answered; it may set traps."""
        self.limiter = float(TOKEN_BURST)
        self.logins = float(LOGIN_BURST)
        self._refilled = time.monotonic()
        self._host, self._port = host, port
        self._rows = Rows(os.fspath(db) if db else ":memory:")
        self.library = Library(Path(import_dir), Path(originals_dir), self._rows, self.traps, self._publish)
        self._sockets: dict[web.WebSocketResponse, asyncio.Queue[str]] = {}
        self._jobs: set[asyncio.Task[Any]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None

    # Life

    async def __aenter__(self) -> PhotoPrismStandIn:
        self._loop = asyncio.get_running_loop()
        self._runner = web.AppRunner(self._application(), shutdown_timeout=0.2, access_log=None)
        await self._runner.setup()
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.library.stopped.set()
        for job in list(self._jobs):
            with contextlib.suppress(BaseException):
                await job
        for socket in list(self._sockets):
            await socket.close()
        assert self._runner is not None
        await self._runner.cleanup()
        self._rows.close()

    async def listen(self) -> None:
        """Take connections (again), always on the same port."""
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, self._host, self._port, reuse_address=True)
        await self._site.start()
        assert self._site._server is not None
        self._port = self._site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]

    async def refuse(self) -> None:
        """Refuse connections, as if the process were not there; ``listen()`` ends it."""
        assert self._site is not None
        assert self._runner is not None
        await self._site.stop()
        for socket in list(self._sockets):
            self._drop(socket)
        for connection in list(self._runner.server.connections if self._runner.server else []):
            if connection.transport is not None:
                connection.transport.abort()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def url(self) -> str:
        """Where it can be reached, prefix included."""
        return f"http://{self._host}:{self._port}{self.prefix}"

    # What a test may look at and do

    @property
    def rows(self) -> list[FileRow]:
        """All rows, soft-deleted ones included."""
        return self._rows.all()

    @property
    def originals(self) -> Path:
        """The originals tree."""
        return Path(self.library.originals)

    def row(self, sha1: str) -> FileRow | None:
        """Give the row of a content."""
        return self._rows.first_by_hash(sha1)

    def albums_of(self, sha1: str) -> list[str]:
        """Give the albums that the photo of a content is in."""
        row = self._rows.first_by_hash(sha1)
        photo = self._rows.photo(row.photo_uid) if row else None
        return photo.albums if photo else []

    def add_token(
        self, token: str, *, scope: str = "*", role: str = "admin", user: bool = True, ends_in: int = -1
    ) -> None:
        """Make a further token; ``ends_in`` is in seconds, -1 for never."""
        self.sessions[token] = Session(scope, role, user, ends_in)

    def archive(self, sha1: str, *, archived: bool = True) -> int:
        """Archive the photo of a content: the row stays, no search shows it."""
        return self._rows.change_photo(sha1, archived=int(archived))

    def hide(self, sha1: str, *, hidden: bool = True) -> int:
        """Hide the photo of a content (quality -1)."""
        return self._rows.change_photo(sha1, quality=-1 if hidden else 3)

    def soft_delete(self, sha1: str) -> int:
        """Soft-delete the rows of a content: the duplicate test sees them, ``GET /files`` does not."""
        return self._rows.change(sha1, deleted_at=1.0)

    def mark_missing(self, sha1: str) -> int:
        """Set ``Missing`` on the rows of a content."""
        return self._rows.change(sha1, missing=1)

    def forget(self, sha1: str) -> int:
        """Remove the rows of a content."""
        return self._rows.forget(sha1)

    def reset_database(self) -> None:
        """Forget everything, as ``photoprism reset`` does; the originals stay."""
        self._rows.reset()

    def become_well(self) -> None:
        """End all trouble as its owner would: no trap, nothing archived or hidden, and a complete rescan."""
        self.whim = lambda _method, _path: None
        self.traps.clear()
        self.library.mend()
        for row in self.rows:
            self._rows.change_photo(row.hash, archived=0, quality=3)

    def _standing(self, sha1: str) -> str:
        row = self._rows.first_by_hash(sha1)
        if row is None:
            raise KeyError(sha1)
        return os.path.join(self.library.originals, row.name)

    def delete_original(self, sha1: str) -> None:
        """Delete the file of a row behind PhotoPrism's back."""
        os.unlink(self._standing(sha1))

    def alter_original(self, sha1: str) -> None:
        """Change a byte of the file of a row behind PhotoPrism's back."""
        alter(self._standing(sha1))

    # Events

    def _publish(self, event: str, data: dict[str, Any]) -> None:
        assert self._loop is not None
        frame = json.dumps({"event": event, "data": data}, ensure_ascii=True)
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._broadcast, frame)

    def _broadcast(self, frame: str) -> None:
        for queue in self._sockets.values():
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(frame)

    @staticmethod
    def _drop(socket: web.WebSocketResponse) -> None:
        request: web.BaseRequest | None = getattr(socket, "_req", None)
        if request is not None and request.transport is not None:
            request.transport.abort()

    # HTTP

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self._around])
        api = f"{self.prefix}/api/v1"
        app.add_routes([
            web.get("/_control", self._control_state),
            web.post("/_control", self._control),
            web.get(f"{self.prefix}/health", self._health),
            web.get(f"{api}/status", self._status),
            web.get(f"{api}/config", self._config),
            web.post(f"{api}/session", self._login),
            web.get(f"{api}/session", self._who),
            web.post(f"{api}/import", self._redirect),
            web.post(f"{api}/import/{{path:.*}}", self._import),
            web.post(f"{api}/index", self._index),
            web.get(f"{api}/files/{{hash}}", self._file),
            web.get(f"{api}/photos", self._photos),
            web.get(f"{api}/dl/{{hash}}", self._download),
            web.get(f"{api}/t/{{hash}}/{{token}}/{{size}}", self._thumbnail),
            web.get(f"{api}/errors", self._errors),
            web.get(f"{api}/ws", self._websocket),
        ])  # fmt: skip
        return app

    @web.middleware
    async def _around(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.path == "/_control":
            return await handler(request)
        self.calls.append((request.method, request.path_qs))
        self.whim(request.method, request.path)
        if out := self.traps.outage:
            if out == "reset" and request.transport is not None:
                request.transport.abort()
            if out == "hang":
                await asyncio.sleep(3600)
            if out == "html":
                return web.Response(text="<html>It works!</html>", content_type="text/html")
            return web.Response(status=int(out) if out.isdigit() else 500, text="outage", content_type="text/html")
        if self.traps.throttle > 0:
            self.traps.throttle -= 1
            answer = _say(429, "rate limit exceeded")
            answer.headers["Retry-After"] = "7"
            return answer
        try:
            return await handler(request)
        except web.HTTPNotFound:
            return _say(404, "Not found")

    def _session(self, request: web.Request) -> Session | None:
        """Give the session of a call; each unknown token costs, and an empty limiter turns even a good one away."""
        now = time.monotonic()
        self.limiter = min(TOKEN_BURST, self.limiter + (now - self._refilled) / TOKEN_SECONDS)
        self._refilled = now
        if self.traps.public:
            return Session("*")
        bearer = request.headers.get("Authorization", "")
        token = (
            request.headers.get("X-Auth-Token")
            or request.headers.get("X-Session-ID")
            or (bearer[7:] if bearer.startswith("Bearer ") else "")
        )
        if not token or self.limiter < 1:
            return None
        session = self.sessions.get(token)
        if session is None:
            self.limiter -= 1
        return session

    def _refused(self, request: web.Request, resource: str) -> web.Response | None:
        session = self._session(request)
        if session is None:
            return _say(401, "Please log in to your account")
        if not session.covers(resource) or session.role != "admin":
            return _say(403, "Permission denied")
        return None

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(text="OK")

    async def _status(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "operational"})

    async def _config(self, request: web.Request) -> web.Response:
        session = self._session(request)
        said: dict[str, Any] = {
            "mode": "public",
            "name": "PhotoPrism",
            "edition": "ce",
            "version": "240915-stand-in",
            "readonly": self.traps.readonly,
            "public": self.traps.public,
            "downloadToken": "public",
            "previewToken": "public",
            "settings": {"features": {}},
            "acl": {},
        }
        if session is not None:
            admin = session.role == "admin"
            said |= {
                "mode": "user",
                "downloadToken": "public" if self.traps.public else self.download_token,
                "previewToken": "public" if self.traps.public else self.preview_token,
                "settings": {"features": {"import": not self.traps.import_disabled}, "import": {"path": "/"}},
                "acl": {"files": {"full_access": True, "manage": True}} if admin else {"files": {"view": True}},
                "count": {"all": len(self.rows)},
                "usage": {"filesUsedPct": 100 if self.traps.quota_full else 12},
            }
        return web.json_response([said] if self.traps.odd_answers else said)

    async def _login(self, request: web.Request) -> web.Response:
        if self.logins < 1:
            return _say(429, "rate limit exceeded")
        with contextlib.suppress(ValueError):
            if (body := await request.json()).get("password") in self.sessions:
                return web.json_response({"status": "success", "id": body["password"], "config": {}})
        self.logins -= 1
        return web.json_response({"error": "Invalid credentials"}, status=401)

    async def _who(self, request: web.Request) -> web.Response:
        if (refused := self._refused(request, "sessions")) is not None:
            return refused
        session = self._session(request)
        return web.json_response(
            {"status": "success", "session_id": "s", "expires_in": session.ends_in if session else 0}
        )

    async def _redirect(self, request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(f"{request.path}/")

    async def _body(self, request: web.Request) -> dict[str, Any] | None:
        try:
            body = json.loads(await request.text())
        except ValueError:
            return None
        return body if isinstance(body, dict) else None

    async def _import(self, request: web.Request) -> web.StreamResponse:
        if (refused := self._refused(request, "files")) is not None:
            return refused
        if self.traps.readonly or self.traps.import_disabled:
            return _say(403, "Feature disabled")
        if self.traps.quota_full:
            return _say(507, "Insufficient storage")
        if (body := await self._body(request)) is None:
            return _say(400, "Unable to do that")
        session = self._session(request)
        if session is None or not session.user:
            return _say(403, "Permission denied")
        asked = request.match_info["path"]
        folder = user_path("/" + asked) if asked else user_path(str(body.get("path", "")))
        call: dict[str, Any] = {
            "path": folder,
            "asked": asked or body.get("path", ""),
            "albums": list(body.get("albums") or []),
            "move": bool(body.get("move")),
            "report": None,
        }
        self.imports.append(call)

        def work() -> None:
            call["report"] = self.library.run_import(folder, call["albums"])

        return await self._run(request, work, "Import", folder, ["import.completed", "index.completed"])

    async def _index(self, request: web.Request) -> web.StreamResponse:
        if (refused := self._refused(request, "photos")) is not None:
            return refused
        if self.traps.library_disabled:
            return _say(403, "Feature disabled")
        if (body := await self._body(request)) is None:
            return _say(400, "Unable to do that")
        folder = user_path(str(body.get("path", "")))
        call: dict[str, Any] = {"path": folder, "report": None}
        self.indexes.append(call)

        def work() -> None:
            call["report"] = self.library.run_index(folder)

        return await self._run(request, work, "Indexing", folder, ["index.completed"])

    async def _run(
        self, request: web.Request, work: Callable[[], None], what: str, folder: str, events: list[str]
    ) -> web.StreamResponse:
        started = time.monotonic()
        job = asyncio.create_task(asyncio.to_thread(work))
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        try:
            await asyncio.wait_for(asyncio.shield(job), self.traps.proxy_cuts_after)
        except TimeoutError:
            job.add_done_callback(lambda done: self._told(done, what, started, folder, events))
            return web.Response(status=504, text="<html>504 Gateway Time-out</html>", content_type="text/html")
        except CrashedError:
            for socket in list(self._sockets):
                self._drop(socket)
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        message = self._told(job, what, started, folder, events)
        if self.traps.odd_answers:
            return web.json_response([message])
        return web.json_response({"code": 200, "message": message})

    def _told(self, job: asyncio.Task[None], what: str, started: float, folder: str, events: list[str]) -> str:
        seconds = int(time.monotonic() - started)
        message = COMPLETED.get(self.traps.language, COMPLETED["en"]).format(what, seconds)
        if not job.cancelled() and job.exception() is None:
            self._publish("notify.success", {"message": message})
            path = os.path.join(self.library.imports, folder)
            for event in events:
                self._publish(event, {"uid": "us1", "action": "import", "path": path, "seconds": seconds})
        return message

    async def _file(self, request: web.Request) -> web.Response:
        if (refused := self._refused(request, "files")) is not None:
            return refused
        if self.traps.odd_answers:
            return web.json_response(["odd"])
        row = self._rows.by_hash(request.match_info["hash"])
        return web.json_response(row.as_json()) if row else _say(404, "Entity not found")

    async def _photos(self, request: web.Request) -> web.Response:
        if (refused := self._refused(request, "photos")) is not None:
            return refused
        count, query = request.query.get("count", ""), request.query.get("q", "")
        if not count.isdigit() or not query.startswith("hash:"):
            return _say(400, "Unable to do that")
        if self.traps.odd_answers:
            return web.json_response({"odd": True})
        found: dict[str, dict[str, Any]] = {}
        for sha1 in query[5:].lower().split("|"):
            row = self._rows.by_hash(sha1)
            photo = self._rows.photo(row.photo_uid) if row else None
            if row is None or photo is None or photo.archived or photo.quality < 0 or row.missing or row.error:
                continue
            shown = found.setdefault(
                photo.uid,
                {"UID": photo.uid, "Hash": sha1, "FileName": row.name, "FileRoot": row.root, "Files": []},
            )
            shown["Files"].append({"UID": row.uid, "Hash": sha1, "Name": row.name, "Root": row.root})
        return web.json_response(list(found.values())[: int(count)])

    async def _download(self, request: web.Request) -> web.StreamResponse:
        wanted = "public" if self.traps.public else self.download_token
        icon = {"text": BROKEN_ICON, "content_type": "image/svg+xml"}
        if request.query.get("t") != wanted:
            return web.Response(status=403, **icon)  # type: ignore[arg-type]
        row = self._rows.by_hash(request.match_info["hash"])
        path = Path(self.library.originals, row.name) if row else None
        if row is None or path is None or not path.is_file():
            if row is not None:
                self._rows.change(row.hash, missing=1)
            return web.Response(status=404, **icon)  # type: ignore[arg-type]
        data = path.read_bytes()
        if self.traps.dl_damaged:
            data = data[:-1] + bytes([data[-1] ^ 0xFF])
        answer = web.StreamResponse(headers={"Content-Length": str(len(data))})
        await answer.prepare(request)
        if self.traps.dl_cut:
            await answer.write(data[: len(data) // 2])
            if request.transport is not None:
                request.transport.close()
            return answer
        for at in range(0, len(data), 1 << 18):
            await answer.write(data[at : at + (1 << 18)])
        await answer.write_eof()
        return answer

    async def _thumbnail(self, request: web.Request) -> web.StreamResponse:
        """Answer as internal/api/thumbs.go does: an icon with 200 for all that cannot be shown, 403 for a bad token."""
        icon = {"text": BROKEN_ICON, "content_type": "image/svg+xml"}
        if request.match_info["token"] != ("public" if self.traps.public else self.preview_token):
            return web.Response(status=403, **icon)  # type: ignore[arg-type]
        row = self._rows.by_hash(request.match_info["hash"])
        if self.traps.thumbnail == "html":
            return web.Response(text="<html><script>alert(1)</script></html>", content_type="image/jpeg")
        if self.traps.thumbnail == "hang":
            await asyncio.sleep(3600)
        if self.traps.thumbnail == "svg" or row is None or request.match_info["size"] not in THUMBNAILS:
            return web.Response(**icon)  # type: ignore[arg-type]
        size = 3 << 20 if self.traps.thumbnail == "endless" else 2000
        return web.Response(body=thumbnail_of(row.hash).ljust(size, b"\0"), content_type="image/jpeg")

    async def _errors(self, request: web.Request) -> web.Response:
        return self._refused(request, "logs") or web.json_response([])

    # WebSocket

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if self.traps.websocket == "off":
            return _say(404, "Not found")
        socket = web.WebSocketResponse(heartbeat=15.0, max_msg_size=4096, timeout=0.2)
        await socket.prepare(request)
        writer: asyncio.Task[None] | None = None
        if self.traps.websocket == "odd":
            await socket.send_str("not JSON")
            await socket.send_str("[1, 2]")
            await socket.send_str('{"event": "import.file", "data": "words"}')
            await socket.send_bytes(b"\xff")
        try:
            async for frame in socket:
                if frame.type is not WSMsgType.TEXT or writer is not None:
                    continue
                if self.traps.websocket == "mute" or not self._may_listen(frame.data):
                    continue
                queue: asyncio.Queue[str] = asyncio.Queue(10_000)
                queue.put_nowait(json.dumps({"event": "config.updated", "data": {"config": {"mode": "user"}}}))
                self._sockets[socket] = queue
                writer = asyncio.create_task(self._write(socket, queue))
        finally:
            self._sockets.pop(socket, None)
            if writer is not None:
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)
        return socket

    def _may_listen(self, frame: str) -> bool:
        try:
            session = self.sessions.get(json.loads(frame)["session"])
        except (ValueError, TypeError, KeyError):
            session = None
        return self.traps.public or (session is not None and session.user and session.role == "admin")

    @staticmethod
    async def _write(socket: web.WebSocketResponse, queue: asyncio.Queue[str]) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await socket.send_str(await queue.get())

    # Control

    async def _control_state(self, _: web.Request) -> web.Response:
        return web.json_response({
            "url": self.url,
            "rows": [asdict(row) for row in self.rows],
            "imports": [{**each, "report": asdict(each["report"]) if each["report"] else None}
                        for each in self.imports],
            "indexes": [each["path"] for each in self.indexes],
            "calls": self.calls,
            "traps": asdict(self.traps),
            "limiter": self.limiter,
            "running": self.library.busy.locked(),
            "worked": self.library.worked,
        }, dumps=lambda data: json.dumps(data, ensure_ascii=True))  # fmt: skip

    async def _control(self, request: web.Request) -> web.Response:
        """Take ``{"traps": {…}, "clear": true, "reset": true, "archive": [sha1], "delete_original": [sha1], …}``."""
        body = await request.json()
        deeds: dict[str, Callable[[str], Any]] = {
            "archive": self.archive,
            "hide": self.hide,
            "soft_delete": self.soft_delete,
            "mark_missing": self.mark_missing,
            "forget": self.forget,
            "delete_original": self.delete_original,
            "alter_original": self.alter_original,
        }
        try:
            for name, values in body.items():
                if name == "traps":
                    self.traps.set(values)
                elif name == "clear":
                    self.traps.clear()
                elif name == "reset":
                    self.reset_database()
                elif name == "limiter":
                    self.limiter = float(values)
                elif name == "tokens":
                    for token, what in values.items():
                        self.add_token(token, **what)
                else:
                    for sha1 in [values] if isinstance(values, str) else values:
                        deeds[name](sha1)
        except (KeyError, OSError) as fault:
            return _say(400, repr(fault))
        return web.json_response({"ok": True})


async def _serve(arguments: argparse.Namespace) -> None:
    standin = PhotoPrismStandIn(
        getattr(arguments, "import"),
        arguments.originals,
        token=arguments.token,
        db=arguments.db,
        host=arguments.host,
        port=arguments.port,
        prefix=arguments.prefix,
    )
    standin.traps.seconds_per_photo = arguments.seconds_per_photo
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with standin:
        print(standin.url, flush=True)
        await stop.wait()


def main(arguments: list[str] | None = None) -> int:
    """Run the stand-in until it is told to stop; its URL is the first line of standard output."""
    parser = argparse.ArgumentParser(description="A stand-in for PhotoPrism")
    parser.add_argument("--import", required=True)
    parser.add_argument("--originals", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--prefix", default="")
    parser.add_argument("--db")
    parser.add_argument("--seconds-per-photo", type=float, default=0.0)
    asyncio.run(_serve(parser.parse_args(arguments)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
