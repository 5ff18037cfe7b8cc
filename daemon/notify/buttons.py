"""Buttons: a message may carry a deed, as an address that does it once, until it expires, and nothing else.

A token is a nonce and a signature (HMAC-SHA256) over nonce, deed and subject; the ledger keeps the token's hash, so
that neither a stolen copy of the ledger nor a guess makes a button. The nonce follows from the message's number: a
message that is sent twice because its answer was lost has the same buttons, and they work once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from daemon.clock import iso
from daemon.errors import NeedsPerson

if TYPE_CHECKING:
    from daemon.ledger.ledger import Ledger

LIFETIME = 7 * 86400.0
"""Seconds for which a button works."""
_KEY = "key of buttons"
_NONCE, _SIGNATURE = 18, 18
LENGTH = (_NONCE + _SIGNATURE) * 4 // 3
ANSWERS = ("include", "exclude")
"""Deeds that answer the same question: the first one ends it."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What a button does: ``deed`` is ``include``, ``exclude`` (a user) or ``retry`` (an error's code)."""

    deed: str
    subject: str


class Buttons:
    """Makes and redeems tokens. Blocking."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def offer(self, number: int, deed: Deed, now: float) -> str:
        """Give the token for a deed in the message with this number."""
        nonce = self._hmac("nonce", str(number), deed.deed, deed.subject)[:_NONCE]
        token = base64.urlsafe_b64encode(nonce + self._signature(nonce, deed)).decode()
        self._ledger.deeds.offer(_hash(token), deed.deed, deed.subject, now, now + LIFETIME)
        return token

    def redeem(self, token: str, now: float) -> Deed:
        """Give the deed that a token stands for, and mark it as done.

        Raises:
            NeedsPerson: ``act.unknown``, ``act.used``, ``act.expired``.

        """
        row = self._ledger.deeds.find(_hash(token)) if len(token) == LENGTH and token.isascii() else None
        if row is None:
            raise NeedsPerson("act.unknown", "this button is not known here", hint="open the page instead")
        deed = Deed(row["deed"], row["subject"])
        given = base64.urlsafe_b64decode(token)
        if not hmac.compare_digest(given[_NONCE:], self._signature(given[:_NONCE], deed)):
            raise NeedsPerson("act.unknown", "this button is not known here", hint="open the page instead")
        if not self._ledger.deeds.use(_hash(token), now):
            if row["used_at"] is not None:
                raise NeedsPerson(
                    "act.used", f"this was decided already, at {iso(row['used_at'])}", hint="open the page to change it"
                )
            raise NeedsPerson(
                "act.expired", f"this button has expired at {iso(row['expires_at'])}", hint="open the page instead"
            )
        return deed

    def done(self, deed: Deed, now: float) -> None:
        """Take the other answers to the same question away."""
        if deed.deed in ANSWERS:
            self._ledger.deeds.settle(deed.subject, ANSWERS, now)

    def not_done(self, token: str) -> None:
        """Let a button be pressed once more whose deed failed."""
        self._ledger.deeds.give_back(_hash(token))

    def _signature(self, nonce: bytes, deed: Deed) -> bytes:
        return self._hmac("deed", nonce.hex(), deed.deed, deed.subject)[:_SIGNATURE]

    def _hmac(self, *parts: str) -> bytes:
        with self._ledger.write():
            key = self._ledger.marks.get(_KEY)
            if not key:
                key = secrets.token_hex(32)
                self._ledger.marks.put(_KEY, key)
        told = b"".join(len(data).to_bytes(4, "big") + data for data in map(str.encode, parts))
        return hmac.digest(bytes.fromhex(key), told, hashlib.sha256)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
