"""The ledger: photos, their way, thumbnails, trying again, putting back, export; batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from daemon.service.filters import Filters
from ui.api.operations import Operation
from ui.api.shapes.common import RunAnswer
from ui.api.shapes.photos import (
    BatchAnswer,
    BatchesAnswer,
    ExportQuery,
    PageQuery,
    PhotoAnswer,
    PhotoRow,
    PhotosAnswer,
    PhotosQuery,
    Restored,
)
from ui.api.streaming import stream

if TYPE_CHECKING:
    from ui.api.operations import Call

PICTURES = ("image/jpeg", "image/png", "image/webp", "image/gif")


async def _list(call: Call) -> Any:
    return await call.service.photos.list(**call.filled())


async def _get(call: Call) -> Any:
    return await call.service.photos.get(call.number)


async def _retry(call: Call) -> Any:
    return await call.service.photos.retry(call.number, call.who)


async def _restore(call: Call) -> Any:
    return await call.service.photos.restore(call.number, call.who)


async def _thumbnail(call: Call) -> Any:
    found = await call.service.photos.thumbnail(call.number)
    if found is None or found[1] not in PICTURES:
        return None  # no error: browsers would fill their console with those of a whole list
    content, kind = found
    headers = {"Content-Type": kind, "Cache-Control": "private, max-age=86400"}
    return web.Response(body=content, headers=headers)


async def _export(call: Call) -> Any:
    asked = call.filled()
    form = asked.pop("format")
    blocks = call.service.photos.export(form, Filters(**asked))
    kind, name = ("text/csv", "photos.csv") if form == "csv" else ("text/plain", "photos.b3sum")
    return await stream(call.request, blocks, kind, name)


async def _batches(call: Call) -> Any:
    return await call.service.batches.list(**call.filled())


async def _batch(call: Call) -> Any:
    return await call.service.batches.get(call.number)


async def _restore_batch(call: Call) -> Any:
    return await call.service.batches.restore(call.number, call.who)


OPERATIONS = (
    Operation("GET", "/photos", "read", "The ledger, newest first, by cursor.", _list, PhotosAnswer, query=PhotosQuery),
    Operation(
        "GET",
        "/photos/export",
        "control",
        "The ledger as a table, or as a list that `b3sum --check` takes.",
        _export,
        query=ExportQuery,
        gives=("text/csv", "text/plain"),
    ),
    Operation("GET", "/photos/{id}", "read", "One photo with its whole way.", _get, PhotoAnswer),
    Operation(
        "GET",
        "/photos/{id}/thumbnail",
        "control",
        "A small picture of it.",
        _thumbnail,
        gives=PICTURES,
        empty="There is none to be had.",
    ),
    Operation("POST", "/photos/{id}/retry", "control", "Let it go on.", _retry, PhotoRow, refuses=(409,), relay=True),
    Operation(
        "POST",
        "/photos/{id}/restore",
        "control",
        "Copy it back where it came from; the archive keeps its own.",
        _restore,
        Restored,
        refuses=(409,),
        relay=True,
    ),
    Operation("GET", "/batches", "read", "What was moved, newest first.", _batches, BatchesAnswer, query=PageQuery),
    Operation("GET", "/batches/{id}", "read", "One batch with its photos.", _batch, BatchAnswer),
    Operation(
        "POST",
        "/batches/{id}/restore",
        "control",
        "Copy all photos of a batch back; goes on in the background.",
        _restore_batch,
        RunAnswer,
        status=202,
        refuses=(409,),
        relay=True,
    ),
)
