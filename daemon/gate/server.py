"""The gate itself: takes connections, one request each, and does what is allowed."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio
from anyio import BrokenResourceError, ClosedResourceError

from daemon.gate import bodies, routes, target, wire
from daemon.gate.accounts import Accounts
from daemon.gate.denied import Denied
from daemon.gate.execs import Execs
from daemon.gate.limits import Bucket, Limits
from daemon.gate.routes import Deed
from daemon.gate.upstream import STDERR, STDOUT
from daemon.text import shown

if TYPE_CHECKING:
    from anyio.abc import ByteStream, SocketListener

    from daemon.clock import Clock
    from daemon.gate.execs import Made
    from daemon.gate.routes import Route
    from daemon.gate.rules import Rules
    from daemon.gate.upstream import Output, Upstream
    from daemon.gate.wire import Head

log = logging.getLogger("daemon.gate")

SHOWN = 400
"""Characters of a reason in the log and in an answer."""

_LINGER_BYTES = 1024 * 1024
_LINGER_SECONDS = 1.0


class Gate:
    """Answers the requests of `routes` by the rules; everything else is refused and logged."""

    def __init__(self, rules: Rules, upstream: Upstream, *, limits: Limits, clock: Clock) -> None:
        self._rules = rules
        self._upstream = upstream
        self._limits = limits
        self._clock = clock
        self._execs = Execs(limits, clock)
        self._accounts = Accounts(upstream.passwd, seconds=limits.passwd_seconds, clock=clock)
        self._requests = Bucket(limits.requests_rate, limits.requests_burst, clock)
        self._lists = Bucket(limits.lists_rate, limits.lists_burst, clock)
        self._creates = Bucket(limits.creates_rate, limits.creates_burst, clock)
        self._flood_lines = Bucket(1.0, 5, clock)
        self._flooded = 0
        self._connections = 0

    async def serve(self, listener: SocketListener) -> None:
        """Take connections until cancelled."""
        await listener.serve(self._connection)

    async def _connection(self, stream: ByteStream) -> None:
        what = "a connection"
        self._connections += 1
        try:
            async with stream:
                if self._connections > self._limits.connections or not self._requests.take():
                    await self._too_many(stream)
                    return
                try:
                    with anyio.fail_after(self._limits.request_seconds):
                        head = await wire.read_head(stream, self._limits.head_bytes)
                        if head is None:
                            return
                        what = f"{head.method} {head.target}"
                        route = routes.find(head.method, head.target)
                        body = await wire.read_body(stream, head, self._body_limit(route))
                        _check_upgrade(route, head)
                    await self._answer(stream, route, head, body)
                except TimeoutError:
                    await self._refuse(stream, what, Denied("the request came too slowly", status=408))
                except Denied as denied:
                    await self._refuse(stream, what, denied)
        except (BrokenResourceError, ClosedResourceError):
            # The client went before it had its answer.
            return
        except Exception:
            log.exception("a fault of the gate itself at %s", shown(what, SHOWN))
        finally:
            self._connections -= 1

    def _body_limit(self, route: Route) -> int:
        return {Deed.CREATE: self._limits.create_bytes, Deed.START: self._limits.start_bytes}.get(route.deed, 0)

    async def _too_many(self, stream: ByteStream) -> None:
        """Say no without reading, waiting, or a log line for each: this is what a flood gets."""
        denied = Denied("too many requests at once", status=429)
        self._flooded += 1
        if self._flood_lines.take():
            log.warning("refused (429) %d requests: %s", self._flooded, denied.why)
            self._flooded = 0
        with anyio.move_on_after(_LINGER_SECONDS):
            await stream.send(wire.refusal(denied, denied.why))

    async def _refuse(self, stream: ByteStream, what: str, denied: Denied) -> None:
        why = shown(denied.why, SHOWN)
        log.warning("refused (%d) %s: %s", denied.status, shown(what, SHOWN), why)
        await self._send(stream, wire.refusal(denied, why))

    async def _answer(self, stream: ByteStream, route: Route, head: Head, body: bytes) -> None:
        content: Any
        match route.deed:
            case Deed.PING:
                await self._upstream.version()
                content = "OK"
            case Deed.VERSION:
                content = await self._upstream.version()
            case Deed.LIST:
                if not self._lists.take():
                    raise Denied("too many lists at once", status=429)
                wanted = self._rules.container
                found = target.visible(wanted, await self._upstream.containers())
                content = [target.entry(wanted, container) for container in found]
            case Deed.CREATE:
                await self._send(stream, wire.answer(201, {"Id": await self._create(route.of, body)}))
                return
            case Deed.START:
                bodies.read_start(body)
                await self._start(stream, route.of, upgraded=head.wants_upgrade)
                return
            case Deed.INSPECT:
                content = await self._inspect(self._execs.look(route.of))
        await self._send(stream, wire.answer(200, content))

    async def _send(self, stream: ByteStream, data: bytes) -> None:
        """Send an answer, and let what the client still sends run dry: closing at once could cost it the answer."""
        with anyio.move_on_after(self._limits.write_seconds):
            await stream.send(data)
            await stream.send_eof()
        with anyio.move_on_after(_LINGER_SECONDS):
            taken = 0
            while taken < _LINGER_BYTES:
                try:
                    taken += len(await stream.receive())
                except anyio.EndOfStream:
                    return

    async def _create(self, named: str, body: bytes) -> str:
        asked = bodies.read_create(body, named, self._rules)
        if not self._creates.take():
            raise Denied("too many execs at once", status=429)
        container = target.resolve(self._rules.container, named, await self._upstream.containers())
        await self._accounts.check(container.id, asked.user)
        return self._execs.add(container, asked)

    async def _inspect(self, made: Made) -> dict[str, Any]:
        if not made.engine_id:
            return {"Running": False, "ExitCode": None, "ProcessConfig": {"tty": False}}
        found = await self._upstream.inspect(made.engine_id)
        if made.started and not found["Running"]:
            made.ended = True
        return found

    async def _look_after(self, made: Made) -> None:
        """Find out whether a command that nobody listens to has ended."""
        try:
            await self._inspect(made)
        except Denied as denied:
            # The engine forgets execs with their container.
            made.ended = made.ended or denied.status == 404

    async def _start(self, stream: ByteStream, ours: str, *, upgraded: bool) -> None:
        if len(self._execs.running()) >= self._limits.running:
            for made in self._execs.running():
                if not made.streaming:
                    await self._look_after(made)
            if len(self._execs.running()) >= self._limits.running:
                raise Denied("too many commands run already", status=429)
        made = self._execs.take(ours)
        ended = True
        try:
            made.engine_id = await self._upstream.create(made.container.id, made.asked.argv, made.asked.user)
            ended = False
            log.info("runs in %s", shown(made.what, SHOWN))
            async with aclosing(await self._upstream.start(made.engine_id)) as output:
                ended = await self._pass_on(stream, wire.stream_head(upgraded=upgraded), output, made)
        finally:
            self._execs.left(made, ended=ended)

    async def _pass_on(self, stream: ByteStream, first: bytes, output: Output, made: Made) -> bool:
        """Pass output on until it ends, the client goes, or a limit is reached; tell whether it ended."""
        stopped = ""
        ended = False
        with anyio.move_on_after(self._limits.exec_seconds) as limit:
            async with anyio.create_task_group() as tasks:

                async def watch() -> None:
                    nonlocal stopped
                    try:
                        await stream.receive()
                        stopped = "the client sent something, though the command has no input"
                    except (anyio.EndOfStream, BrokenResourceError):
                        stopped = "the client went"
                    tasks.cancel_scope.cancel()

                tasks.start_soon(watch)
                try:
                    await self._timely(stream, first)
                    ended = await self._pump(stream, output)
                except Denied as denied:
                    stopped = denied.why
                except BrokenResourceError:
                    stopped = "the client went"
                tasks.cancel_scope.cancel()
        if limit.cancelled_caught:
            stopped = f"it ran for longer than {self._limits.exec_seconds:.0f} s"
        if stopped and not ended:
            log.warning("refused further output (%s) of %s; it may still be running", stopped, shown(made.what, SHOWN))
        return ended

    async def _pump(self, stream: ByteStream, output: Output) -> bool:
        began, sent = self._clock.monotonic(), 0
        while (piece := await output.read()) is not None:
            sent += len(piece.data)
            if sent > self._limits.output_bytes:
                raise Denied(f"more output than {self._limits.output_bytes} bytes")
            await self._timely(stream, wire.frame(STDERR if piece.stream == STDERR else STDOUT, piece.data))
            ahead = sent / self._limits.output_rate - (self._clock.monotonic() - began)
            if ahead > 0:
                await self._clock.sleep(ahead)
        return True

    async def _timely(self, stream: ByteStream, data: bytes) -> None:
        with anyio.move_on_after(self._limits.write_seconds) as limit:
            await stream.send(data)
        if limit.cancelled_caught:
            raise Denied("the client takes its output too slowly")


def _check_upgrade(route: Route, head: Head) -> None:
    """Let pass an upgrade only where an exec is started, and only to the engine's plain stream."""
    if not head.wants_upgrade:
        return
    asked = (head.fields["upgrade"].lower(), head.fields.get("connection", "").lower())
    if route.deed is not Deed.START or asked != ("tcp", "upgrade"):
        raise Denied("this request cannot be upgraded")
