"""The sections about who is told what, people and programs: each key with its type, default and words."""

from __future__ import annotations

from pydantic import Field

from daemon.settings.base import Section, key, secret
from daemon.settings.values import Duration, Level, Secret, WebAddress

MESSAGES = (
    "issue.error",
    "issue.warning",
    "issue.closed",
    "config.invalid",
    "disk.low",
    "photo.held",
    "photo.refused",
    "photo.noted",
    "user.new",
    "user.gone",
    "login.failed",
    "sweep.missed",
    "batch.ended",
    "digest",
)
"""The kinds of messages to people."""


class Levels(Section):
    """How loudly each kind of message rings: off, min, low, default, high or max."""

    error: Level = key("high", "Something failed and needs a person: off, min, low, default, high or max.", "max")
    warning: Level = key("default", "Something is not as it should be, but work goes on.", "low")
    new_user: Level = key("default", "A new user was found and waits for your decision.", "high")
    success: Level = key("off", "Photos have arrived.", "min")
    info: Level = key("off", "Everything else.", "min")


class Ntfy(Section):
    """Messages to your phone through ntfy."""

    url: WebAddress = key("", "The address of the ntfy server. Empty: no messages.", "https://ntfy.sh")
    topic: str = key("", "The topic that messages go to; on a public server its name is like a password.", "my-photos")
    token: Secret = secret(
        "The access token, if the server wants one. Better kept in a file of its own (token_file).",
        "tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2",
    )
    user: str = key("", "The user name, if the server wants a name and a password instead of a token.", "photon-relay")
    password: Secret = secret("The password of `user`. Better kept in a file of its own (password_file).", "geheim")
    levels: Levels = Field(
        default=Levels(), description="How loudly each kind of message rings: off, min, low, default, high or max."
    )
    events: dict[str, Level] = key(
        {},
        f"Single events that ring otherwise than their level says. There are {', '.join(MESSAGES)}.",
        {"batch.ended": "low"},
    )
    quiet: Duration = key(
        600.0, "Messages of the same kind are gathered for this long; a length of time.", "10m", unit="time"
    )
    digest: str = key("", "When a summary of the day is sent, as hours and minutes. Empty: never.", "20:00")


class Notify(Section):
    """Who is told what."""

    ntfy: Ntfy = Field(default=Ntfy(), description="Messages to your phone through ntfy.")


class Hook(Section):
    """What is called when something has happened."""

    on: str = Field(
        pattern=r"^(\*|[a-z_]+(\.[a-z_]+)*(\.\*)?)$",
        description="The event, such as batch.done; photo.* for all that begin so, * for every one.",
        examples=["batch.done"],
    )
    url: WebAddress = key("", "The address that is called (POST, JSON).", "http://home.example/hook")
    run: tuple[str, ...] = key((), "The program that is started, as a list of words.", ["/scripts/tag", "--new"])
    secret: Secret = secret(
        "With `url`, the key that every call is signed with (HMAC-SHA256). Better kept in a file of its own "
        "(secret_file).",
        "0sMgHSRNuzI6dB9jaxTqFhbeLwQvC3",
    )
    timeout: Duration = key(30.0, "How long one call may take; a length of time.", "2m", unit="time")
