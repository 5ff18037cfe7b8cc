"""The page's own files: a fixed table, read once at the start; no name from a request ever becomes a path on disk."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from aiohttp import web

from ui.routes import Route

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from importlib.resources.abc import Traversable

KINDS = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_SQUEEZED = (".css", ".html", ".js", ".json", ".svg", ".webmanifest")


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent: plain, and gzipped where that is smaller."""

    kind: str
    plain: bytes
    squeezed: bytes | None
    etag: str
    """Without quotes; the gzipped form's has ``-gz`` behind it, since a strong tag names bytes."""


def load(root: Traversable | None = None) -> dict[str, Asset]:
    """Read all files of the package's ``static`` folder, by their names relative to it. Blocking."""
    base = root or files("ui") / "static"
    return {name: _asset(name, content) for name, content in _walk(base, "")} if base.is_dir() else {}


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.name.startswith((".", "_")):
            continue
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif any(entry.name.endswith(ending) for ending in KINDS):
            yield f"{prefix}{entry.name}", entry.read_bytes()


def _asset(name: str, content: bytes) -> Asset:
    ending = name[name.rindex(".") :]
    squeezed = gzip.compress(content, 9, mtime=0) if ending in _SQUEEZED else None
    if squeezed is not None and len(squeezed) >= len(content):
        squeezed = None
    return Asset(KINDS[ending], content, squeezed, hashlib.sha256(content).hexdigest()[:32])


def routes(assets: dict[str, Asset]) -> list[Route]:
    """Give a route for each file: ``/`` is ``index.html``, all others stand below ``/static/``.

    They need no log-in: they hold nothing but what everybody may download with the program, the log-in form included.
    """
    made = [Route("GET", f"/static/{name}", _serve(asset), "none") for name, asset in assets.items()]
    if index := assets.get("index.html"):
        made.append(Route("GET", "/", _serve(index), "none"))
    return made


def _serve(asset: Asset) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def serve(request: web.Request) -> web.StreamResponse:
        # «no-cache» is «ask each time»: an upgrade is seen at once, and asking costs an empty 304.
        headers = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
        squeezed = asset.squeezed is not None and "gzip" in request.headers.get("Accept-Encoding", "").lower()
        tag = f'"{asset.etag}-gz"' if squeezed else f'"{asset.etag}"'
        headers["ETag"] = tag
        known = request.headers.get("If-None-Match", "")
        if tag in (one.strip().removeprefix("W/") for one in known.split(",")) or known.strip() == "*":
            return web.Response(status=304, headers=headers)
        headers["Content-Type"] = asset.kind
        if squeezed and asset.squeezed is not None:
            headers["Content-Encoding"] = "gzip"
            return web.Response(body=asset.squeezed, headers=headers)
        return web.Response(body=asset.plain, headers=headers)

    return serve
