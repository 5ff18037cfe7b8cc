"""The registers behind the page's doors: live sessions and API tokens, kept in memory and in the ledger alike.

The cookie of a browser is worth nothing without its line here: that is what makes a log-out final and a stolen,
replayed cookie useless (ASVS 5.0: 7.2.3, 7.2.4, 7.4.1). All of it is small and bounded, so every request is answered
from memory; the ledger is written for what must survive a restart.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from daemon.clock import iso
from daemon.errors import NeedsPerson
from daemon.ledger.doors import SessionRow, TokenRow
from daemon.service.callers import Callers
from daemon.text import shown

if TYPE_CHECKING:
    from daemon.clock import Clock
    from daemon.events import Bus
    from daemon.ledger.ledger import Ledger

IDLE = 7 * 86400.0
"""Seconds after which a session that nobody used ends (ASVS 7.1.1)."""
ABSOLUTE = 30 * 86400.0
"""Seconds after which every session ends."""
MOST_SESSIONS = 100
MOST_TOKENS = 100
WRITE_EVERY = 60.0
"""Seconds between two notes of a last use; a dashboard asks every second, and each note is a disk write."""
TOKEN_DAYS = 365
LONGEST_TOKEN_DAYS = 3650
TOKEN_SCOPES = ("read", "control", "admin")


def hashed(secret: str) -> bytes:
    """Give what is kept of a secret: it has 256 random bits, so a plain hash cannot be searched for."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


