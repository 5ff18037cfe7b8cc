"""The log, the audit trail, checks, and a message as a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.clock import iso
from ui.api.operations import Operation
from ui.api.shapes.others import ActAnswer, AuditAnswer, ChecksAnswer, LogAnswer, LogQuery, NotifyAnswer
from ui.api.shapes.photos import PageQuery
from ui.api.streaming import stream
from ui.security import OPEN_TO_ALL

if TYPE_CHECKING:
    from ui.api.operations import Call


async def _lines(call: Call) -> Any:
    return await call.service.log.lines(**call.filled())


async def _download(call: Call) -> Any:
    return await stream(call.request, call.service.log.download(), "text/plain", "photon-relay.log")


async def _audit(call: Call) -> Any:
    return await call.service.log.audit(**call.filled())


async def _last_checks(call: Call) -> Any:
    return call.context.checked or {"at": None, "checks": []}


async def _check(call: Call) -> Any:
    async with call.context.checking:
        found = await call.service.checks()
        call.context.checked = {"at": iso(call.context.clock.wall()), "checks": [one.as_dict() for one in found]}
    return call.context.checked


async def _notify(call: Call) -> Any:
    return await call.service.notify.test(call.who)


async def _act(call: Call) -> Any:
    # The token is all the proof there is: no cookie counts here, so any page that has it may read the answer, as ntfy's
    # own web application wants to.
    call.request[OPEN_TO_ALL] = True
    return {"done": await call.service.notify.act(call.request.match_info["token"], call.address)}


OPERATIONS = (
    Operation("GET", "/log", "control", "The log's last lines, newest first.", _lines, LogAnswer, query=LogQuery),
    Operation("GET", "/log/download", "control", "The log's last lines as text.", _download, gives=("text/plain",)),
    Operation("GET", "/audit", "control", "Who changed what, newest first.", _audit, AuditAnswer, query=PageQuery),
    Operation("GET", "/checks", "read", "What the last look at everything gave.", _last_checks, ChecksAnswer),
    Operation("POST", "/checks", "control", "Look at everything that a start needs.", _check, ChecksAnswer),
    Operation("POST", "/notify/test", "control", "Send a message as a test.", _notify, NotifyAnswer, refuses=(409,)),
    Operation(
        "POST",
        "/act/{token}",
        "none",
        "What a message's button does: signed, once, for one deed, until it expires.",
        _act,
        ActAnswer,
        refuses=(409,),
        csrf=False,
        relay=True,
    ),
)
