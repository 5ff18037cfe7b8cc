"""The control channel: one JSON object a line over a Unix socket, answered by one line each."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from tests.torture.fuse.layer import Layer, Power

_OF_POWER = frozenset({"points", "cut", "is_cut", "power_on", "settle", "audit", "audited"})


def serve(path: Path, layer: Layer) -> None:
    """Answer requests for ``layer`` in a thread of its own, until the test closes the connection or dies.

    Then this process is told to end (SIGTERM), which unmounts the layer.
    """
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(1)
    threading.Thread(target=_accept, args=(server, layer), daemon=True).start()


def _accept(server: socket.socket, layer: Layer) -> None:
    connection, _ = server.accept()
    try:
        _answer(connection, layer)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)


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
    if what in _OF_POWER:
        return _power(layer.power, what, request)
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
            return None
        case _:
            raise ValueError(f"no such request: {what}")


def _power(power: Power, what: str, request: dict[str, Any]) -> Any:
    match what:
        case "points":
            return power.points
        case "is_cut":
            return power.is_cut
        case "power_on":
            return power.on(**request)
        case "audited":
            return power.end_audit()
        case "cut":
            power.cut(**request)
        case "audit":
            power.begin_audit(**request)
        case "settle":
            power.settle()
    return None
