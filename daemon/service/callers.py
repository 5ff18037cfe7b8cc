"""Who calls the page, as sockets have it: Docker's own proxy and a Swarm's balancer put one address before everybody.

Then a list of addresses lets in all or nobody, and a throttle takes the whole house for one. It shows in this: every
caller seen has the address of the network's gateway.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path

MOST = 16
"""Different addresses remembered; a second one is enough to know that they are not hidden."""
_ROUTES = Path("/proc/net/route")


class Callers:
    """The addresses of sockets that have called the page since the parts were built."""

    def __init__(self, gateways: frozenset[str] | None = None) -> None:
        self._gateways = gateways_of(_text()) if gateways is None else gateways
        self._seen: set[str] = set()

    def note(self, address: str) -> None:
        """Take note of a caller; loopback tells nothing, since HEALTHCHECK comes from there."""
        if len(self._seen) < MOST and address not in self._seen and not ipaddress.ip_address(address).is_loopback:
            self._seen.add(address)

    def hidden(self) -> str:
        """Give the one address that stands before all callers, or nothing where that is not so."""
        [only] = self._seen if len(self._seen) == 1 else [""]
        return only if only in self._gateways else ""


def gateways_of(routes: str) -> frozenset[str]:
    """Read the gateways of default routes from the kernel's table (hexadecimal, the least byte first)."""
    found = set()
    for line in routes.splitlines()[1:]:
        columns = line.split()
        if len(columns) > 2 and columns[1] == "00000000" and columns[2] != "00000000":
            found.add(str(ipaddress.IPv4Address(int.from_bytes(bytes.fromhex(columns[2]), "little"))))
    return frozenset(found)


def _text() -> str:
    try:
        return _ROUTES.read_text()
    except OSError:  # no such table: nothing can be told
        return ""
