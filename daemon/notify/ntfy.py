"""The ntfy server over HTTP: publish a message, ask whether it is well, and what its refusals mean.

Published is JSON to the server's root (docs.ntfy.sh, Publish as JSON). A message over 4,096 bytes becomes an
attachment there, or is refused, and the whole JSON may not be over twice that: both are cut here.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

from daemon.errors import NeedsPerson, RelayError, Transient
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.settings.messages import Ntfy

WITHIN = 15.0
"""Seconds for the whole of one call."""
LONGEST_MESSAGE = 4096
LONGEST_TITLE = 250
LONGEST_JSON = 2 * LONGEST_MESSAGE - 200
_LONGEST_ANSWER = 128 * 1024
"""The server gives the message back, some of its letters in six bytes each."""
PRIORITIES = {"min": 1, "low": 2, "default": 3, "high": 4, "max": 5}
_LEAST_HIDDEN = 4
"""Letters of a secret that is looked for in answers; a shorter one stands in any text."""
REQUESTS = 42901
MESSAGES_OF_THE_DAY = 42908
REACH = "Is notify.ntfy.url right, and can it be reached from here (name, port, firewall, certificate)?"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said, as it is: its status, and its body where that is a JSON object."""

    status: int
    body: dict[str, Any]
    retry_after: float | None
    text: str

    @property
    def words(self) -> str:
        """Give the server's own words, printable and short."""
        said = self.body.get("error")
        code = self.body.get("code")
        words = shown(str(said) if said else self.text.strip()[:300] or "nothing")
        return f"{words} (ntfy code {code}, status {self.status})" if code else f"{words} (status {self.status})"


async def call(ntfy: Ntfy, method: str, path: str, body: bytes | None = None, *, within: float = WITHIN) -> Answer:
    """Call the server once; only a message carries our token, and redirects are not followed: it would go along.

    Raises:
        Transient: ``ntfy.unreachable``.

    """
    where = shown(ntfy.url)
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=within)) as session,
            session.request(
                method, f"{ntfy.url}{path}", data=body, headers=_headers(ntfy) if body else {}, allow_redirects=False
            ) as answer,
        ):
            content = b""
            async for chunk in answer.content.iter_any():
                content = (content + chunk)[:_LONGEST_ANSWER]
            content = _without_secrets(ntfy, content)
            return Answer(answer.status, _object(content), _seconds(answer.headers), content.decode(errors="replace"))
    except TimeoutError:
        words = f"ntfy at {where} does not answer within {within:.0f} s"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        words = f"ntfy at {where} cannot be reached: {shown(str(error) or type(error).__name__)}"
    raise Transient("ntfy.unreachable", words, hint=REACH)


async def publish(ntfy: Ntfy, message: Mapping[str, Any]) -> dict[str, Any]:
    """Publish one message (the fields of ntfy's JSON, without ``topic``) and give what the server made of it.

    Raises:
        Transient: ``ntfy.unreachable``, ``ntfy.busy``, ``ntfy.limited`` (too many at once), ``ntfy.quota`` (the day's
            messages are used up); ``retry_after`` says when it makes sense again.
        NeedsPerson: ``ntfy.unauthorized``, ``ntfy.forbidden``, ``ntfy.refused``, ``ntfy.odd_answer``.

    """
    body = json.dumps({"topic": ntfy.topic, **fitting(message)}, ensure_ascii=False).encode()
    answer = await call(ntfy, "POST", "/", body)
    if answer.status == 200 and answer.body.get("id"):
        return answer.body
    raise error_of(ntfy, answer)


