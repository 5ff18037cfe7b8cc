"""Worlds to torture: those of the relay's own tests."""

from __future__ import annotations

from tests.relay.conftest import make_world

__all__ = ["make_world"]
