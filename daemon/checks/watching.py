"""Can all watched folders be watched: network file systems, and how much the kernel lets us watch. Blocks."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING

from daemon.checks.check import Check, failed, ok, warning
from daemon.checks.data import named
from daemon.nextcloud.homes import survey
from daemon.watch import tree
from daemon.watch.filesystems import silent_kind
from daemon.watch.limits import Limits, assess, instances_remedy, read_limits
from daemon.watch.rules import Rules
from daemon.watch.users import normal, outermost

if TYPE_CHECKING:
    from daemon.clock import Clock
    from daemon.settings import Settings

WATCHING = "watching"
WALK = 15.0
"""Seconds for which directories are counted; what was counted until then is told as the least there are."""
_INSTANCES = 3
"""A watch over the folders, one over where new ones appear, and a third while one of them is replaced."""
_NOT_WATCHED = "Give the user this runs as the right to it (chown, or run as the owner of Nextcloud's data)."


def watching(settings: Settings, clock: Clock) -> list[Check]:
    """Count the directories to watch and compare them with the kernel's limits; name file systems without events."""
    root, mode = settings.nextcloud.data, settings.watch.mode
    decided = {
        user: settings.users.rules_for(user).folders
        for user in survey(root).users
        if settings.users.decision(user) == "include"
    }
    folders = normal(decided)
    rules = Rules(archived=settings.users.archived, folders=folders)
    tops = [f"{user}/files/{folder}" for user, listed in folders.items() for folder in outermost(listed)]
    tops = [top for top in tops if tree.identity(root, top) is not None]
    silent = {top: kind for top in tops if (kind := silent_kind(os.path.join(root, top))) is not None}
    if mode == "poll":
        return [ok(WATCHING, "watch.mode is poll: the folders are looked at again and again")]
    heard = [top for top in tops if mode == "inotify" or top not in silent]
    count, unread, whole = _count(root, heard, rules, clock)
    found = [*_network(silent, mode), *_kernel(count, mode, whole=whole, limits=read_limits())] if tops else []
    if unread:
        message = f"nothing is relayed from what cannot be read: {named(unread)}"
        found.append(warning(WATCHING, message, _NOT_WATCHED, "watch.unreadable"))
    return found or [ok(WATCHING, "there is no folder to be watched yet")]


def _network(silent: dict[str, str], mode: str) -> list[Check]:
    if not silent:
        return []
    kinds = ", ".join(sorted(set(silent.values())))
    if mode == "inotify":
        message = f"no events come from {kinds}, but watch.mode is inotify: {named(silent)}"
        return [failed(WATCHING, message, "Set watch.mode to auto or poll.", "watch.silent")]
    return [ok(WATCHING, f"on {kinds}, which sends no events, so looked at again and again: {named(silent)}")]


def _kernel(count: int, mode: str, *, whole: bool, limits: Limits) -> list[Check]:
    least = "" if whole else "at least "
    short = assess(count, limits)
    if short is not None:
        # In auto mode the watcher notices refused watches, and goes over to polling.
        level = failed if short.full and mode == "inotify" else warning
        message = f"{least}{short.message}"
        if short.full:
            message += "; new photos are then found later, by looking again and again" if mode == "auto" else ""
        found = [level(WATCHING, message, short.remedy, "watch.limit")]
    else:
        allowed = "" if limits.watches is None else f"; the kernel allows {limits.watches}"
        directories = "directory is" if count == 1 else "directories are"
        found = [ok(WATCHING, f"{least}{count} {directories} watched by inotify{allowed}")]
    if not instances_left():
        message = f"the kernel gives this user no further inotify watches (it allows {limits.instances} instances)"
        found.append((failed if mode == "inotify" else warning)(WATCHING, message, instances_remedy(), "watch.limit"))
    return found


def _count(root: str, tops: list[str], rules: Rules, clock: Clock) -> tuple[int, list[str], bool]:
    """Count directories as the watch does; gives which cannot be read, and whether there was time for all."""
    until = clock.monotonic() + WALK
    count = 0
    unread: list[str] = []
    for top in tops:
        for listing in tree.walk(root, top, skip=rules.passes_over, wanted=_no_file):
            if listing.error is None:
                count += 1
            elif not isinstance(listing.error, FileNotFoundError) and listing.path != top:
                unread.append(listing.path)  # that the watched folder itself cannot be read is told with the rights
            if clock.monotonic() > until:
                return count, unread, False
    return count, unread, True


def _no_file(_name: str) -> bool:
    return False


def instances_left() -> bool:
    """Tell whether as many inotify instances as the watcher needs can be had now, by taking and closing them."""
    try:
        begin = ctypes.CDLL(None, use_errno=True).inotify_init1
    except (OSError, AttributeError):
        return True
    taken: list[int] = []
    try:
        while len(taken) < _INSTANCES:
            fd = begin(os.O_CLOEXEC)
            if fd < 0:
                return ctypes.get_errno() != errno.EMFILE
            taken.append(fd)
        return True
    finally:
        for fd in taken:
            os.close(fd)
