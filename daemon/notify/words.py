"""Messages in words: a title, a few lines, where a tap leads, and the buttons. Pure.

Plain text, never Markdown: names are whatever a user made them, and in plain text they can form no link, no picture
and no heading. Every name has gone through :func:`daemon.text.shown`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from daemon.notify.buttons import Deed
from daemon.text import count_in_words, shown, size_in_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from zoneinfo import ZoneInfo

MOST_BUTTONS = 3
"""What ntfy shows at most."""
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Words:
    """One message, as people read it."""

    title: str
    text: str
    tags: tuple[str, ...]
    """Short codes of emoji (docs.ntfy.sh, emojis)."""
    page: str
    """Where on the page a tap leads, such as ``/#/errors``."""
    buttons: tuple[tuple[str, Deed], ...] = ()
    """Labels and what they do."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the words need to know besides the message itself, as it is when the message goes."""

    zone: ZoneInfo
    now: float
    stuck: Mapping[str, int] = field(default_factory=dict)
    """Photos that wait or are held for this reason now, by user."""


def words(kind: str, body: Mapping[str, Any], known: Known) -> Words:
    """Put a message of this kind into words."""
    return _WRITERS[kind](body, known)


def in_users(users: Mapping[str, int], noun: str = "photo") -> str:
    """Give ``14 photos of alice``, ``20 photos of alice and bob``, ``99 photos of 7 users``."""
    total = count_in_words(sum(users.values()), noun)
    names = sorted(shown(user, 40) for user in users)
    if len(names) > 3:
        return f"{total} of {len(names)} users"
    return f"{total} of {' and '.join(names)}" if names else total


def when(moment: str | float | None, known: Known) -> str:
    """Give a time as people near the page read it: ``12:04``, or ``21 Nov, 12:04`` where that was another day."""
    if moment is None:
        return "?"
    if isinstance(moment, str):
        try:
            then = datetime.fromisoformat(moment).astimezone(known.zone)
        except ValueError:
            return shown(moment, 40)
    else:
        then = datetime.fromtimestamp(moment, known.zone)
    today = datetime.fromtimestamp(known.now, known.zone)
    return f"{then:%H:%M}" if then.date() == today.date() else f"{then.day} {then:%b}, {then:%H:%M}"


def _sentence(text: str) -> str:
    cleaned = shown(text.strip(), 900)
    return cleaned if not cleaned or cleaned[-1] in ".!?…" else f"{cleaned}."


def _lines(*lines: str) -> str:
    return "\n".join(line for line in lines if line)


