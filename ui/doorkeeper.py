"""Who may come in: what the settings, the registers, the cookie and the one-time code together say of a request."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import sys
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import anyio
import anyio.to_thread
from aiohttp_session import get_session

from daemon.errors import NeedsPerson, RelayError, Transient
from daemon.service.starting import starting
from ui.access import client_address, may_enter, parse_host, parse_peer, scheme_of
from ui.identity import FACTS, Facts, Who, nobody, protection_of, without_log_in, would_lock_out
from ui.keys import load_keys
from ui.passwords import Line
from ui.sessions import Cookies
from ui.throttle import Rate, Throttle, key_of
from ui.tokens import MalformedToken, bearer

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web
    from cryptography.fernet import MultiFernet

    from daemon.clock import Clock
    from daemon.service import Service
    from daemon.service.doors import Registers
    from daemon.settings import Settings
    from daemon.wake import Wake
    from ui.identity import Protection
    from ui.routes import Scope

log = logging.getLogger(__name__)

CODE_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Without those that people take for one another: I, L, O, 0, 1."""
CODE_LENGTH = 12
WRITE_TIME = 10.0
"""Seconds for which a password that was just written counts, though the settings in force do not have it yet."""
TICK = 1.0
"""Seconds between two looks whose time is over, while somebody is connected who must be told."""
RARELY = 60.0
"""Seconds between two looks while nobody is."""
LOOK_AT_KEYS = 3600.0
"""Seconds between two looks whether it is time for a new key."""


ASKING: ContextVar[Who | None] = ContextVar("asking", default=None)
"""Who asks, in the task (and the worker threads) that answers them."""


class Unauthorized(Exception):
    """Raised for a request that shows a token which is none, or none any more."""


