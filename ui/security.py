"""Headers that every answer carries: what a browser may do with it, and what not.

Names of OWASP ASVS 5.0 met here: 3.4.3 CSP, 3.4.4 nosniff, 3.4.5 Referrer-Policy, 3.4.6 frame-ancestors, 3.4.8 COOP,
3.5.8 CORP, 3.6.1 nothing from elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp import web

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "X-Permitted-Cross-Domain-Policies": "none",
}


OPEN_TO_ALL = "open to all"
"""Set on a request whose answer pages from elsewhere may read: what it says is for whoever could ask it."""
HSTS = f"max-age={180 * 86400}"
"""For this name alone: its subdomains are not ours to decide about."""


def hardening(
    https_for_good: Callable[[web.Request], bool],
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """Give what puts the headers on every answer; ``https_for_good`` tells whether to ask for https from now on."""

    async def harden(request: web.Request, response: web.StreamResponse) -> None:
        headers = response.headers
        for name, value in HEADERS.items():
            headers.setdefault(name, value)  # what a handler has set itself stays
        headers.setdefault("Cache-Control", "no-store")
        if request.get(OPEN_TO_ALL):
            headers["Access-Control-Allow-Origin"] = "*"
        if https_for_good(request):
            headers["Strict-Transport-Security"] = HSTS
        # aiohttp names itself and its version where nobody else does.
        headers["Server"] = "photon-relay"

    return harden
