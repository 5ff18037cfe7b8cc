"""``openapi.json`` (3.1), made from the operations and their models: it says what the program really does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic.json_schema import models_json_schema

from daemon import __version__
from ui.api.operations import BUTTON, JSON, PREFIX
from ui.api.shapes.common import ErrorAnswer

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic import BaseModel

    from ui.api.operations import Operation

_REF = "#/components/schemas/{model}"
_ERRORS = {
    400: ("Malformed", "The request is not well formed."),
    401: ("LogInFirst", "Nobody is logged in; or the password or the token is not right."),
    403: ("NotAllowed", "This caller may not do that: its scope, its address, its Origin or a missing CSRF token."),
    404: ("NotThere", "There is no such thing."),
    405: ("NoSuchMethod", "This address does not take that method."),
    408: ("TooSlow", "The request did not arrive in time."),
    409: ("NotNow", "As things are it cannot be done; the message says why."),
    413: ("TooLarge", "The body is larger than this address takes."),
    415: ("WrongKind", "The body is not of a kind that this address takes."),
    421: ("WrongHost", "The page is not called by that name; the hint has the line for `ui.hosts`."),
    422: ("NotValid", "What was sent is not as it must be; the message says what."),
    429: ("TooMany", "Too many attempts; `Retry-After` says when to come again."),
    503: ("NotReady", "The daemon is starting, or something it needs is away; `Retry-After` says when to come again."),
}
_ALWAYS = (400, 401, 403, 405, 421, 422, 429, 503)
_WITH_BODY = (408, 413, 415)
_SCOPES = {
    "none": "",
    "read": "Needs scope `read`.",
    "control": "Needs scope `control`.",
    "admin": "Needs scope `admin`.",
}
_TAGS = {
    "status": "How everything is",
    "pause": "How everything is",
    "resume": "How everything is",
    "summary": "How everything is",
    "live": "How everything is",
    "photos": "Photos",
    "batches": "Photos",
    "users": "Users",
    "sweeps": "Work",
    "index": "Work",
    "runs": "Work",
    "config": "Settings",
    "log": "Log and checks",
    "audit": "Log and checks",
    "checks": "Log and checks",
    "notify": "Log and checks",
    "act": "Log and checks",
}


def describe(operations: Iterable[Operation]) -> dict[str, Any]:
    """Give the document for these operations."""
    listed = list(operations)
    schemas = _schemas(listed)
    paths: dict[str, dict[str, Any]] = {}
    for one in listed:
        paths.setdefault(PREFIX + one.path, {})[one.method.lower()] = _operation(one, schemas)
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Photon Relay",
            "version": __version__,
            "summary": "Photos uploaded to Nextcloud reach the shared archive by themselves.",
            "description": (
                "All that the page does. Times are ISO 8601 in UTC, sizes bytes. A browser sends its session cookie "
                "and `X-CSRF-Token` (from `GET /api/v1/session`); a program sends `Authorization: Bearer` with an API "
                "token."
            ),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": "this daemon"}],
        "security": [{"cookie": [], "csrf": []}, {"token": []}, {}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {name: _error(words, number) for number, (name, words) in _ERRORS.items()},
            "securitySchemes": {
                "cookie": {"type": "apiKey", "in": "cookie", "name": "photon-relay"},
                "csrf": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-CSRF-Token",
                    "description": "with the cookie, for everything but GET; also where no password is set",
                },
                "token": {"type": "http", "scheme": "bearer", "description": "an API token, made on the page"},
            },
        },
    }


def _schemas(operations: Sequence[Operation]) -> dict[str, Any]:
    answers: list[type[BaseModel]] = [one.answer for one in operations if one.answer is not None]
    bodies: list[type[BaseModel]] = [one.body for one in operations if one.body is not None]
    wanted: list[Any] = [(model, "serialization") for model in [*answers, ErrorAnswer]]
    wanted += [(model, "validation") for model in bodies]
    _, found = models_json_schema(list(dict.fromkeys(wanted)), ref_template=_REF)
    return dict(found.get("$defs", {}))


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}


def _operation(one: Operation, _schemas: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": name_of(one),
        "summary": one.summary,
        "tags": [_TAGS.get(one.path.split("/")[1], "Doors")],
        "responses": _responses(one),
    }
    if _SCOPES[one.scope]:
        described["description"] = _SCOPES[one.scope]
    else:
        described["security"] = [{}]
    if parameters := _parameters(one):
        described["parameters"] = parameters
    if one.body is not None:
        # A YAML text is taken whatever stands in it: what is wrong with it is the answer.
        content = {kind: {"schema": _ref(one.body)} if kind.endswith("json") else {} for kind in one.takes}
        described["requestBody"] = {"required": one.body_needed, "content": content}
    return described


def name_of(one: Operation) -> str:
    """Give an operation's id: ``post_photos_id_retry``."""
    return "_".join([one.method.lower(), *one.path.strip("/").replace("{", "").replace("}", "").split("/")])


def _parameters(one: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if "{id}" in one.path:
        number = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
        text = {"type": "string", "minLength": 1, "maxLength": 200}
        found.append(
            {"name": "id", "in": "path", "required": True, "schema": number if one.id_kind == "number" else text}
        )
    if "{token}" in one.path:
        found.append(
            {"name": "token", "in": "path", "required": True, "schema": {"type": "string", "pattern": f"^{BUTTON}$"}}
        )
    if one.query is not None:
        shape = one.query.model_json_schema()
        for name, schema in shape.get("properties", {}).items():
            schema = _without_null(schema)
            words = schema.pop("description", "")
            schema.pop("title", None)
            entry = {"name": name, "in": "query", "required": name in shape.get("required", ()), "schema": schema}
            found.append({**entry, "description": words} if words else entry)
    for name, words in one.headers.items():
        found.append(
            {"name": name, "in": "header", "required": False, "description": words, "schema": {"type": "string"}}
        )
    return found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Give a parameter's schema: it is either there or not, ``null`` cannot be written behind a question mark."""
    schema = dict(schema)
    if schema.get("default", ...) is None:
        del schema["default"]
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if kinds:
        del schema["anyOf"]
        schema = {**kinds[0], **schema} if len(kinds) == 1 else {"anyOf": kinds, **schema}
    return schema


def _responses(one: Operation) -> dict[str, Any]:
    if one.status == 101:
        good: dict[str, Any] = {"description": "The WebSocket is open."}
    elif one.answer is None and one.gives == (JSON,):
        good = {"description": "Done."}
    else:
        schema: dict[str, Any] = _ref(one.answer) if one.answer is not None else {"type": "string"}
        good = {"description": "Done.", "content": {kind: {"schema": schema} for kind in one.gives}}
    numbers = {*_ALWAYS, *one.refuses}
    if "{" in one.path:
        numbers.add(404)
    if one.body is not None:
        numbers |= set(_WITH_BODY)
    errors = {str(number): {"$ref": f"#/components/responses/{_ERRORS[number][0]}"} for number in sorted(numbers)}
    empty = {"204": {"description": one.empty}} if one.empty else {}
    return {str(one.status): good, **empty, **errors}


def _error(words: str, number: int) -> dict[str, Any]:
    made: dict[str, Any] = {"description": words, "content": {JSON: {"schema": _ref(ErrorAnswer)}}}
    if number in {429, 503}:
        made["headers"] = {"Retry-After": {"description": "seconds", "schema": {"type": "string"}}}
    return made
