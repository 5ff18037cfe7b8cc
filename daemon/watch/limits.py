"""How many directories the kernel lets us watch, how many we need, and the line that raises the limit.

Whoever counts beforehand need not wait for the kernel to refuse one.
"""

from __future__ import annotations

from dataclasses import dataclass

_FOLDER = "/proc/sys/fs/inotify"
NEARLY = 0.8
"""From this share of the limit on a warning is due."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The kernel's limits for one user id; ``None`` where they cannot be read."""

    watches: int | None
    instances: int | None
    queue: int | None


@dataclass(frozen=True, slots=True)
class Shortage:
    """The limit is reached (``full``) or nearly so; ``remedy`` is the line for an administrator to type."""

    full: bool
    needed: int
    available: int
    message: str
    remedy: str


def _number(name: str) -> int | None:
    try:
        with open(f"{_FOLDER}/{name}", encoding="utf-8") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def read_limits() -> Limits:
    """Read the limits that hold now."""
    return Limits(_number("max_user_watches"), _number("max_user_instances"), _number("max_queued_events"))


def assess(directories: int, limits: Limits) -> Shortage | None:
    """Compare what is needed with what is allowed; ``None`` where there is room.

    While a watch is replaced the old one and the new one stand side by side; the kernel counts a directory for each,
    so that twice the number is needed for that moment.
    """
    if limits.watches is None:
        return None
    needed = 2 * directories
    if needed < limits.watches * NEARLY:
        return None
    wish = max(524_288, 1 << (needed * 2 - 1).bit_length())
    full = needed > limits.watches
    message = (
        f"{directories} directories are to be watched, and while a watch is renewed each counts twice; the kernel "
        f"allows {limits.watches} for this user{': too few' if full else ', which is nearly all'}"
    )
    remedy = (
        f"echo fs.inotify.max_user_watches={wish} | sudo tee /etc/sysctl.d/60-photon-relay.conf && "
        f"sudo sysctl -w fs.inotify.max_user_watches={wish}"
    )
    return Shortage(full, needed, limits.watches, message, remedy)


def instances_remedy() -> str:
    """Give the line that allows more watchers for one user id."""
    return "sudo sysctl -w fs.inotify.max_user_instances=512"
