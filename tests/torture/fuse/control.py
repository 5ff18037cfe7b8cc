"""The control channel: one JSON object a line over a Unix socket, answered by one line each."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from tests.torture.fuse.layer import Layer


def serve(path: Path, layer: Layer) -> None:
    """Answer requests for ``layer`` in threads of their own, for as long as the process lives."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(8)
    threading.Thread(target=_accept, args=(server, layer), daemon=True).start()


def _accept(server: socket.socket, layer: Layer) -> None:
    while True:
        connection, _ = server.accept()
        threading.Thread(target=_answer, args=(connection, layer), daemon=True).start()


def _answer(connection: socket.socket, layer: Layer) -> None:
    with connection, connection.makefile("rwb") as lines:
        for line in lines:
            try:
                answer = {"answer": do(layer, json.loads(line))}
            except Exception as error:  # noqa: BLE001  told to the test, which fails by it
                answer = {"error": f"{type(error).__name__}: {error}"}
            lines.write(json.dumps(answer).encode() + b"\n")
            lines.flush()


def do(layer: Layer, request: dict[str, Any]) -> Any:
    """Do what a request says (``do``) with the rest of it as arguments."""
    what = request.pop("do")
    faults = layer.faults
    match what:
        case "fault":
            return faults.add(request)
        case "clear":
            return faults.remove(request.get("rule"))
        case "acted":
            return faults.acted(request.get("rule"))
        case "calls":
            return dict(faults.calls)
        case "free":
            faults.free = request["bytes"]
        case "points":
            return layer.power.points
        case "cut":
            layer.power.cut(**request)
        case "is_cut":
            return layer.power.is_cut
        case "power_on":
            return layer.power.on(**request)
        case "settle":
            layer.power.settle()
        case _:
            raise ValueError(f"no such request: {what}")
    return None
