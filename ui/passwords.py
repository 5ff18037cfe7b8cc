"""Passwords: Argon2id hashes in the PHC text form, made and checked one at a time within bounded memory.

Measured on two old cores: 35 ms and 19 MiB for one check with OWASP's parameters (19 MiB, t=2, p=1), against 446 ms
and 128 MiB for scrypt with N=2^17. One at a time, so that a flood of log-ins cannot fill a small machine's memory.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread
from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from daemon.errors import NeedsPerson, Transient

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

LEAST = 8
"""Characters that a password has at least (ASVS 6.2.1); 15 are recommended."""
MOST_BYTES = 1024
QUEUE = 8
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
_PHC = re.compile(
    r"\$argon2id\$v=19\$m=([0-9]{1,7}),t=([0-9]{1,2}),p=([0-9]{1,2})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{22,86}"
)
_DUMMY = f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$AAAAAAAAAAAAAAAAAAAAAA$" + "A" * 43


def weakness(password: str) -> NeedsPerson | None:
    """Give why a new password cannot be taken, or ``None``."""
    if len(password) < LEAST:
        return NeedsPerson(
            "password.too_short",
            f"a password must have at least {LEAST} characters",
            hint="15 or more are better; several words are easy to remember",
        )
    if len(_bytes(password)) > MOST_BYTES:
        return NeedsPerson("password.too_long", f"a password must not be longer than {MOST_BYTES} bytes")
    if len(set(password)) < 4 or password.lower() in _COMMON:
        return NeedsPerson(
            "password.too_simple", "this password is among the first that anybody tries", hint="take another one"
        )
    return None


def hash_password(password: str) -> str:
    """Give the hash to keep. Blocking; raises ``NeedsPerson`` where the password cannot be taken."""
    if found := weakness(password):
        raise found
    argon = Argon2id(salt=os.urandom(16), length=32, iterations=PASSES, lanes=LANES, memory_cost=MEMORY_KIB)
    return argon.derive_phc_encoded(_bytes(password))


def is_usable(phc: str) -> bool:
    """Tell whether a hash can be checked: Argon2id, and with parameters that do not fill the memory."""
    found = _PHC.fullmatch(phc)
    return found is not None and int(found[1]) <= 256 * 1024 and 1 <= int(found[2]) <= 20 and 1 <= int(found[3]) <= 8


def matches(password: str, phc: str) -> bool:
    """Tell whether this is the password; takes as long for a wrong one, and as long where none is set. Blocking."""
    raw = _bytes(password)
    right = is_usable(phc) and len(raw) <= MOST_BYTES
    try:
        Argon2id.verify_phc_encoded(raw[:MOST_BYTES], phc if is_usable(phc) else _DUMMY)
    except (InvalidKey, ValueError):
        return False
    return right


class Line:
    """Lets one password be worked on at a time, in a thread; of those who wait, only a few, the others come again."""

    def __init__(self) -> None:
        self._one = anyio.Semaphore(1)
        self._waiting = 0

    async def matches(self, password: str, phc: str) -> bool:
        """Check a password. Raises ``Transient`` ``login.busy`` where too many wait already."""
        return await self._run(lambda: matches(password, phc))

    async def hash(self, password: str) -> str:
        """Make the hash of a new password. Raises ``Transient`` ``login.busy``, and what :func:`hash_password` does."""
        return await self._run(lambda: hash_password(password))

    def not_too_long(self) -> None:
        """Raise ``Transient`` ``login.busy`` where too many wait already."""
        if self._waiting >= QUEUE:
            raise Transient("login.busy", "too many log-ins at the same time", hint="try again", retry_after=2.0)

    async def _run(self, work: Callable[[], T]) -> T:
        self.not_too_long()
        self._waiting += 1
        try:
            async with self._one:
                return await anyio.to_thread.run_sync(work)
        finally:
            self._waiting -= 1


def _bytes(password: str) -> bytes:
    # JSON can carry lone surrogates, which strict UTF-8 refuses with an exception.
    return password.encode("utf-8", "surrogatepass")


_COMMON = frozenset(
    """password password1 password123 passw0rd 12345678 123456789 1234567890 qwertyui qwertyuiop qwerty123 iloveyou
    11111111 sunshine princess football baseball superman trustno1 photoprism nextcloud photonrelay photon-relay
    changeme changeit adminadmin administrator welcome1 letmein1 abcd1234 1q2w3e4r 1qaz2wsx hallo123 passwort
    passwort1""".split()  # noqa: SIM905 - thirty quoted words would be harder to read
)
