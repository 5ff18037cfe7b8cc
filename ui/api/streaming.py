"""Downloads that are sent as they are made."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BLOCK_WITHIN = 30.0
"""Seconds for one block to be made and taken; whoever reads slower is hung up on."""


async def stream(request: web.Request, blocks: AsyncIterator[bytes], kind: str, name: str) -> web.StreamResponse:
    """Send blocks as the download ``name``. Until the first block is made, an error can still be told."""
    response = web.StreamResponse(
        headers={"Content-Type": f"{kind}; charset=utf-8", "Content-Disposition": f'attachment; filename="{name}"'}
    )
    async with aclosing(blocks) as made:  # type: ignore[type-var]
        first = await anext(made, b"")
        await response.prepare(request)
        if request.method != "HEAD":
            await response.write(first)
            while True:
                async with asyncio.timeout(BLOCK_WITHIN):
                    block = await anext(made, None)
                    if block is None:
                        break
                    await response.write(block)
    await response.write_eof()
    return response
