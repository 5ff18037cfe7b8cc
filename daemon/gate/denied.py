"""The gate's one way to say no."""

from __future__ import annotations


class Denied(Exception):
    """Raised for a request that is not carried out; ``why`` goes into the log and back to the client.

    ``status`` is 403 for everything that is not allowed. What passes by itself says so, so that the daemon tries again:
    408 (too slow), 429 (too much at once), 404 and 409 (the allowed container is gone or does not run), 502 and 503
    (the engine has a fault or cannot be reached). ``why`` may hold anything: it is shown by `daemon.text.shown` only.
    """

    def __init__(self, why: str, *, status: int = 403) -> None:
        super().__init__(why)
        self.why = why
        self.status = status
