"""The status as the page has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daemon.service import Service


async def snapshot(service: Service) -> dict[str, Any]:
    """Give the whole of it."""
    room = getattr(service, "now", None)
    return await (room.snapshot() if room else service.status())


async def changes(service: Service, previous: dict[str, Any]) -> dict[str, Any]:
    """Give the keys that differ from ``previous``."""
    room = getattr(service, "now", None)
    if room:
        return dict(await room.changes(previous))
    found: dict[str, Any] = await service.status()
    return {key: value for key, value in found.items() if previous.get(key) != value}
