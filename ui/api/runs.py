"""Work in the background: sweeps, previews, indexing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ui.api.operations import Operation
from ui.api.shapes.common import Run, RunAnswer, RunsAnswer
from ui.api.shapes.others import IndexWish, RetryAnswer, RetryWish, SweepWish

if TYPE_CHECKING:
    from ui.api.operations import Call


async def _sweep(call: Call) -> Any:
    return await call.service.runs.sweep(call.body.users, call.body.dry_run, call.who)


async def _index(call: Call) -> Any:
    return await call.service.runs.index(call.body.users, call.body.album, call.who)


async def _retry(call: Call) -> Any:
    return {"retried": await call.service.retry_code(call.body.code, call.who)}


async def _list(call: Call) -> Any:
    return await call.service.runs.list()


async def _get(call: Call) -> Any:
    return await call.service.runs.get(call.number)


OPERATIONS = (
    Operation(
        "POST",
        "/sweeps",
        "control",
        "Look through the watched folders now, or only say what would be done.",
        _sweep,
        RunAnswer,
        status=202,
        body=SweepWish,
        body_needed=False,
        refuses=(409,),
        relay=True,
    ),
    Operation(
        "POST",
        "/index",
        "control",
        "Have Nextcloud look at folders and the album now.",
        _index,
        RunAnswer,
        status=202,
        body=IndexWish,
        body_needed=False,
        refuses=(409,),
        relay=True,
    ),
    Operation(
        "POST",
        "/retry",
        "control",
        "Try all photos again that wait or are held for this reason.",
        _retry,
        RetryAnswer,
        body=RetryWish,
        relay=True,
    ),
    Operation("GET", "/runs", "read", "Work in the background, newest first, without its lines.", _list, RunsAnswer),
    Operation("GET", "/runs/{id}", "read", "One piece of work with its last lines.", _get, Run),
)
