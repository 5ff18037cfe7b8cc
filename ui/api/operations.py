"""What one operation of the API is: its route, what it takes and gives, and the thin handler behind it.

The same description makes the route, checks each request, and is written into ``openapi.json``: so that is true.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from aiohttp import web
from pydantic import BaseModel, ValidationError

from daemon.text import shown
from ui.api.errors import BadRequest
from ui.caller import caller, who
from ui.context import CONTEXT, Context
from ui.routes import Route, Scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PREFIX = "/api/v1"
SMALL = 64 << 10
"""Bytes of a body at most, where an operation does not take more."""
BODY_WITHIN = 15.0
"""Seconds for a body to arrive."""
NUMBER = "[0-9]{1,18}"
TEXT = "[^/]{1,600}"
BUTTON = "[0-9A-Za-z_=-]{1,200}"
JSON = "application/json"


@dataclass(slots=True)
class Call:
    """One request that has been found to be as the operation wants it."""

    request: web.Request
    query: Any = None
    body: Any = None
    relay: bool = False

    @property
    def context(self) -> Context:
        """What the page has."""
        return self.request.app[CONTEXT]

    @property
    def service(self) -> Any:
        """The daemon's door. Raises ``Transient`` ``daemon.starting``."""
        return self.context.room(relay=self.relay)

    @property
    def who(self) -> str:
        """Who asks, for the audit."""
        return who(self.request)

    @property
    def address(self) -> str:
        """Where the request comes from."""
        return caller(self.request).address

    @property
    def id(self) -> str:
        """The id in the path, as text."""
        return self.request.match_info["id"]

    @property
    def number(self) -> int:
        """The id in the path, as a number."""
        return int(self.id)

    def filled(self) -> dict[str, Any]:
        """Give the query's parameters that were given or have a value by themselves."""
        return {key: value for key, value in self.query.model_dump().items() if value is not None}


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. ``path`` may hold ``{id}``; ``id_kind`` says what it is."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    scope: Scope
    summary: str
    do: Callable[[Call], Awaitable[Any]] | None = None
    """``None`` for what is served elsewhere and only described here."""
    answer: type[BaseModel] | None = None
    status: int = 200
    empty: str = ""
    """What an answer without a body (204) means, where there may be one instead."""
    gives: tuple[str, ...] = (JSON,)
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    takes: tuple[str, ...] = (JSON,)
    body_needed: bool = True
    largest: int = SMALL
    id_kind: Literal["number", "text"] = "number"
    refuses: tuple[int, ...] = ()
    """Statuses of errors besides those that every operation may have."""
    headers: dict[str, str] = field(default_factory=dict)
    """Request headers that it reads, each with what it is."""
    relay: bool = False
    """Only once the relay runs: a deed on photos."""
    csrf: bool = True
    """Whether it must come from the page itself; ``False`` where it carries its own proof."""

    @property
    def route(self) -> Route:
        """The route that serves it."""
        path = self.path.replace("{id}", f"{{id:{NUMBER if self.id_kind == 'number' else TEXT}}}")
        path = path.replace("{token}", f"{{token:{BUTTON}}}")
        return Route(self.method, PREFIX + path, self.handle, self.scope, self.csrf)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Check the request, do what is asked, and give the answer."""
        call = Call(request, relay=self.relay)
        call.query = _query(self.query, request)
        if self.body is not None:
            call.body = await self._body(self.body, request)
        if self.do is None:  # pragma: no cover  never mounted
            raise web.HTTPNotFound
        if self.relay:
            await call.context.arrive(relay=True)
        found = await self.do(call)
        if isinstance(found, web.StreamResponse):
            return found
        if found is None:
            return web.Response(status=204)
        return web.json_response(found, status=self.status, dumps=dumps)

    async def _body(self, model: type[BaseModel], request: web.Request) -> BaseModel:
        if not request.body_exists and not self.body_needed:
            return model()
        kind = request.content_type.lower()
        if kind not in self.takes:
            raise BadRequest("request.media_type", f"the body must be {' or '.join(self.takes)}, not {shown(kind, 80)}")
        content = await read(request, self.largest)
        if not kind.endswith("json"):
            try:
                return checked(model, {"yaml": content.decode()})
            except UnicodeDecodeError as error:
                raise BadRequest("request.malformed", "the body is not UTF-8") from error
        if not content.strip() and not self.body_needed:
            return model()
        try:
            return model.model_validate_json(content)
        except ValidationError as error:
            raise _refused(error) from None


def dumps(found: object) -> str:
    """Give JSON; half a character of a name that is none becomes a question mark, since no client could read it."""
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace").decode()


async def read(request: web.Request, largest: int) -> bytes:
    """Read a body, bounded in size and in time. Raises ``BadRequest``."""
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise BadRequest("request.media_type", "the body must not be compressed")
    if (request.content_length or 0) > largest:
        raise _too_large(largest)
    try:
        async with asyncio.timeout(BODY_WITHIN):
            content = await request.read()
    except TimeoutError:
        raise BadRequest("request.slow", f"the body did not arrive within {BODY_WITHIN:.0f} s") from None
    except web.RequestPayloadError:
        raise BadRequest("request.malformed", "the body is broken off") from None
    if len(content) > largest:
        raise _too_large(largest)
    return content


def _too_large(largest: int) -> BadRequest:
    return BadRequest("request.too_large", f"the body is larger than {largest >> 10} KiB")


def _query(model: type[BaseModel] | None, request: web.Request) -> BaseModel | None:
    names = list(dict.fromkeys(request.query))
    if len(names) != len(request.query):
        raise BadRequest("request.invalid", "a parameter stands there twice")
    if model is None:
        # Whoever asks with parameters where there are none has mistaken something.
        if names:
            raise BadRequest("request.invalid", f"{shown(names[0], 80)}: this address takes no parameters")
        return None
    return checked(model, dict(request.query))


def checked(model: type[BaseModel], values: dict[str, Any]) -> BaseModel:
    """Give values as their model has them. Raises ``BadRequest`` ``request.invalid``."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _refused(error) from None


def _refused(error: ValidationError) -> BadRequest:
    """Say in words what is wrong with what was sent; what was sent is not repeated: it may be a password."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    first = faults[0]
    if first["type"] == "json_invalid":
        return BadRequest("request.malformed", "the body is not valid JSON")
    words = "; ".join(
        f"{'.'.join(shown(str(part), 80) for part in fault['loc']) or 'the body'}: {shown(fault['msg'], 200)}"
        for fault in faults[:5]
    )
    return BadRequest("request.invalid", words)
