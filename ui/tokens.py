"""API tokens in requests: ``Authorization: Bearer prt_…``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOKEN = re.compile(r"prt_[A-Za-z0-9_-]{43}")


class MalformedToken(Exception):
    """Raised for a Bearer token that cannot be one of ours."""


def bearer(lines: Sequence[str]) -> str | None:
    """Give the token of a request's ``Authorization`` lines, ``None`` where they name none.

    Another scheme (the Basic of a proxy's own log-in) is none of our business. Raises :class:`MalformedToken`: whoever
    shows a token is never let in as somebody without one.
    """
    found = [line for line in lines if line.strip()[:7].lower() == "bearer " or line.strip().lower() == "bearer"]
    if not found:
        return None
    token = found[0].strip()[6:].strip()
    if len(found) > 1 or not _TOKEN.fullmatch(token):
        raise MalformedToken
    return token
