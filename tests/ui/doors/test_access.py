"""The pure rules about addresses, names and origins."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ui.doors.world import settings
from ui.access import (
    client_address,
    contains,
    fetched_by_another_site,
    host_is_ours,
    host_line,
    is_loopback,
    may_enter,
    origin_is_ours,
    parse_hop,
    parse_host,
    parse_peer,
    plain,
    scheme_of,
)

PROXY = ip_address("172.18.0.2")
TRUSTED = [ip_network("172.18.0.0/16"), ip_network("fd00::/64")]
addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(plain)
strangers = addresses.filter(lambda one: not contains(TRUSTED, one))
texts = st.text(max_size=40)


def written(address: IPv4Address | IPv6Address, how: int) -> str:
    if isinstance(address, IPv4Address):
        return [str(address), f"{address}:443", f" {address}\t", f"::ffff:{address}"][how]
    return [str(address), f"[{address}]:443", f"[{address}]", f"{address.exploded.upper()}"][how]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], "172.18.0.2"),
        ([""], "172.18.0.2"),
        (["192.168.1.7"], "192.168.1.7"),
        (["10.9.9.9, 192.168.1.7"], "192.168.1.7"),
        (["127.0.0.1, 192.168.1.7, 172.18.0.9"], "192.168.1.7"),
        (["192.168.1.7", "172.18.0.9"], "192.168.1.7"),
        (["172.18.0.5, 172.18.0.9"], "172.18.0.5"),
        (["garbage, 192.168.1.7"], "192.168.1.7"),
        (["192.168.1.7, garbage"], None),
        (["192.168.1.7,"], None),
        (["192.168.1.7", ""], None),
        (["unknown"], None),
        (["192.168.1.7:8080"], "192.168.1.7"),
        (["[2001:db8::1]:8080"], "2001:db8::1"),
        (["2001:db8::1"], "2001:db8::1"),
        (["::ffff:192.168.1.7"], "192.168.1.7"),
        (["fe80::1%eth0"], "fe80::1"),
        (["[192.168.1.7]"], None),
        (["192.168.1.07"], None),
        (["3232235783"], None),
        (["192.168.1.7;evil"], None),
        (["1.2.3.4\x00"], None),
        (["_hidden"], None),
        (["localhost"], None),
    ],
)
def test_who_stands_behind_a_trusted_proxy(lines: list[str], expected: str | None) -> None:
    found = client_address(PROXY, lines, TRUSTED)
    assert found == (ip_address(expected) if expected else None)


@given(strangers, st.lists(texts))
def test_a_stranger_cannot_say_who_it_is(peer: IPv4Address | IPv6Address, lines: list[str]) -> None:
    assert client_address(peer, lines, TRUSTED) == peer


@given(strangers, st.integers(0, 3), st.lists(texts, max_size=5), st.booleans())
def test_whatever_a_client_wrote_before_the_proxy_counts_for_nothing(
    client: IPv4Address | IPv6Address, how: int, forged: list[str], lines: bool
) -> None:
    theirs = [*forged, written(client, how)] if lines else [", ".join([*forged, written(client, how)])]
    assert client_address(PROXY, theirs, TRUSTED) == client


@given(st.lists(st.one_of(texts, addresses.map(str)), max_size=70))
def test_anything_at_all_gives_an_address_that_a_proxy_wrote_or_nobody(lines: list[str]) -> None:
    found = client_address(PROXY, lines, TRUSTED)
    hops = [parse_hop(hop) for line in lines for hop in line.split(",")]
    assert found is None or found == PROXY or found in hops


@given(texts)
def test_a_hop_is_an_address_or_nothing(text: str) -> None:
    found = parse_hop(text)
    assert found is None or str(found)


@given(addresses, st.integers(0, 3))
def test_every_way_to_write_an_address_is_understood(address: IPv4Address | IPv6Address, how: int) -> None:
    assert parse_hop(written(address, how)) == address


def test_a_header_of_thousands_of_proxies_is_nobody() -> None:
    assert client_address(PROXY, [", ".join(["172.18.0.3"] * 5000)], TRUSTED) is None


@pytest.mark.parametrize(
    ("networks", "address", "inside"),
    [
        (["192.168.1.0/24"], "192.168.1.7", True),
        (["192.168.1.0/24"], "::ffff:192.168.1.7", True),
        (["::ffff:192.168.1.0/120"], "192.168.1.7", True),
        (["::ffff:192.168.1.0/120"], "192.168.2.7", False),
        (["192.168.1.0/24"], "192.168.2.7", False),
        (["::/0"], "192.168.1.7", False),
        (["0.0.0.0/0"], "2001:db8::1", False),
        (["fd00::/8"], "fd12::1", True),
        (["fd00::/8"], "fd12::1%eth0", True),
        ([], "192.168.1.7", False),
    ],
)
def test_lists_of_addresses(networks: list[str], address: str, inside: bool) -> None:
    found = plain(ip_address(address))
    assert contains([ip_network(one) for one in networks], found) is inside


def test_an_empty_list_lets_in_whoever_has_an_address() -> None:
    assert may_enter(PROXY, [])
    assert not may_enter(None, [])
    assert not may_enter(None, TRUSTED)


@pytest.mark.parametrize("peer", [None, "", "/run/socket", (), ("",), (7, 8), ("nonsense", 1)])
def test_a_peer_without_an_address_is_nobody(peer: object) -> None:
    assert parse_peer(peer) is None


@pytest.mark.parametrize(
    ("proto", "peer", "expected"),
    [
        (["https"], PROXY, "https"),
        (["HTTPS"], PROXY, "https"),
        (["https, http"], PROXY, "http"),
        (["https", "http"], PROXY, "http"),
        (["ftp"], PROXY, "http"),
        ([], PROXY, "http"),
        (["https"], ip_address("192.168.1.7"), "http"),
        (["https"], None, "http"),
    ],
)
def test_https_is_what_a_trusted_proxy_says(proto: list[str], peer: Any, expected: str) -> None:
    assert scheme_of(peer, tls=False, proto=proto, trusted=TRUSTED) == expected
    assert scheme_of(peer, tls=True, proto=proto, trusted=TRUSTED) == "https"


@pytest.mark.parametrize(
    ("header", "name", "ours"),
    [
        ("192.168.1.5:8080", "192.168.1.5", True),
        ("[fd00::5]:8080", "fd00::5", True),
        ("localhost:8080", "localhost", True),
        ("LOCALHOST.", "localhost", True),
        ("relay.example", "relay.example", True),
        ("Relay.Example:443", "relay.example", True),
        ("photos.example.org", "photos.example.org", True),
        ("evil.example", "evil.example", False),
        ("localhost.evil.example", "localhost.evil.example", False),
        ("relay.example.evil.example", "relay.example.evil.example", False),
        ("0x7f.1", "0x7f.1", False),
        ("127.1", "127.1", False),
    ],
)
def test_names_of_the_page(header: str, name: str, ours: bool) -> None:
    ui = settings(hosts=["relay.example"], url="https://photos.example.org").ui
    assert parse_host(header) == name
    assert host_is_ours(name, ui) is ours


@pytest.mark.parametrize(
    "header",
    [
        "",
        ":80",
        "a b",
        "relay.example/evil",
        "user@relay.example",
        "relay.example:99999999",
        "[::1",
        "::1",
        "a\\b",
        "a?b",
        ".",
    ],
)
def test_a_host_that_is_none(header: str) -> None:
    assert parse_host(header) is None


@given(texts)
def test_the_line_to_add_is_a_name_or_nothing(name: str) -> None:
    line = host_line(name)
    assert line in {"", f"ui.hosts: [{name}]"}
    assert not line or (line.isascii() and line.isprintable() and not set(name) & set("[]{},:#&*!|>'\"%@` "))


@pytest.mark.parametrize(
    ("origin", "scheme", "host", "ours"),
    [
        ("http://192.168.1.5:8080", "http", "192.168.1.5:8080", True),
        ("http://relay.example", "http", "relay.example:80", True),
        ("https://relay.example", "https", "relay.example", True),
        ("https://photos.example.org", "http", "photon-relay:8080", True),
        ("http://photos.example.org", "http", "photon-relay:8080", False),
        ("http://192.168.1.5", "http", "192.168.1.5:8080", False),
        ("https://192.168.1.5:8080", "http", "192.168.1.5:8080", False),
        ("http://192.168.1.5:8081", "http", "192.168.1.5:8080", False),
        ("http://192.168.1.5:8080.evil.example", "http", "192.168.1.5:8080", False),
        ("http://evil.example", "http", "192.168.1.5:8080", False),
        ("null", "http", "192.168.1.5:8080", False),
        ("", "http", "192.168.1.5:8080", False),
        ("file://", "http", "192.168.1.5:8080", False),
    ],
)
def test_origins(origin: str, scheme: str, host: str, ours: bool) -> None:
    ui = settings(url="https://photos.example.org").ui
    assert origin_is_ours(origin, scheme, host, ui) is ours


def test_no_address_of_its_own_leaves_no_origin_to_guess() -> None:
    assert not origin_is_ours("://", "http", "relay.example", settings().ui)


@pytest.mark.parametrize(
    ("site", "another"),
    [(None, False), ("same-origin", False), ("none", False), ("same-site", True), ("cross-site", True), ("x", True)],
)
def test_what_another_site_had_fetched(site: str | None, another: bool) -> None:
    assert fetched_by_another_site(site) is another


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("nas", False),
    ],
)
def test_addresses_to_listen_on(host: str, local: bool) -> None:
    assert is_loopback(host) is local
