"""What a route is: a method, a path, a handler, and what a caller must be allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

Scope = Literal["none", "read", "control", "admin"]
"""What a caller may do, each including those before it: nothing, look, set things going, change and manage."""

RANK: dict[Scope, int] = {"none": 0, "read": 1, "control": 2, "admin": 3}


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path, with the scope that a caller needs; ``none`` means that no log-in is needed."""

    method: str
    path: str
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    scope: Scope
    csrf: bool = True
    """Whether a browser's request must show that it comes from the page itself (``Origin``, ``X-CSRF-Token``).

    ``False`` only where the request carries its own proof: a signed link that works once, the password.
    """


ROUTES: web.AppKey[dict[tuple[int, str], Route]] = web.AppKey("routes", dict)
"""Routes by (id of the resource, method). A route without an entry is refused: whoever forgets one shuts a door."""


def mount(app: web.Application, routes: Iterable[Route]) -> None:
    """Add the routes to the application and write down what each needs. GET also answers HEAD."""
    known = app.get(ROUTES)
    if known is None:
        known = app[ROUTES] = {}
    for route in routes:
        if route.scope not in RANK:
            raise ValueError(f"{route.method} {route.path}: there is no scope {route.scope!r}")
        added = app.router.add_route(route.method, route.path, route.handler)
        resource = added.resource
        if resource is None:  # pragma: no cover  a route that was added has one
            raise ValueError(f"{route.method} {route.path} has no resource")
        known[id(resource), route.method] = route
        if route.method == "GET":
            app.router.add_route("HEAD", route.path, route.handler)
            known[id(resource), "HEAD"] = route


def route_of(request: web.Request) -> Route | None:
    """Give the route that was matched, ``None`` where it was not added by :func:`mount`."""
    route: Any = request.match_info.route
    return request.app.get(ROUTES, {}).get((id(getattr(route, "resource", None)), request.method))
