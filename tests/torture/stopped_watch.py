"""A watch in a process of its own, to be stopped and refused: ``python -m tests.torture.stopped_watch ROOT N``.

Says ``ready`` when it watches alice's ``InstantUpload``; ends when N photos were handed over, or after two minutes,
with one line of JSON: what was handed over, what it suspected, and how it says that it is doing. A line on standard
input asks for a sweep.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace

import anyio
import anyio.to_thread

from daemon.watch.watcher import Watch
from tests.watch.sinks import QUICK, Memory, running


async def main(root: str, count: int) -> None:
    """Watch until enough has come."""
    sink = Memory()
    folders = {"alice": ["InstantUpload"]}
    watch = Watch(replace(QUICK, prove_every=3600, pending=100_000), root, sink, lambda: folders)
    sweeps: list[int] = []

    async def sweep_when_told() -> None:
        while await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            sweeps.append((await watch.sweep()).missed)

    async with running(watch), anyio.create_task_group() as group:
        group.start_soon(sweep_when_told)
        print("ready", flush=True)
        with anyio.move_on_after(120):
            while len(sink.taken) < count:  # noqa: ASYNC110 - nobody tells of it
                await anyio.sleep(0.05)
        await anyio.sleep(0.2)
        status = watch.status()
        group.cancel_scope.cancel()
    told = {
        "paths": len(set(sink.paths)),
        "twice": len(sink.paths) - len(set(sink.paths)),
        "reasons": sink.reasons,
        "sweeps": sweeps,
        "status": asdict(status),
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], int(sys.argv[2]))
