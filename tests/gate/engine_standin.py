"""An engine that writes down every request it gets, on a real socket; for what a real one cannot be made to do."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from daemon.gate.wire import frame

if TYPE_CHECKING:
    from pathlib import Path

OURS = "a" * 64
OTHER = "b" * 64
STOPPED = "c" * 64

PASSWD = "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/sh\ntoor:x:0:0::/root:/bin/sh\nabc:x:zero:0::/:\n"


def container(id_: str, name: str, state: str = "running", **labels: str) -> dict[str, Any]:
    return {
        "Id": id_,
        "Names": [f"/{name}"],
        "State": state,
        "Labels": {"secret": "of nobody's business"} | labels,
        "Image": "nextcloud",
        "Command": "apache2 --password=hunter2",
        "Mounts": [{"Source": "/srv"}],
    }


@dataclass
class StandinEngine:
    """Set ``output``, ``flood`` or ``hang`` for what a command does; ``requests`` is what the engine was asked."""

    listed: list[dict[str, Any]] = field(
        default_factory=lambda: [container(OURS, "nextcloud"), container(OTHER, "photoprism")]
    )
    passwd: str = PASSWD
    output: bytes = b"all well\n"
    flood: int = 0
    hang: bool = False
    running: bool = False
    fault: tuple[int, str] | None = None
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    execs: dict[str, list[str]] = field(default_factory=dict)
    gone: int = 0
    """Streams that the gate closed before their end."""

    def asked(self, *, beside_passwd: bool = True) -> list[tuple[str, str, Any]]:
        """Give the requests that changed something or ran something."""
        found = [one for one in self.requests if one[0] != "GET"]
        return [one for one in found if not (beside_passwd and _is_passwd(one, self))]

    async def serve(self, path: Path) -> asyncio.Server:
        return await asyncio.start_unix_server(self._connection, path)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, target, _ = head.split("\r\n")[0].split(" ")
                length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
                body = await reader.readexactly(int(length[1])) if length else b""
                self.requests.append((method, target, json.loads(body) if body else None))
                if await self._answer(method, target, json.loads(body) if body else {}, reader, writer):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(
        self, method: str, target: str, body: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        path = re.sub(r"^/v1\.41", "", target)
        status: int = 200
        content: Any = None
        if self.fault and path != "/version":
            status, content = self.fault[0], {"message": self.fault[1]}
        elif path == "/version":
            content = {"ApiVersion": "1.41", "MinAPIVersion": "1.12", "KernelVersion": "6.1", "Version": "20.10"}
        elif path == "/containers/json?all=1":
            content = self.listed
        elif method == "POST" and (found := re.fullmatch(r"/containers/([0-9a-f]{64})/exec", path)):
            made = f"{len(self.execs):064x}"
            self.execs[made] = body["Cmd"]
            status, content = 201, {"Id": made}
        elif method == "POST" and (found := re.fullmatch(r"/exec/([0-9a-f]{64})/start", path)):
            await self._start(self.execs[found[1]], reader, writer)
            return True
        elif found := re.fullmatch(r"/exec/([0-9a-f]{64})/json", path):
            content = {
                "Running": self.running,
                "ExitCode": None if self.running else 7,
                "ProcessConfig": {"tty": False},
            }
            content |= {"ContainerID": OURS, "Pid": 4711}
        else:
            status, content = 404, {"message": "page not found"}
        data = json.dumps(content).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        writer.write(head.encode() + data)
        await writer.drain()
        return False

    async def _start(self, cmd: list[str], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        if cmd == ["cat", "/etc/passwd"]:
            writer.write(frame(1, self.passwd.encode()))
            return
        writer.write(frame(1, self.output) + frame(2, b"a warning\n"))
        try:
            for _ in range(self.flood):
                writer.write(frame(1, b"x" * 32768))
                await writer.drain()
            if self.hang:
                await reader.read()
                self.gone += 1
        except ConnectionError:
            self.gone += 1


def _is_passwd(request: tuple[str, str, Any], engine: StandinEngine) -> bool:
    _, target, body = request
    if body and body.get("Cmd") == ["cat", "/etc/passwd"]:
        return True
    found = re.search(r"/exec/([0-9a-f]{64})/start", target)
    return bool(found and engine.execs.get(found[1]) == ["cat", "/etc/passwd"])
