"""Users: who is there, what is relayed of theirs, and what a change would do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ui.api.operations import Operation
from ui.api.shapes.users import PreviewAnswer, PreviewWish, User, UsersAnswer, UserWish

if TYPE_CHECKING:
    from ui.api.operations import Call


async def _list(call: Call) -> Any:
    return await call.service.users.list()


async def _get(call: Call) -> Any:
    return await call.service.users.get(call.id)


async def _patch(call: Call) -> Any:
    # What was left out stays as it is, null goes back to what is common: so only what was sent is handed on.
    return await call.service.users.patch(call.id, call.body.model_dump(exclude_unset=True), call.who)


async def _preview(call: Call) -> Any:
    return await call.service.users.preview(call.id, call.body.model_dump(exclude_unset=True))


OPERATIONS = (
    Operation("GET", "/users", "read", "Everyone found; without their folders.", _list, UsersAnswer),
    Operation("GET", "/users/{id}", "read", "One user with the folders really there.", _get, User, id_kind="text"),
    Operation(
        "PATCH",
        "/users/{id}",
        "admin",
        "Include, exclude, choose folders and what happens after; written into the file.",
        _patch,
        User,
        body=UserWish,
        id_kind="text",
        refuses=(403, 409),
    ),
    Operation(
        "POST",
        "/users/{id}/preview",
        "read",
        "What such a change would do, in words and counts.",
        _preview,
        PreviewAnswer,
        body=PreviewWish,
        body_needed=False,
        id_kind="text",
    ),
)
