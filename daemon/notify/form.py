"""A message in ntfy's form (docs.ntfy.sh, Publish as JSON): links and buttons to the page, where it can be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.errors import NeedsPerson
from daemon.notify import ntfy
from daemon.notify.words import MOST_BUTTONS, Words

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.notify.buttons import Deed
    from daemon.settings import Settings

_ICON = "/static/icon.png"
_DEFAULT = ntfy.PRIORITIES["default"]


def in_form(
    said: Words, loud: int, page: str, *, sequence: str | None = None, token: Callable[[Deed], str] | None = None
) -> dict[str, Any]:
    """Give ntfy's fields but the topic. ``page`` is ``ui.url``, empty for none; ``token`` makes a button's token."""
    page = page.rstrip("/")
    message: dict[str, Any] = {
        "title": said.title,
        "message": said.text or said.title,
        "priority": loud,
        "tags": list(said.tags),
    }
    if sequence:
        message["sequence_id"] = sequence  # servers before 2.16 pass it over
    if not page:
        return message
    message["click"] = f"{page}{said.page}"
    message["icon"] = f"{page}{_ICON}"
    buttons = said.buttons[: MOST_BUTTONS - 1] if token is not None else ()
    message["actions"] = [
        {
            "action": "http",
            "label": label,
            "url": f"{page}/api/v1/act/{token(deed)}",
            "method": "POST",
            "clear": True,
        }
        for label, deed in buttons
        if token is not None
    ]
    message["actions"].append({"action": "view", "label": "Open", "url": message["click"]})
    return message


async def send_test(settings: Settings) -> dict[str, Any]:
    """Send a message as a test and give what the server made of it.

    Raises what :func:`daemon.notify.ntfy.publish` raises, and ``NeedsPerson`` ``ntfy.off``.
    """
    told = settings.notify.ntfy
    if not (told.url and told.topic):
        raise NeedsPerson(
            "ntfy.off",
            "no message was sent: notify.ntfy.url and notify.ntfy.topic are not both set",
            hint="set them, and try again",
        )
    hint = "" if settings.ui.url else " Set ui.url, and messages have links and buttons."
    said = Words("Photon Relay: a test", f"Messages arrive.{hint}", ("camera",), "/#/settings")
    return await ntfy.publish(told, in_form(said, _DEFAULT, settings.ui.url))
