"""Who a request comes from and what that allows: pure rules about the settings in force."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from aiohttp import web

from ui.access import Address, client_address, host_is_ours, is_loopback, may_enter, parse_peer
from ui.routes import RANK, Scope
from ui.throttle import key_of

if TYPE_CHECKING:
    from daemon.settings import Settings, Ui

Kind = Literal["session", "token", "open", "loopback", "list", "nobody"]
Protection = Literal["password", "list", "open", "loopback", "none"]
"""What keeps strangers from changing things; ``none``: nothing does, so the page only shows."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a request's connection and headers say, worked out once."""

    peer: Address | None
    forwarded: tuple[str, ...]
    by_proxy: bool
    """Some proxy has passed it on, trusted or not: who asks is somebody else than the socket's other end."""
    address: Address | None
    scheme: str
    host: str
    host_header: str

    @property
    def secure(self) -> bool:
        """Whether the browser really used https."""
        return self.scheme == "https"


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks, and what they may do."""

    kind: Kind
    scope: Scope
    address: str
    session: str | None = None
    """The SHA-256 of the session's id or of the API token, in hex: a name for it that opens nothing."""
    name: str = ""
    """An API token's name."""
    peer: str = ""
    forwarded: tuple[str, ...] = ()
    by_proxy: bool = False
    host: str = ""

    def may(self, scope: Scope) -> bool:
        """Tell whether this scope is covered."""
        return RANK[self.scope] >= RANK[scope]

    @property
    def place(self) -> str:
        """What counts as one caller where places are few; empty for this machine, through which anybody may come."""
        address = parse_peer((self.address,))
        return "" if address is not None and address.is_loopback else key_of(address)

    @property
    def key(self) -> str:
        """The session or token as one word, empty for those who need neither."""
        return f"{self.kind}:{self.session}" if self.session else ""

    @property
    def audit(self) -> str:
        """The way in and the address, for the audit trail: ``page 192.168.1.7``, ``token "grafana" 192.168.1.7``."""
        return f'token "{self.name}" {self.address}' if self.kind == "token" else f"page {self.address}"


FACTS = web.RequestKey("facts", Facts)
WHO = web.RequestKey("who", Who)
"""Where a request that has come through the doors carries who asks."""


def nobody(facts: Facts, scope: Scope = "none") -> Who:
    """Give who asks where nothing is known but the address."""
    return Who(
        kind="nobody",
        scope=scope,
        address=str(facts.address or "unknown"),
        peer=str(facts.peer or ""),
        forwarded=facts.forwarded,
        by_proxy=facts.by_proxy,
        host=facts.host,
    )


def protection_of(ui: Ui, *, password: bool) -> Protection:
    """Tell what protects the page: a password wins over all else, ``ui.open`` over the list (it says so itself)."""
    if password:
        return "password"
    if ui.open:
        return "open"
    if ui.allow:
        return "list"
    return "loopback" if is_loopback(ui.address[0]) else "none"


def without_log_in(protection: Protection, facts: Facts) -> Who:
    """Give who asks without a session or a token, and what the protection lets them do."""
    who = nobody(facts)
    match protection:
        case "password":
            return who
        case "open" | "list":
            return replace(who, kind=protection, scope="admin")
        case "loopback" if facts.address is not None and facts.address.is_loopback and not facts.by_proxy:
            return replace(who, kind="loopback", scope="admin")
        case _:
            # Also for a page that listens on loopback behind a proxy: that proxy may let in anybody.
            return replace(who, scope="read")


def would_lock_out(new: Settings, who: Who) -> str | None:
    """Tell in a sentence why these settings would shut out the very person who wants to save them, else ``None``."""
    ui = new.ui
    peer = parse_peer((who.peer,))
    address = client_address(peer, who.forwarded, ui.trusted_proxies)
    if not may_enter(address, ui.allow):
        return f"your own address {address or who.address} would not be let in any more: add it to ui.allow"
    if who.host and not host_is_ours(who.host, ui):
        return f"the page could not be called {who.host} any more, as you do now: keep that name in ui.hosts"
    if peer is not None and not peer.is_loopback and is_loopback(ui.address[0]):
        return "with that ui.listen the page could be reached only from the machine it runs on, not from yours"
    password = bool(ui.password_hash.get_secret_value())
    if who.kind in {"session", "token"} and password:
        return None
    facts = Facts(peer, who.forwarded, who.by_proxy, address, "", who.host, "")
    after = without_log_in(protection_of(ui, password=password), facts)
    if who.may("admin") and not after.may("admin"):
        if password:
            return None  # who sets a password knows it
        return "nobody could change anything on this page any more: keep ui.allow, or set a password first"
    return None