class Registers:
    """Live sessions, API tokens, and the epoch: a number that a changed password makes the next one."""

    def __init__(self, ledger: Ledger, bus: Bus, clock: Clock) -> None:
        self._ledger = ledger
        self._tables = ledger.doors
        self._marks = ledger.marks
        self._audit = ledger.audit
        self.bus = bus
        self.callers = Callers()
        self._clock = clock
        self._sessions: dict[bytes, SessionRow] = {}
        self._tokens: dict[bytes, TokenRow] = {}
        self._written: dict[bytes, float] = {}
        self._password = ""
        self.epoch = 0
        self._loaded = False
        self._lock = anyio.Lock()

    async def load(self) -> None:
        """Read what the ledger holds; afterwards this does nothing."""
        if self._loaded:
            return
        async with self._lock:
            if not self._loaded:
                await anyio.to_thread.run_sync(self._load)
                self._loaded = True

    def _load(self) -> None:
        self._sessions = {row.id_hash: row for row in self._tables.sessions()}
        self._tokens = {row.hash: row for row in self._tables.tokens()}
        self._password = self._marks.get("doors.password")
        self.epoch = int(self._marks.get("doors.epoch") or 0)

    # -- the password -------------------------------------------------------------------------------------------

    async def password_is(self, mark: str) -> bool:
        """Take note which password is in force; where it is another one, end all sessions and give ``True``.

        ``mark`` tells two password hashes apart without being one. It is kept, so that a password changed while the
        daemon stood still ends the sessions too.
        """
        await self.load()
        if mark == self._password:
            return False
        async with self._lock:
            if mark == self._password:
                return False
            await anyio.to_thread.run_sync(self._new_epoch, mark)
        return True

    def _new_epoch(self, mark: str) -> None:
        gone = list(self._sessions)
        # One transaction: a password that is new in the ledger beside sessions that are not ended would keep them.
        with self._ledger.write():
            self._marks.put("doors.password", mark)
            self._marks.put("doors.epoch", str(self.epoch + 1))
            self._tables.end_sessions(gone)
        self._password = mark
        self.epoch += 1
        self._sessions.clear()
        self._written.clear()

    # -- sessions -----------------------------------------------------------------------------------------------

    async def begin(self, address: str, agent: str) -> str:
        """Begin a session and give its id, which only the caller's cookie keeps. Too many: the longest unused ends."""
        await self.load()
        identity, now = secrets.token_urlsafe(32), self._clock.wall()
        row = SessionRow(hashed(identity), self.epoch, now, now, address, shown(agent, 120))
        surplus = sorted(self._sessions.values(), key=lambda one: one.used_at)[
            : len(self._sessions) + 1 - MOST_SESSIONS
        ]
        await self._end([one.id_hash for one in surplus])
        await anyio.to_thread.run_sync(self._tables.add_session, row)
        self._sessions[row.id_hash] = row
        self._written[row.id_hash] = now
        return identity

    def session(self, identity: str, epoch: int) -> SessionRow | None:
        """Give the live session with this id, ``None`` where there is none (any more). Call :meth:`load` before."""
        return self.live(hashed(identity), epoch)

    def live(self, id_hash: bytes, epoch: int | None = None) -> SessionRow | None:
        """Give the live session with this hash; its limits, its epoch and the register itself must agree."""
        row = self._sessions.get(id_hash)
        if row is None or row.epoch != self.epoch or (epoch is not None and epoch != self.epoch):
            return None
        now = self._clock.wall()
        # A clock that was set back makes no session younger than new.
        return None if now - row.used_at > IDLE or now - row.began_at > ABSOLUTE else row

    async def used(self, row: SessionRow, address: str) -> None:
        """Take note that a session is in use."""
        now = self._clock.wall()
        row.used_at, moved = max(now, row.used_at), row.address != address
        row.address = address
        if moved or now - self._written.get(row.id_hash, 0.0) >= WRITE_EVERY:
            self._written[row.id_hash] = now
            await anyio.to_thread.run_sync(self._tables.session_used, row.id_hash, row.used_at, address)

    async def end(self, id_hash: bytes) -> bool:
        """End one session; tell whether there was one."""
        await self.load()
        there = id_hash in self._sessions
        await self._end([id_hash])
        return there

    async def end_all(self, besides: bytes | None = None) -> int:
        """End every session (but one) and give how many there were."""
        await self.load()
        gone = [one for one in self._sessions if one != besides]
        await self._end(gone)
        return len(gone)

    async def expire(self) -> bool:
        """Forget sessions and tokens whose time is over; tell whether there were any."""
        await self.load()
        gone = [one for one in self._sessions if self.live(one) is None]
        await self._end(gone)
        return bool(gone)

    async def _end(self, hashes: list[bytes]) -> None:
        if not hashes:
            return
        # From memory first: nobody gets in while the disk is slow.
        for one in hashes:
            self._sessions.pop(one, None)
            self._written.pop(one, None)
        await anyio.to_thread.run_sync(self._tables.end_sessions, hashes)

    def from_here_before(self, address: str) -> bool:
        """Tell whether somebody is logged in from this address."""
        return any(row.address == address for row in self._sessions.values())

    def sessions(self, current: bytes | None) -> list[dict[str, Any]]:
        """Give the live sessions for people, the one used last first; ``id`` names one and opens nothing."""
        rows = sorted(self._sessions.values(), key=lambda one: one.used_at, reverse=True)
        return [
            {
                "id": row.id_hash.hex()[:16],
                "began_at": iso(row.began_at),
                "used_at": iso(row.used_at),
                "ends_at": iso(min(row.began_at + ABSOLUTE, row.used_at + IDLE)),
                "address": row.address,
                "agent": row.agent,
                "current": row.id_hash == current,
            }
            for row in rows
            if self.live(row.id_hash)
        ]

    def named(self, shown_id: str) -> bytes | None:
        """Give the hash of the session that :meth:`sessions` shows under this ``id``."""
        return next((one for one in self._sessions if one.hex()[:16] == shown_id), None)

    # -- tokens -------------------------------------------------------------------------------------------------

    async def new_token(self, name: str, scope: str, days: int, who: str) -> tuple[str, dict[str, Any]]:
        """Make an API token; give it, for the only time, and its line in the list. Raises ``NeedsPerson``."""
        await self.load()
        if not name.strip() or len(name) > 80:
            raise NeedsPerson("token.name", "a token needs a name of 1 to 80 characters", hint="say what will use it")
        if scope not in TOKEN_SCOPES:
            raise NeedsPerson("token.scope", f"a token's scope is one of {', '.join(TOKEN_SCOPES)}")
        if not 1 <= days <= LONGEST_TOKEN_DAYS:
            raise NeedsPerson("token.days", f"a token lives 1 to {LONGEST_TOKEN_DAYS} days")
        if len(self._tokens) >= MOST_TOKENS:
            raise NeedsPerson("token.many", f"there are {MOST_TOKENS} tokens already", hint="remove those not used")
        token, now = f"prt_{secrets.token_urlsafe(32)}", self._clock.wall()
        name = shown(name.strip(), 80)
        row = await anyio.to_thread.run_sync(
            self._tables.add_token, name, hashed(token), scope, now, now + days * 86400.0
        )
        self._tokens[row.hash] = row
        await self.note("token made", who, f"{name} ({scope}, {days} days)")
        return token, self._token_line(row)

    async def token(self, token: str, address: str) -> TokenRow | None:
        """Give the valid token that this is, and take note of its use; ``None`` where it is none (any more)."""
        await self.load()
        row = self.valid(hashed(token))
        if row is not None:
            now = self._clock.wall()
            if row.used_at is None or now - row.used_at >= WRITE_EVERY or row.used_from != address:
                row.used_at, row.used_from = now, address
                await anyio.to_thread.run_sync(self._tables.token_used, row.id, now, address)
        return row

    def valid(self, token_hash: bytes) -> TokenRow | None:
        """Give the token with this hash if it may still be used."""
        row = self._tokens.get(token_hash)
        if row is None or not hmac.compare_digest(row.hash, token_hash):
            return None
        return None if row.expires_at is not None and self._clock.wall() >= row.expires_at else row

    def tokens(self) -> list[dict[str, Any]]:
        """Give all tokens for people, the newest first; those whose time is over too, so that one sees why."""
        return [self._token_line(row) for row in sorted(self._tokens.values(), key=lambda one: -one.id)]

    def _token_line(self, row: TokenRow) -> dict[str, Any]:
        return {
            "id": row.id,
            "name": row.name,
            "scope": row.scope,
            "created_at": iso(row.created_at),
            "expires_at": iso(row.expires_at),
            "used_at": iso(row.used_at),
            "used_from": row.used_from or None,
            "expired": self.valid(row.hash) is None,
        }

    async def remove_token(self, identity: int, who: str) -> None:
        """Remove a token at once. Raises ``NeedsPerson`` ``token.unknown``."""
        await self.load()
        row = next((one for one in self._tokens.values() if one.id == identity), None)
        if row is None:
            raise NeedsPerson("token.unknown", f"there is no API token {identity}")
        del self._tokens[row.hash]
        await anyio.to_thread.run_sync(self._tables.remove_token, identity)
        await self.note("token removed", who, row.name)

    # -- what is told -------------------------------------------------------------------------------------------

    async def note(self, deed: str, who: str, note: str = "") -> None:
        """Write a line into the audit trail."""
        now = self._clock.wall()
        await anyio.to_thread.run_sync(lambda: self._audit.note(now, deed, who=who, note=note))

    async def log_in(self, *, ok: bool, who: str, address: str) -> None:
        """Tell of a log-in: ``login.ok`` or ``login.failed`` on the bus, and a line in the audit trail."""
        self.bus.tell("login.ok" if ok else "login.failed", address=address)
        await self.note("login" if ok else "login failed", who)
