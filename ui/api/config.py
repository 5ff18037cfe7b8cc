"""The configuration: read, changed by parts or whole, validated, compared, and put back to an earlier version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from ui.api.errors import BadRequest
from ui.api.operations import Operation, dumps
from ui.api.shapes.config import (
    Changes,
    ConfigAnswer,
    DiffAnswer,
    DiffWish,
    ScheduleAnswer,
    ScheduleQuery,
    SchemaAnswer,
    ValidAnswer,
    VersionAnswer,
    VersionsAnswer,
    YamlWish,
)

if TYPE_CHECKING:
    from ui.api.operations import Call

LARGE = 1 << 20
YAML = ("application/yaml", "text/yaml", "application/x-yaml", "text/x-yaml")
_IF_MATCH = {"If-Match": "the `etag` of what was changed; where the file is another one meanwhile: 409"}


def _tagged(found: dict[str, Any]) -> web.Response:
    return web.json_response(found, headers={"ETag": f'"{found["etag"]}"'}, dumps=dumps)


def if_match(call: Call) -> str | None:
    """Give the tag in ``If-Match`` without its quotes, ``None`` where there is none."""
    tag = call.request.headers.get("If-Match", "").strip().removeprefix("W/").strip('"')
    return tag if tag and tag != "*" else None


async def _read(call: Call) -> Any:
    return _tagged(await call.service.config.read())


async def _patch(call: Call) -> Any:
    return _tagged(await call.service.config.patch(call.body.root, if_match(call), call.who))


async def _put(call: Call) -> Any:
    return _tagged(await call.service.config.put(call.body.yaml, if_match(call), call.who))


async def _validate(call: Call) -> Any:
    return await call.service.config.validate(call.body.yaml)


async def _schema(call: Call) -> Any:
    return await call.service.config.schema()


async def _diff(call: Call) -> Any:
    if (call.body.yaml is None) == (call.body.changes is None):
        raise BadRequest("request.invalid", "either `yaml` or `changes` is wanted")
    return await call.service.config.diff(call.body.yaml, call.body.changes)


async def _versions(call: Call) -> Any:
    return await call.service.config.versions()


async def _version(call: Call) -> Any:
    return await call.service.config.version(call.id)


async def _restore(call: Call) -> Any:
    return _tagged(await call.service.config.restore_version(call.id, if_match(call), call.who))


async def _schedule(call: Call) -> Any:
    return await call.service.config.schedule(call.query.expression)


OPERATIONS = (
    Operation("GET", "/config", "read", "The settings and their file, secrets left out.", _read, ConfigAnswer),
    Operation(
        "PATCH",
        "/config",
        "admin",
        "Change settings (RFC 7396); comments and order of the file stay.",
        _patch,
        ConfigAnswer,
        body=Changes,
        largest=LARGE,
        refuses=(403, 409),
        headers=_IF_MATCH,
        takes=("application/json", "application/merge-patch+json"),
    ),
    Operation(
        "PUT",
        "/config",
        "admin",
        "Write the whole file.",
        _put,
        ConfigAnswer,
        body=YamlWish,
        takes=("application/json", *YAML),
        largest=LARGE,
        refuses=(403, 409),
        headers=_IF_MATCH,
    ),
    Operation("GET", "/config/schema", "read", "The JSON schema of the settings.", _schema, SchemaAnswer),
    Operation(
        "POST",
        "/config/validate",
        "admin",
        "Whether a file would do, and what is wrong with it, by line.",
        _validate,
        ValidAnswer,
        body=YamlWish,
        takes=("application/json", *YAML),
        largest=LARGE,
    ),
    Operation(
        "POST",
        "/config/diff",
        "admin",
        "What would change in the file.",
        _diff,
        DiffAnswer,
        body=DiffWish,
        largest=LARGE,
        refuses=(403, 409),
    ),
    Operation("GET", "/config/versions", "read", "Earlier versions of the file.", _versions, VersionsAnswer),
    Operation("GET", "/config/versions/{id}", "read", "One earlier version.", _version, VersionAnswer, id_kind="text"),
    Operation(
        "POST",
        "/config/versions/{id}/restore",
        "admin",
        "Write an earlier version again.",
        _restore,
        ConfigAnswer,
        id_kind="text",
        refuses=(403, 409),
        headers=_IF_MATCH,
    ),
    Operation(
        "GET",
        "/config/schedule",
        "read",
        "What a schedule means, and the next five times.",
        _schedule,
        ScheduleAnswer,
        query=ScheduleQuery,
    ),
)
