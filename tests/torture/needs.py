"""What a machine must have for these tests; with ``PHOTON_RELAY_TEST_ALL`` nothing is left out."""

from __future__ import annotations

import os

import pytest

from tests.torture.fuse.mount import missing

_LACKS = missing()
needs_fuse = pytest.mark.skipif(bool(_LACKS) and not os.environ.get("PHOTON_RELAY_TEST_ALL"), reason=_LACKS or "there")
