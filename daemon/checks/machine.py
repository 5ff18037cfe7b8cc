"""What else is on this machine: exiftool, and a daemon that runs already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.checks.check import Check, of_error, ok, warning
from daemon.control import ask
from daemon.errors import RelayError
from daemon.files.exiftool import find_exiftool
from daemon.text import shown

if TYPE_CHECKING:
    from daemon.settings import Settings

EXIFTOOL, DAEMON, PAGE = "exiftool", "daemon", "page"
WITHIN = 5.0
"""Seconds for a running daemon's answer."""


def exiftool(settings: Settings) -> list[Check]:
    """Look for exiftool, which only the folder archive has a use for. Blocks."""
    if settings.archive.via != "folder":
        return []
    program = find_exiftool()
    if program:
        return [ok(EXIFTOOL, f"{shown(program)} is asked for dates that we cannot read ourselves")]
    message = "not installed: rare formats are sorted by the date in their name, or that of the file"
    return [warning(EXIFTOOL, message, "apt-get install libimage-exiftool-perl", "exiftool.missing")]


async def daemon(settings: Settings) -> list[Check]:
    """Ask the daemon over this state folder how it is, if one runs; that none does is well, too."""
    try:
        answer = await ask(settings.state, {"do": "health"}, _nothing, within=WITHIN)
    except RelayError as error:
        return [of_error(DAEMON, error)]
    except (OSError, ValueError):
        return [warning(DAEMON, "what listens on the control socket gives no answer that makes sense")]
    if answer is None:
        return [ok(DAEMON, "none is running over this state folder")]
    end = answer.get("end")
    hidden = _hidden(settings, end) if isinstance(end, dict) else []
    if isinstance(end, dict) and end.get("ok") is True:
        return [ok(DAEMON, f"running, version {shown(str(end.get('version', '')), 40)}"), *hidden]
    stopped = end.get("stopped") if isinstance(end, dict) else None
    what = ", ".join(shown(str(name), 40) for name in stopped) if isinstance(stopped, list) else "it does not say what"
    message = f"running, but a part of it is down and being started again: {what}"
    return [warning(DAEMON, message, "Look into its log.", "daemon.part_down"), *hidden]


def _hidden(settings: Settings, health: dict[str, Any]) -> list[Check]:
    address = shown(str(health.get("hidden_callers") or ""), 60)
    trusted = [str(network.network_address) for network in settings.ui.trusted_proxies if network.num_addresses == 1]
    if not address or address in trusted:
        return []
    message = (
        f"everybody who has called the page so far came as {address}, the gateway of this network: unless that was only"
        " this machine itself, Docker hides who is calling, and ui.allow and the throttle of log-ins take all for one"
    )
    hint = (
        "On Swarm publish the port with mode: host; with Docker switch its userland-proxy off; or put a proxy in front "
        "and name it in ui.trusted_proxies."
    )
    return [warning(PAGE, message, hint, "ui.callers_hidden")]


def _nothing(_line: str) -> None:
    return