def error_of(ntfy: Ntfy, answer: Answer) -> RelayError:
    """Say what a refusal means."""
    where, words, code = shown(ntfy.url), answer.words, answer.body.get("code")
    if answer.status == 429:
        if code == MESSAGES_OF_THE_DAY:
            return Transient(
                "ntfy.quota",
                f"ntfy at {where} takes no more messages today: {words}",
                hint="messages wait for tomorrow; fewer of them with notify.ntfy.levels, or more with a token or a"
                " server of your own",
                retry_after=answer.retry_after or 1800.0,
            )
        return Transient(
            "ntfy.limited",
            f"ntfy at {where} wants fewer messages at once: {words}",
            retry_after=answer.retry_after or 10.0,
        )
    if answer.status >= 500 or answer.status in {408, 425}:
        return Transient(
            "ntfy.busy", f"ntfy at {where} is not well: {words}", hint=REACH, retry_after=answer.retry_after
        )
    if answer.status == 401:
        return NeedsPerson(
            "ntfy.unauthorized",
            f"ntfy at {where} does not know our token or password: {words}",
            hint="Make a token in ntfy (Account, Access tokens) and put it into notify.ntfy.token_file.",
        )
    if answer.status == 403:
        return NeedsPerson(
            "ntfy.forbidden",
            f"ntfy at {where} does not let us write to the topic: {words}",
            hint="Give our user write access to the topic (ntfy access USER TOPIC write), or set notify.ntfy.token.",
        )
    if answer.status == 200 or answer.status < 400:
        return NeedsPerson("ntfy.odd_answer", f"{where} does not answer as ntfy does: {words}", hint=REACH)
    return NeedsPerson("ntfy.refused", f"ntfy at {where} refused the message: {words}")


async def health(ntfy: Ntfy, *, within: float = WITHIN) -> None:
    """Ask ``/v1/health`` (docs.ntfy.sh, Health checks), which needs no token; return where the server is well.

    Raises:
        Transient: ``ntfy.unreachable``.
        NeedsPerson: ``ntfy.odd_answer``.

    """
    answer = await call(ntfy, "GET", "/v1/health", within=within)
    if answer.status != 200 or answer.body.get("healthy") is not True:
        raise NeedsPerson(
            "ntfy.odd_answer",
            f"{shown(ntfy.url)} does not answer as a healthy ntfy does (status {answer.status})",
            hint=REACH,
        )


def fitting(message: Mapping[str, Any]) -> dict[str, Any]:
    """Give a message cut so that the server takes it as a message: no attachment, no refusal."""
    found = dict(message)
    found["title"] = cut(str(found.get("title", "")), LONGEST_TITLE)
    found["message"] = cut(str(found.get("message", "")), LONGEST_MESSAGE)
    # Quotes and backslashes count twice in JSON, and buttons count too.
    room = LONGEST_MESSAGE
    while len(json.dumps(found, ensure_ascii=False).encode()) > LONGEST_JSON and room > 64:
        room = room * 3 // 4
        found["message"] = cut(found["message"], room)
    return found


def cut(text: str, limit: int) -> str:
    """Give as much of a text as fits into so many bytes of UTF-8, with ``…`` where something was left out."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= limit:
        return encoded.decode()
    return encoded[: limit - 3].decode("utf-8", "ignore") + "…"


def _headers(ntfy: Ntfy) -> dict[str, str]:
    token, password = ntfy.token.get_secret_value(), ntfy.password.get_secret_value()
    if token:
        return {"Authorization": f"Bearer {token}"}
    if ntfy.user and password:
        pair = base64.b64encode(f"{ntfy.user}:{password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}
    return {}


def _without_secrets(ntfy: Ntfy, content: bytes) -> bytes:
    """Take out what a server (or a proxy in front of it that is being mended) has repeated of our own request."""
    sent = _headers(ntfy).get("Authorization", "").partition(" ")[2]
    for secret in (sent, ntfy.token.get_secret_value(), ntfy.password.get_secret_value()):
        if len(secret) >= _LEAST_HIDDEN:
            content = content.replace(secret.encode(), b"***")
    return content


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(headers: Mapping[str, str]) -> float | None:
    """Give ``Retry-After`` in seconds where it is a number; the date form is not worth the clock's difference."""
    value = headers.get("Retry-After", "").strip()
    return float(value) if value.isascii() and value.isdigit() and len(value) < 7 else None