class Doors:
    """Knows everybody who may come in. One for the page's life; the daemon's parts behind it come and go."""

    def __init__(
        self,
        service: Callable[[], Service | None],
        settings: Callable[[], Settings],
        clock: Clock,
        state: str,
        changed: Wake,
    ) -> None:
        self._service = service
        self._settings = settings
        self.clock = clock
        self._state = state
        self._changed = changed
        self.cookies = Cookies(self._sealing, self.facts, clock)
        self.throttle = Throttle()
        self.rate = Rate(burst=600, per_second=100)
        self.line = Line()
        self._keys: MultiFernet | None = None
        self._keys_at = 0.0
        self._keys_lock = anyio.Lock()
        self._code: bytes | None = None
        self._written: tuple[str, str, float] | None = None
        self._listeners: list[Callable[[], None]] = []
        self.watched: Callable[[], bool] = lambda: False
        """Whether anybody is connected for longer than a request; set by who serves."""
        self.own_certificate: Callable[[], bool] = lambda: False
        """Whether the page's own TLS shows a certificate that is not self-signed (for HSTS); set by who serves."""

    # -- beginning ----------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Load the keys and, where others reach a page that nothing protects, write a one-time code to the log."""
        now = self.clock.wall()
        if self._keys is None or not 0 <= now - self._keys_at < LOOK_AT_KEYS:
            async with self._keys_lock:
                if self._keys is None or not 0 <= now - self._keys_at < LOOK_AT_KEYS:
                    self._keys = await anyio.to_thread.run_sync(load_keys, self._state, now)
                    self._keys_at = now
        self._offer_code()

    async def run(self) -> None:
        """Look whose time is over, until cancelled: what has no request to notice it is told too."""
        before = self._settings()
        while True:
            seen = self._changed.count
            try:
                await self.open()
                registers = self.registers()
                if (config := self.service().config) is not None:
                    config.guard = guard
                changed = await self._look_at_password(registers)
                if await registers.expire() or changed or self._settings() is not before:
                    before = self._settings()
                    self.tell_ended()
            except RelayError as error:
                log.debug("%s", error)  # the daemon is being built anew, or the disk is full: seen elsewhere
            except Exception:
                # The doors stay shut to whoever cannot be looked up; the page itself must not end of it.
                log.exception("the doors could not be looked after")
                await self.clock.sleep(60 * TICK)
            await self._changed.wait(seen, TICK if self.watched() else RARELY)

    def _sealing(self) -> MultiFernet:
        if self._keys is None:
            raise Transient("daemon.starting", "the page is starting", retry_after=1.0)
        return self._keys

    def registers(self) -> Registers:
        """Give the registers. Raises ``Transient`` ``daemon.starting`` while the daemon's parts are being built."""
        service = self.service()
        return service.doors

    def service(self) -> Service:
        """Give the daemon's one door. Raises ``Transient`` ``daemon.starting`` while its parts are being built."""
        service = self._service()
        if service is None:
            raise starting()
        return service

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._settings()

    # -- the password -------------------------------------------------------------------------------------------

    def password_hash(self) -> str:
        """Give the hash of the password in force, empty where there is none."""
        current = self._settings().ui.password_hash.get_secret_value()
        if self._written is not None:
            old, new, until = self._written
            if current == old and self.clock.monotonic() < until:
                return new
            self._written = None
        return current

    async def write_password(self, phc: str, who: Who) -> None:
        """Write a new password's hash into the configuration and end all sessions.

        It counts at once, though the file is read again only in a moment. Raises what the configuration says.
        """
        config = self.service().config
        if config is None:
            raise NeedsPerson(
                "password.not_here", "the password cannot be set here", hint="use `photon-relay password`"
            )
        before = self._settings().ui.password_hash.get_secret_value()
        await config.set_password_hash(phc, who.audit)
        self._written = before, phc, self.clock.monotonic() + WRITE_TIME
        self._code = None
        await self.new_epoch()

    def protection(self) -> Protection:
        """Tell what protects the page now."""
        return protection_of(self._settings().ui, password=bool(self.password_hash()))

    async def _look_at_password(self, registers: Registers) -> bool:
        """Tell whether the password is another one than before; then every session has ended."""
        phc = self.password_hash()
        mark = hashlib.sha256(b"photon-relay password mark" + phc.encode()).hexdigest() if phc else ""
        return await registers.password_is(mark)

    async def new_epoch(self) -> None:
        """End all sessions if the password has changed, and tell their connections."""
        if await self._look_at_password(self.registers()):
            self.tell_ended()

    # -- the one-time code --------------------------------------------------------------------------------------

    def _offer_code(self) -> None:
        if self.protection() != "none":
            self._code = None
            return
        if self._code is not None:
            return
        code = "".join(secrets.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
        self._code = _digest(code)
        words = "-".join(code[start : start + 4] for start in range(0, CODE_LENGTH, 4))
        _log_privately(
            "other machines reach the page, and nothing protects it: it only shows how things are. To set a password on"
            f" the page, use this one-time code: {words}"
        )

    def code_fits(self, given: str) -> bool:
        """Tell whether this is the one-time code, as people type it."""
        return self._code is not None and hmac.compare_digest(self._code, _digest(given))

    @property
    def can_set_password(self) -> bool:
        """Whether a password may be set with the one-time code."""
        return self._code is not None and self.protection() == "none"

    # -- who asks -----------------------------------------------------------------------------------------------

    def facts(self, request: web.Request) -> Facts:
        """Give what a request's connection and headers say."""
        known = request.get(FACTS)
        if known is not None:
            return cast("Facts", known)
        trusted = self._settings().ui.trusted_proxies
        transport = request.transport
        peer = parse_peer(transport.get_extra_info("peername") if transport is not None else None)
        tls = transport is not None and transport.get_extra_info("sslcontext") is not None
        headers = request.headers
        forwarded = tuple(headers.getall("X-Forwarded-For", ()))
        hosts = headers.getall("Host", ())
        header = hosts[0] if len(hosts) == 1 else ""
        facts = Facts(
            peer=peer,
            forwarded=forwarded,
            by_proxy=any(name in headers for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via")),
            address=client_address(peer, forwarded, trusted),
            scheme=scheme_of(peer, tls=tls, proto=headers.getall("X-Forwarded-Proto", ()), trusted=trusted),
            host=parse_host(header) or "",
            host_header=header,
        )
        request[FACTS] = facts
        service = self._service()
        if peer is not None and service is not None:
            service.doors.callers.note(str(peer))
        return facts

    async def identify(self, request: web.Request) -> Who:
        """Give who asks. Raises ``Transient`` while nobody can be known, :class:`Unauthorized` for a wrong token."""
        facts = self.facts(request)
        registers = self.registers()
        await registers.load()
        await self.new_epoch()
        try:
            token = bearer(request.headers.getall("Authorization", ()))
        except MalformedToken:
            raise Unauthorized from None
        if token is not None:
            row = await registers.token(token, str(facts.address))
            if row is None:
                raise Unauthorized
            scope = cast("Scope", row.scope)
            return replace(nobody(facts), kind="token", scope=scope, session=row.hash.hex(), name=row.name)
        protection = self.protection()
        if protection == "password":
            session = await get_session(request)
            identity, epoch = session.get("id"), session.get("epoch")
            if isinstance(identity, str) and isinstance(epoch, int):
                live = registers.session(identity, epoch)
                if live is not None:
                    await registers.used(live, str(facts.address))
                    return self.who_of(facts, live.id_hash)
        return without_log_in(protection, facts)

    def who_of(self, facts: Facts, id_hash: bytes) -> Who:
        """Give who asks in a live session."""
        return replace(nobody(facts), kind="session", scope="admin", session=id_hash.hex())

    def verdict(self, who: Who) -> int | None:
        """Tell with which WebSocket code an open connection of theirs must end now, ``None`` where it may stay.

        4401: the session or token has ended. 4403: the address, or without a log-in anybody, is not let in any more.
        """
        service = self._service()
        if service is None:
            return None  # being built anew; the question is asked again
        peer = parse_peer((who.peer,))
        ui = self._settings().ui
        address = client_address(peer, who.forwarded, ui.trusted_proxies)
        if not may_enter(address, ui.allow):
            return 4403
        registers = service.doors
        if who.kind == "session":
            return None if registers.live(bytes.fromhex(who.session or "")) else 4401
        if who.kind == "token":
            return None if registers.valid(bytes.fromhex(who.session or "")) else 4401
        facts = Facts(peer, who.forwarded, who.by_proxy, address, "", who.host, "")
        return None if without_log_in(self.protection(), facts).may("read") else 4401

    def on_end(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` whenever somebody may have lost entry: then ask :meth:`verdict` of every connection."""
        self._listeners.append(listener)

    def tell_ended(self) -> None:
        """Tell the listeners that somebody may have lost entry."""
        for listener in self._listeners:
            listener()

    # -- trying -------------------------------------------------------------------------------------------------

    def begin_try(self, facts: Facts, device: str) -> tuple[str, float]:
        """Begin a try with a password or code: give the caller's throttle key, and the seconds to wait or 0.

        A browser that has logged in before (``device``, out of its sealed cookie) is throttled by itself, and so is an
        address with a live session: a flood by others, even through the same proxy, does not keep its owner out.
        """
        address = key_of(facts.address)
        key = f"device {device}" if device else address
        known = bool(device) or (facts.address is not None and self.registers().from_here_before(str(facts.address)))
        return key, self.throttle.enter(key, self.clock.monotonic(), known=known)

    def wants_hsts(self, request: web.Request) -> bool:
        """Tell whether the browser may be told to use https alone from now on.

        Only where https surely works for good: behind a trusted proxy's https, or with a certificate of one's own
        that is not self-signed; else a changed mind would lock people out of the page for months.
        """
        facts = self.facts(request)
        own = request.transport is not None and request.transport.get_extra_info("sslcontext") is not None
        return facts.secure and (self.own_certificate() if own else True)


def guard(new: Settings) -> None:
    """Raise ``NeedsPerson`` ``ui.lockout`` where these settings would shut out the very person who saves them.

    What is saved by hand or by a command has nobody to shut out: nobody asks through the page then.
    """
    who = ASKING.get()
    if who is not None and (why := would_lock_out(new, who)):
        raise NeedsPerson("ui.lockout", why, hint="change it in the settings file by hand if it is meant so")


def _digest(code: str) -> bytes:
    plain = "".join(char for char in code.upper() if char in CODE_LETTERS)
    return hashlib.sha256(plain.encode()).digest()


def _log_privately(message: str) -> None:
    """Write a line where only who runs the daemon reads it: not into the log that the page itself shows."""
    record = log.makeRecord(log.name, logging.WARNING, __file__, 0, message, (), None)
    handlers = [one for one in logging.getLogger().handlers if isinstance(one, logging.StreamHandler)]
    for handler in handlers:
        handler.handle(record)
    if not handlers:
        sys.stderr.write(f"{message}\n")
