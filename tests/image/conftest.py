"""The image of this working tree, as the end-to-end tests build it."""

from __future__ import annotations

from tests.e2e_engine.conftest import image

__all__ = ["image"]
