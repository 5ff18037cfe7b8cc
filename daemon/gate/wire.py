"""HTTP, as little of it as is needed: one request on a connection, its head and a body of a known length.

A full reader of HTTP accepts more than the gate has a use for: chunks, continued lines, several requests on a
connection, two lengths. All of that is refused here, before anything else is looked at.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio

from daemon.gate.denied import Denied

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anyio.abc import ByteStream

_LINE: Final = re.compile(rb"([A-Z]{1,16}) ([!-~]{1,2048}) HTTP/1\.1")
_FIELD: Final = re.compile(rb"([A-Za-z0-9_-]{1,64}):[ \t]*([ -~]{0,2048})")
_LENGTH: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_HOST: Final = re.compile(r"[A-Za-z0-9._:\[\]%-]{0,255}")
_FIELDS: Final = 32
_END: Final = b"\r\n\r\n"
_CHUNK: Final = 16 * 1024

_REASONS: Final = {
    200: "OK", 201: "Created", 403: "Forbidden", 404: "Not Found", 408: "Request Timeout", 409: "Conflict",
    429: "Too Many Requests", 502: "Bad Gateway", 503: "Service Unavailable",
}  # fmt: skip

JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Head:
    """The first part of a request; names of fields in small letters, ``rest`` is what came after the head."""

    method: str
    target: str
    fields: Mapping[str, str]
    rest: bytes

    @property
    def wants_upgrade(self) -> bool:
        """Tell whether the connection is to become a plain stream."""
        return "upgrade" in self.fields


async def read_head(stream: ByteStream, limit: int) -> Head | None:
    """Read the head of the request; ``None`` where the client went away without a word.

    Raises:
        Denied: it is larger than ``limit``, or not what a head looks like here.

    """
    read = bytearray()
    while (end := read.find(_END)) < 0:
        if len(read) >= limit:
            raise Denied(f"the head of the request is larger than {limit} bytes")
        try:
            read += await stream.receive(_CHUNK)
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            if not read:
                return None
            raise Denied("the head of the request is incomplete") from None
    if end > limit:
        raise Denied(f"the head of the request is larger than {limit} bytes")
    return _parse(bytes(read[:end]), bytes(read[end + len(_END) :]))


def _parse(head: bytes, rest: bytes) -> Head:
    lines = head.split(b"\r\n")
    first = _LINE.fullmatch(lines[0])
    if first is None:
        raise Denied("the first line is not that of a request of HTTP/1.1")
    if len(lines) - 1 > _FIELDS:
        raise Denied(f"the head has more than {_FIELDS} fields")
    fields: dict[str, str] = {}
    for line in lines[1:]:
        found = _FIELD.fullmatch(line)
        if found is None:
            raise Denied("the head has a line that is no field")
        name = found[1].decode().lower()
        if name in fields:
            raise Denied(f"the field {name} is there twice")
        fields[name] = found[2].decode().strip()
    if not _HOST.fullmatch(fields.get("host", " ")):
        raise Denied("the request names no host")
    for name in ("transfer-encoding", "expect", "trailer", "te", "content-encoding"):
        if name in fields:
            raise Denied(f"the field {name} is not allowed")
    return Head(first[1].decode(), first[2].decode(), fields, rest)


async def read_body(stream: ByteStream, head: Head, limit: int) -> bytes:
    """Read the body, which is JSON; ``limit`` 0 means that there may be none.

    Raises:
        Denied: it has another length than it should, or it is not JSON.

    """
    length = _length(head)
    if length > limit:
        raise Denied(f"the body has {length} bytes, {limit} are allowed")
    if limit and head.fields.get("content-type", "").lower() not in {JSON, f"{JSON}; charset=utf-8"}:
        raise Denied("the body is not application/json")
    body = bytearray(head.rest)
    while len(body) < length:
        try:
            body += await stream.receive(_CHUNK)
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            raise Denied("the body is incomplete") from None
    if len(body) > length:
        raise Denied("more bytes came than the request has")
    return bytes(body)


def _length(head: Head) -> int:
    said = head.fields.get("content-length", "0" if head.method == "GET" else "")
    if not _LENGTH.fullmatch(said):
        raise Denied("the length of the body is not a plain number")
    return int(said)


def answer(status: int, content: Any) -> bytes:
    """Give a whole answer: JSON, or a plain text; the connection ends after it."""
    text, kind = (content, "text/plain; charset=utf-8") if isinstance(content, str) else (json.dumps(content), JSON)
    body = text.encode()
    return _head(status, kind, f"Content-Length: {len(body)}", "Connection: close") + body


def refusal(denied: Denied, why: str) -> bytes:
    """Give the answer for what was not carried out, in the engine's own form."""
    return answer(denied.status, {"message": why})


def stream_head(*, upgraded: bool) -> bytes:
    """Give the head of an answer that is a stream of frames until the connection ends."""
    if upgraded:
        return (
            b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
            b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        )
    return _head(200, "application/vnd.docker.raw-stream", "Connection: close")


def frame(kind: int, data: bytes) -> bytes:
    """Give a piece of output as the engine does: which stream, how long, the bytes."""
    return bytes([kind, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


def _head(status: int, kind: str, *fields: str) -> bytes:
    lines = [f"HTTP/1.1 {status} {_REASONS[status]}", f"Content-Type: {kind}", *fields, "", ""]
    return "\r\n".join(lines).encode("ascii")
