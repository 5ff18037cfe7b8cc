"""How everything is; pause and resume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ui.api.operations import Operation
from ui.api.shapes.status import OtherRelays, Paused, Status, Summary

if TYPE_CHECKING:
    from ui.api.operations import Call


async def _status(call: Call) -> Any:
    return await call.service.now.snapshot()


async def _summary(call: Call) -> Any:
    return await call.service.now.summary()


async def _others(call: Call) -> Any:
    return {"others": await call.service.others.list()}


async def _pause(call: Call) -> Any:
    await call.service.pause(call.who)
    return {"paused": True}


async def _resume(call: Call) -> Any:
    await call.service.resume(call.who)
    return {"paused": False}


OPERATIONS = (
    Operation("GET", "/status", "read", "The snapshot that the live page starts from.", _status, Status),
    Operation("GET", "/summary", "read", "One flat object, for dashboards.", _summary, Summary),
    Operation("GET", "/others", "read", "How the relays on other machines are.", _others, OtherRelays),
    Operation("POST", "/pause", "control", "Begin nothing new; what is under way is finished.", _pause, Paused),
    Operation("POST", "/resume", "control", "Go on.", _resume, Paused),
)
