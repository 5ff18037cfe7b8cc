"""What a machine must have for these tests; with ``PHOTON_RELAY_TEST_ALL`` nothing is left out."""

from __future__ import annotations

import os

import pytest

from tests.torture.fuse.mount import missing

_LACKS = missing()
needs_fuse = pytest.mark.skipif(bool(_LACKS) and not os.environ.get("PHOTON_RELAY_TEST_ALL"), reason=_LACKS or "there")
_WANTED = os.environ.get("PHOTON_RELAY_TORTURE", "")
LONG = bool(_WANTED)
"""Whether the long forms are wanted (``make torture``: ``PHOTON_RELAY_TORTURE=all``, or a number in its place)."""


def many(short: int, long: int) -> int:
    """Give how often something is tried: ``long`` where all is wanted, or the number that is."""
    if _WANTED.isdigit():
        return int(_WANTED)
    return long if LONG else short