def _items(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(body.get("items", {}).values())


def _trouble(body: Mapping[str, Any], known: Known, *, title: str, tag: str, page: str) -> Words:
    items = _items(body)
    first = items[0]
    since = f"since {when(first.get('since'), known)}"
    hint = _sentence(first.get("hint", ""))
    more = f"And {count_in_words(len(items) - 1, 'other thing')} of the same kind." if len(items) > 1 else ""
    buttons: tuple[tuple[str, Deed], ...] = ()
    if known.stuck:
        waits = "waits" if sum(known.stuck.values()) == 1 else "wait"
        title = f"{in_users(known.stuck)} {waits}"
        buttons = (("Try again now", Deed("retry", str(first.get("code", "")))),)
    lines = _lines(f"{shown(first.get('message', '').rstrip('. '), 900)} ({since}).", hint, more, _over(body, known))
    return Words(title, lines, (tag,), page, buttons)


def _over(body: Mapping[str, Any], known: Known) -> str:
    ended = body.get("ended")
    return f"All well again since {when(ended, known)}." if ended else ""


def _error(body: Mapping[str, Any], known: Known) -> Words:
    return _trouble(body, known, title="Photon Relay needs help", tag="rotating_light", page="/#/errors")


def _warning(body: Mapping[str, Any], known: Known) -> Words:
    return _trouble(body, known, title="Something is not as it should be", tag="warning", page="/#/errors")


def _disk(body: Mapping[str, Any], known: Known) -> Words:
    return _trouble(body, known, title="A disk is nearly full", tag="floppy_disk", page="/#/errors")


def _config(body: Mapping[str, Any], known: Known) -> Words:
    return _trouble(body, known, title="The settings file is wrong", tag="wrench", page="/#/settings")


def _closed(body: Mapping[str, Any], known: Known) -> Words:
    items = _items(body)
    first = items[0]
    if first.get("code") == "config.invalid":
        return Words("The settings file is right again", "It is in force.", ("white_check_mark",), "/#/settings")
    lines = [f"{when(one.get('since'), known)}: {_sentence(one.get('message', ''))}" for one in items[:_NAMED]]
    if len(items) > _NAMED:
        lines.append(f"And {len(items) - _NAMED} more.")
    return Words("All well again", _lines("What was wrong is over:", *lines), ("white_check_mark",), "/#/now")


def _new_user(body: Mapping[str, Any], known: Known) -> Words:
    users = [str(one) for one in body.get("users", [])]
    names = [shown(user, 60) for user in users]
    if len(users) == 1:
        text = f"{names[0]} has a home in Nextcloud now. Nothing of theirs is touched until you decide."
        answers = (("Include", Deed("include", users[0])), ("Exclude", Deed("exclude", users[0])))
        return Words(f"New user: {names[0]}", text, ("bust_in_silhouette",), "/#/users", answers)
    listed = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    text = f"{listed}. Nothing of theirs is touched until you decide, on the page."
    title = f"{count_in_words(len(users), 'new user')} wait for your decision"
    return Words(title, text, ("busts_in_silhouette",), "/#/users")


def _gone(body: Mapping[str, Any], known: Known) -> Words:
    items = _items(body)
    if len(items) == 1:
        who, has = shown(str(items[0].get("about", "")).removeprefix("user "), 60), "has"
    else:
        who, has = count_in_words(len(items), "user"), "have"
    title = f"{who} {has} no home any more"
    return _trouble(body, known, title=title, tag="wave", page="/#/users")


def _photos(body: Mapping[str, Any], one: str, more: str, tag: str, *, again: bool) -> Words:
    count = int(body["count"])
    names = [shown(str(name), 80) for name in body.get("names", [])][:_NAMED]
    rest = f" and {count - len(names)} more" if count > len(names) else ""
    who = in_users({str(body["user"]): count})
    page = f"/#/photo/{int(body['id'])}" if count == 1 and body.get("id") else "/#/errors"
    text = _lines(_sentence(str(body.get("message", ""))), _sentence(str(body.get("hint", ""))))
    listed = f"{', '.join(names)}{rest}" if count > 1 else ""
    code = str(body.get("code", ""))
    buttons = (("Try again now", Deed("retry", code)),) if again and code else ()
    return Words(f"{who} {one if count == 1 else more}", _lines(text, listed), (tag,), page, buttons)


def _held(body: Mapping[str, Any], known: Known) -> Words:
    return _photos(body, "is held", "are held", "raised_hand", again=True)


def _refused(body: Mapping[str, Any], known: Known) -> Words:
    return _photos(body, "stays where it is", "stay where they are", "no_entry", again=False)


def _noted(body: Mapping[str, Any], known: Known) -> Words:
    lines = [_sentence(str(line)) for line in body.get("notes", [])][:_NAMED]
    count = int(body["count"])
    more = f"And {count - len(lines)} more." if count > len(lines) else ""
    title = f"{in_users({str(body['user']): count})}: {shown(str(body['inspector']), 40)}"
    return Words(title, _lines(*lines, more), ("mag",), "/#/photos")


def _arrived(body: Mapping[str, Any], known: Known) -> Words:
    new = int(body["photos"]) - int(body["duplicates"])
    text = [f"{count_in_words(new, 'new photo')}, {size_in_words(int(body['bytes']))}"]
    if body["duplicates"]:
        text.append(f"{count_in_words(int(body['duplicates']), 'duplicate')}, which the archive had already")
    if int(body.get("batches", 1)) > 1:
        text.append(f"in {body['batches']} batches")
    title = f"{in_users(body['users'])} {'is' if int(body['photos']) == 1 else 'are'} in the archive"
    return Words(title, f"{'; '.join(text)}.", ("camera_flash",), "/#/batches")


def _missed(body: Mapping[str, Any], known: Known) -> Words:
    count = int(body["count"])
    text = (
        f"The sweep found {count_in_words(count, 'photo')} of which the watcher had heard nothing. Nothing is lost:"
        " they are relayed now. If that happens again, look at the watcher on the page."
    )
    title = f"The watcher missed {count_in_words(count, 'photo')}"
    return Words(title, text, ("eyes",), "/#/now")


def _login(body: Mapping[str, Any], known: Known) -> Words:
    addresses = {str(key): int(value) for key, value in body["addresses"].items()}
    listed = ", ".join(f"{shown(address, 45)} ({count})" for address, count in list(addresses.items())[:10])
    title = f"{count_in_words(sum(addresses.values()), 'failed log-in attempt')}"
    since = when(body.get("since"), known)
    return Words(title, f"Since {since}, from {listed}.", ("lock",), "/#/access")


def _digest(body: Mapping[str, Any], known: Known) -> Words:
    users = {str(user): int(count) for user, count in body["users"].items()}
    lines = [f"{shown(user, 40)}: {count_in_words(count, 'photo')}" for user, count in list(users.items())[:20]]
    total = size_in_words(int(body["bytes"]))
    arrived = f"{count_in_words(sum(users.values()), 'photo')} arrived, {total} new" if users else "No photo arrived"
    extra = [
        f"{body[key]} {name}" for key, name in (("duplicates", "duplicates"), ("refused", "refused")) if body.get(key)
    ]
    still = [f"{body[key]} {key}" for key in ("waiting", "held") if body.get(key)]
    wrong = [f"• {_sentence(str(line))}" for line in body.get("issues", [])[:_NAMED]]
    text = _lines(
        f"{arrived}{' (' + ', '.join(extra) + ')' if extra else ''}.",
        *lines,
        f"Now: {', '.join(still)}." if still else "",
        "What is wrong:" if wrong else "",
        *wrong,
    )
    return Words("Today's photos", text, ("sunrise_over_mountains",) if not wrong else ("warning",), "/#/now")


_WRITERS: dict[str, Callable[[Mapping[str, Any], Known], Words]] = {
    "issue.error": _error,
    "issue.warning": _warning,
    "issue.closed": _closed,
    "config.invalid": _config,
    "disk.low": _disk,
    "photo.held": _held,
    "photo.refused": _refused,
    "photo.noted": _noted,
    "user.new": _new_user,
    "user.gone": _gone,
    "login.failed": _login,
    "sweep.missed": _missed,
    "batch.ended": _arrived,
    "digest": _digest,
}


def kinds() -> Sequence[str]:
    """Give every kind that there are words for."""
    return tuple(_WRITERS)
