"""Nobody locks themselves out by a setting that they change through the page."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from daemon.errors import NeedsPerson
from tests.ui.doors.world import HASH, HOME, settings
from ui.doorkeeper import ASKING, guard
from ui.identity import Facts, Who, nobody, protection_of, without_log_in, would_lock_out

LAN: dict[str, Any] = {"listen": "0.0.0.0:8080"}


def facts(address: str = HOME, peer: str = "", forwarded: tuple[str, ...] = (), host: str = "192.168.1.5") -> Facts:
    known = ip_address(peer or address)
    return Facts(known, forwarded, bool(forwarded), ip_address(address), "http", host, host)


def who(kind: Any = "open", scope: Any = "admin", **more: Any) -> Who:
    found = nobody(facts(**more), scope)
    return Who(kind, scope, found.address, "00", "", found.peer, found.forwarded, found.by_proxy, found.host)


@pytest.mark.parametrize(
    ("new", "caller", "out"),
    [
        ({**LAN, "open": True}, who(), False),
        ({**LAN, "allow": ["192.168.1.0/24"]}, who(), False),
        ({**LAN, "allow": ["192.168.2.0/24"]}, who(), True),
        ({**LAN, "allow": ["192.168.2.0/24"], "password_hash": HASH}, who("session"), True),
        ({**LAN, "password_hash": HASH}, who("session"), False),
        ({**LAN, "password_hash": HASH}, who("list"), False),
        ({**LAN}, who("list"), True),
        ({**LAN}, who("session"), True),
        ({**LAN}, who("nobody", "read"), False),
        ({**LAN, "open": True, "hosts": ["new.example"]}, who(host="relay.example"), True),
        ({**LAN, "open": True, "hosts": ["relay.example"]}, who(host="relay.example"), False),
        ({**LAN, "open": True, "url": "https://relay.example"}, who(host="relay.example"), False),
        ({"open": True}, who(), True),
        ({}, who("loopback", address="127.0.0.1"), False),
        ({**LAN}, who("loopback", address="127.0.0.1"), True),
        # The proxy is not trusted any more: its own address is the caller's then.
        (
            {**LAN, "open": True, "allow": ["192.168.1.0/24"]},
            who(peer="172.18.0.2", forwarded=(HOME,)),
            True,
        ),
        (
            {**LAN, "open": True, "allow": ["192.168.1.0/24"], "trusted_proxies": ["172.18.0.2"]},
            who(peer="172.18.0.2", forwarded=(HOME,)),
            False,
        ),
    ],
)
def test_who_would_be_locked_out(new: dict[str, Any], caller: Who, out: bool) -> None:
    found = would_lock_out(settings(**new), caller)
    assert bool(found) is out, found


def test_the_guard_knows_who_asks() -> None:
    new = settings(**LAN, allow=["192.168.2.0/24"])
    guard(new)  # nobody asks through the page
    before = ASKING.set(who())
    try:
        with pytest.raises(NeedsPerson) as error:
            guard(new)
        assert error.value.code == "ui.lockout"
        assert HOME in error.value.message
    finally:
        ASKING.reset(before)


@pytest.mark.parametrize(
    ("ui", "expected"),
    [
        ({"password_hash": HASH, "open": True, "allow": [HOME]}, "password"),
        ({"open": True, "allow": [HOME]}, "open"),
        ({"allow": [HOME], **LAN}, "list"),
        ({}, "loopback"),
        ({"listen": "[::1]:8080"}, "loopback"),
        ({"listen": "localhost:8080"}, "loopback"),
        (LAN, "none"),
        ({"listen": "[::]:8080"}, "none"),
        ({"listen": "nas.example:8080"}, "none"),
        ({"listen": "192.168.1.5:8080"}, "none"),
    ],
)
def test_what_protects_a_page(ui: dict[str, Any], expected: str) -> None:
    found = settings(**ui).ui
    assert protection_of(found, password="password_hash" in ui) == expected


@pytest.mark.parametrize(
    ("protection", "address", "by_proxy", "scope"),
    [
        ("password", HOME, False, "none"),
        ("open", HOME, False, "admin"),
        ("list", HOME, False, "admin"),
        ("loopback", "127.0.0.1", False, "admin"),
        ("loopback", "127.0.0.1", True, "read"),
        ("loopback", HOME, False, "read"),
        ("none", HOME, False, "read"),
        ("none", "127.0.0.1", False, "read"),
    ],
)
def test_what_anybody_may(protection: Any, address: str, by_proxy: bool, scope: str) -> None:
    found = facts(address)
    made = Facts(found.peer, (), by_proxy, found.address, "http", "x", "x")
    assert without_log_in(protection, made).scope == scope
