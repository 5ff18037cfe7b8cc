"""Errors as the API gives them: ``{"error": {"code", "message", "hint"}}``, whatever went wrong."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from aiohttp import web

from daemon.errors import ConfigError, RelayError, Transient
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger(__name__)

RETRY_AFTER = 5.0
"""Seconds after which to come again, where an error does not say."""
_STATUS = {
    "config.conflict": 409,
    "config.by_hand": 403,
    "config.read_only": 403,
    "request.malformed": 400,
    "request.invalid": 422,
    "request.too_large": 413,
    "request.media_type": 415,
    "request.slow": 408,
}
_WORDS = {
    400: ("request.malformed", "the request is not well formed"),
    404: ("request.no_route", "there is nothing at this address"),
    405: ("request.method", "this address does not take that method"),
    408: ("request.slow", "the request did not arrive in time"),
    413: ("request.too_large", "the request is larger than this address takes"),
    415: ("request.media_type", "the request's body is not of a kind that this address takes"),
}


class BadRequest(RelayError):
    """Raised for a request that is not as the API's description wants it; ``code`` is ``request.…``."""


def status_of(error: RelayError) -> int:
    """Give the HTTP status that says the same as an error's code."""
    if error.code in _STATUS:
        return _STATUS[error.code]
    if error.code.startswith("request."):
        return 422
    if isinstance(error, ConfigError) or error.code == "config.invalid":
        return 422
    if error.code.endswith(".unknown"):
        return 404
    if isinstance(error, Transient):
        return 503
    return 409


def body_of(error: RelayError) -> dict[str, Any]:
    """Give an error's JSON; a conflict carries what stands there now, a wrong configuration each fault."""
    found: dict[str, Any] = {key: shown(value, 2000) for key, value in error.as_dict().items()}
    if isinstance(error, ConfigError):
        found["faults"] = list(error.faults)
    for key in ("theirs", "etag", "faults"):
        if key in error.context:
            found[key] = error.context[key]
    return {"error": found}


def answer(status: int, code: str, message: str, hint: str = "", **headers: str) -> web.Response:
    """Give an answer in the form of all errors."""
    body = {"error": {"code": code, "message": message, "hint": hint}}
    return web.json_response(body, status=status, headers=headers or None)


def of_error(error: RelayError) -> web.Response:
    """Give the answer that tells of an error."""
    status = status_of(error)
    headers = {}
    if isinstance(error, Transient):
        headers["Retry-After"] = str(math.ceil(error.retry_after or RETRY_AFTER))
    return web.json_response(body_of(error), status=status, headers=headers)


def _of_http(error: web.HTTPException) -> web.StreamResponse:
    """Give aiohttp's own refusals our form; what carries JSON already was made by us."""
    if error.status < 400 or error.content_type == "application/json":
        return web.Response(status=error.status, headers=error.headers, body=error.body)
    code, message = _WORDS.get(error.status, (f"request.status_{error.status}", error.reason))
    made = answer(error.status, code, message)
    if "Allow" in error.headers:
        made.headers["Allow"] = error.headers["Allow"]
    if "Retry-After" in error.headers:
        made.headers["Retry-After"] = error.headers["Retry-After"]
    return made


@web.middleware
async def errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn whatever a handler raises into an answer; the outermost middleware."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _of_http(error)
    except RelayError as error:
        log.debug("%s %s: %s", request.method, shown(request.path), error)
        return of_error(error)
    except TimeoutError:
        return answer(503, "daemon.slow", "the daemon did not answer in time", "try again", **{"Retry-After": "5"})
    except ConnectionError:
        raise  # the caller has gone; there is nobody to tell
    except Exception as fault:
        log.exception("%s %s failed", request.method, shown(request.path))
        words = f"a fault of the program ({type(fault).__name__}); its log says more"
        return answer(500, "page.fault", words, "please report it with the lines in the log")
