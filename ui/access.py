"""Who a request really comes from, and whether that address and that name are wanted: pure rules, no I/O.

ASVS 5.0: 4.1.3 (a client must not set what proxies set), 4.4.2 (Origin of a WebSocket), 3.5.1 (cross-site requests).
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from daemon.settings import Ui

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MOST_HOPS = 64
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]{2,45}(?:%[0-9A-Za-z_.~-]{1,32})?)\](?::[0-9]{1,5})?")
_WITH_PORT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3}){3}):[0-9]{1,5}")
_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[^\[\]:/?#@\\\s]{1,253})(?::[0-9]{1,5})?")


def plain(address: Address) -> Address:
    """Give the address without what has several spellings: ``::ffff:10.0.0.1`` is ``10.0.0.1``, a zone id goes.

    The zone (``fe80::1%eth0``) names one of our own interfaces, so a list of addresses cannot hold it.
    """
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


def parse_hop(text: str) -> Address | None:
    """Give the address that one item of ``X-Forwarded-For`` stands for, ``None`` for anything else.

    Proxies write ``10.0.0.1``, ``10.0.0.1:443``, ``2001:db8::1`` and ``[2001:db8::1]:443``.
    """
    item = text.strip(" \t")
    if found := _BRACKETED.fullmatch(item):
        item = found[1]
        if ":" not in item:
            return None
    elif found := _WITH_PORT.fullmatch(item):
        item = found[1]
    try:
        return plain(ip_address(item))
    except ValueError:
        return None


def parse_peer(peer: object) -> Address | None:
    """Give the address of a socket's other end as asyncio has it, ``None`` where it has none (a Unix socket)."""
    if isinstance(peer, (tuple, list)) and peer and isinstance(peer[0], str):
        try:
            return plain(ip_address(peer[0]))
        except ValueError:
            return None
    return None


def contains(networks: Iterable[Network], address: Address) -> bool:
    """Tell whether the address lies in one of the networks; a network of mapped IPv4 addresses counts as IPv4."""
    for network in networks:
        if network.version == address.version and address in network:
            return True
        if isinstance(network, IPv6Network) and isinstance(address, IPv4Address):
            mapped = network.network_address.ipv4_mapped
            if mapped is not None and network.prefixlen >= 96 and IPv6Address(f"::ffff:{address}") in network:
                return True
    return False


def client_address(peer: Address | None, forwarded: Sequence[str], trusted: Sequence[Network]) -> Address | None:
    """Give the address a request comes from; ``None`` where it cannot be told, which must count as a stranger.

    ``forwarded``: all lines of ``X-Forwarded-For``, in their order. They are read only if the socket's other end is a
    trusted proxy, and then from the right: each proxy appends whom it heard from, so the first hop that is no trusted
    proxy is the client, and whatever stands left of it is what the client made up. Garbage before that point means
    that a proxy of ours did not write it: nobody.
    """
    if peer is None or not contains(trusted, peer):
        return peer
    address = peer
    # From the right, and at most so many: a header of thousands of hops costs nothing to send.
    hops = [hop for line in forwarded for hop in line.split(",")]
    if len(hops) == 1 and not hops[0].strip():
        hops = []
    for hop in reversed(hops[-MOST_HOPS:]):
        found = parse_hop(hop)
        if found is None:
            return None
        address = found
        if not contains(trusted, found):
            return found
    return address if len(hops) <= MOST_HOPS else None


def may_enter(address: Address | None, allow: Sequence[Network]) -> bool:
    """Tell whether the list of addresses lets this one in; an empty list lets everyone in whose address is known."""
    return address is not None and (not allow or contains(allow, address))


def scheme_of(peer: Address | None, *, tls: bool, proto: Sequence[str], trusted: Sequence[Network]) -> str:
    """Give the scheme the browser really used: our own TLS, or what a trusted proxy says."""
    if tls:
        return "https"
    if peer is not None and contains(trusted, peer) and proto:
        # The proxy nearest to us writes last.
        return "https" if proto[-1].split(",")[-1].strip().lower() == "https" else "http"
    return "http"


def parse_host(header: str) -> str | None:
    """Give the name or address in a ``Host`` header, lower case, without port, brackets and final dot."""
    found = _HOST.fullmatch(header)
    if found is None:
        return None
    name = found[1].strip("[]").lower()
    return name.removesuffix(".") or None


def host_is_ours(name: str, ui: Ui) -> bool:
    """Tell whether the page may be called by this name: an address, localhost, or one that is configured.

    Any other name may be a stranger's that was pointed here (DNS rebinding): the browser would then treat this page
    as the stranger's own.
    """
    try:
        ip_address(name)
    except ValueError:
        return name == "localhost" or name in ui.hosts or name == (urlsplit(ui.url).hostname or "")
    return True


def host_line(name: str) -> str:
    """Give the line to add to the configuration so that the page may be called by this name; empty if none can be."""
    return f"ui.hosts: [{name}]" if _NAME.fullmatch(name) else ""


def origin_is_ours(origin: str, scheme: str, host_header: str, ui: Ui) -> bool:
    """Tell whether ``Origin`` names exactly this page: as it was called, or as ``ui.url`` says."""
    if origin == f"{scheme}://{_without_default_port(host_header.lower(), scheme)}":
        return True
    if not ui.url:
        return False
    parts = urlsplit(ui.url)
    return origin == f"{parts.scheme}://{_without_default_port(parts.netloc.lower(), parts.scheme)}"


def _without_default_port(netloc: str, scheme: str) -> str:
    return netloc.removesuffix(":443" if scheme == "https" else ":80")


def fetched_by_another_site(site: str | None) -> bool:
    """Tell whether ``Sec-Fetch-Site`` says that another site's page made the browser send this."""
    return site is not None and site.strip().lower() not in {"same-origin", "none"}


def is_loopback(host: str) -> bool:
    """Tell whether an address to listen on is reached only from this machine."""
    try:
        return plain(ip_address(host)).is_loopback
    except ValueError:
        return host == "localhost"
