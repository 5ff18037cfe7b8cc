"""Whether those who call the page can be told apart."""

from __future__ import annotations

import pytest

from daemon.service.callers import MOST, Callers, gateways_of

# Fields as proc(5) has them: Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT.
ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010012AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""


def test_gateways() -> None:
    assert gateways_of(ROUTES) == {"172.18.0.1"}
    assert gateways_of("") == frozenset()
    assert gateways_of("\n\nodd\n") == frozenset()


@pytest.mark.parametrize(
    ("seen", "hidden"),
    [
        ([], ""),
        (["127.0.0.1", "::1"], ""),
        (["172.18.0.1"], "172.18.0.1"),
        (["172.18.0.1", "127.0.0.1", "172.18.0.1"], "172.18.0.1"),
        (["172.18.0.1", "192.168.1.7"], ""),
        (["192.168.1.7"], ""),
    ],
)
def test_hidden(seen: list[str], hidden: str) -> None:
    callers = Callers(frozenset({"172.18.0.1"}))
    for address in seen:
        callers.note(address)
    assert callers.hidden() == hidden


def test_no_more_are_remembered_than_are_needed() -> None:
    callers = Callers(frozenset())
    for number in range(10 * MOST):
        callers.note(f"10.0.{number // 250}.{number % 250 + 1}")
    assert len(callers._seen) == MOST
