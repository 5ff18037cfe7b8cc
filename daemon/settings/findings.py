"""What cannot be told from one key alone: keys that do not fit each other, and values that work but are unwise."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from string import Formatter
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from daemon.schedule import Schedule, is_zone
from daemon.settings.messages import MESSAGES
from daemon.settings.users import outer_of
from daemon.settings.values import format_duration, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.settings.document import KeyPath
    from daemon.settings.model import Settings

LEAST_SETTLE = 0.3
WISE_SETTLE = 1.0
TEMPLATE_FIELDS = ("taken", "name", "ext", "user")
DATE_LETTERS = "YymdHMSjGV"
# What stands beside the homes in Nextcloud's data directory (its User/Manager.php, verifyUid).
RESERVED = {".htaccess", "files_external", "__groupfolders", ".ncdata", ".ocdata", "owncloud.log", "nextcloud.log",
            "updater.log", "audit.log"}  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """Something to say about a key; ``about`` has that key first, then the others that play a part."""

    about: tuple[KeyPath, ...]
    message: str
    fault: bool = True


def findings(settings: Settings, *, sweep: bool = False) -> list[Finding]:
    """Give everything that is wrong (``fault``) or unwise. ``sweep``: for one sweep, where any `settle` is allowed."""
    return [
        *_users(settings),
        *_after(settings),
        *_nextcloud(settings),
        *_archive(settings),
        *_watch(settings, sweep=sweep),
        *_hooks(settings),
        *_others(settings),
        *_ntfy(settings),
        *_ui(settings),
        *_folders(settings),
    ]


def _key(dotted: str, *more: str | int) -> KeyPath:
    return (*dotted.split("."), *more)


def _users(settings: Settings) -> Iterator[Finding]:
    users = settings.users
    for number, user in enumerate(users.exclude):
        if user in users.include:
            yield Finding(
                (_key("users.exclude", number), _key("users.include", user)),
                f"{quoted(user)} stands in users.include too; remove it from one of them",
            )
    for user in (*users.include, *users.exclude):
        if user in RESERVED or user.startswith(("appdata_", "updater-")):
            where = "users.include" if user in users.include else "users.exclude"
            yield Finding((_key(where, user),), "is a name of Nextcloud's own, not a user")
    own = [(_key("users.include", user, "folders"), rules.folders) for user, rules in users.include.items()]
    for path, folders in [(_key("users.folders"), users.folders), *own]:
        if folders is None:
            continue
        if not folders:
            yield Finding((path,), "is an empty list: nothing is watched", fault=False)
        distinct = dict.fromkeys(folders)
        for folder in distinct:
            if outer := outer_of(folder, distinct):
                message = f"{quoted(folder)} lies in {quoted(outer)}, which is watched with all that is in it"
                yield Finding((path,), message, fault=False)


def _after(settings: Settings) -> Iterator[Finding]:
    users, off = settings.users, settings.nextcloud.occ.via == "off"
    places: list[tuple[KeyPath, str | None]] = [(_key("users"), None)]
    places += [(_key("users.include", user), user) for user in users.include]
    for path, user in places:
        rules = users.rules_for(user if user is not None else "")
        given = users if user is None else users.include[user]
        own = given.model_fields_set if user is not None else {"after", "tag", "archived", "folders"}
        if off and rules.after in {"trash", "tag"} and "after" in own:
            yield Finding(
                ((*path, "after"), _key("nextcloud.occ.via")),
                f"`{rules.after}` needs occ, but nextcloud.occ.via is off; use delete, archive or keep",
            )
        if rules.after == "tag" and not rules.tag.strip() and own & {"after", "tag"}:
            yield Finding(((*path, "tag"), (*path, "after")), "must not be empty with `after: tag`")
        if rules.after == "archive" and own & {"after", "archived", "folders"}:
            targets = {str(PurePosixPath(folder).parent / rules.archived) for folder in rules.folders}
            for folder in rules.folders:
                if folder in targets or outer_of(folder, targets):
                    message = f"originals would be archived into {quoted(folder)}, which is watched itself"
                    yield Finding(((*path, "archived"), (*path, "folders"), (*path, "after")), message)


def _nextcloud(settings: Settings) -> Iterator[Finding]:
    nextcloud, occ = settings.nextcloud, settings.nextcloud.occ
    via = _key("nextcloud.occ.via")
    if occ.via == "off":
        yield Finding((via,), "off: galleries show new photos only when Nextcloud looks by itself", fault=False)
        for name, value in (("memories", nextcloud.memories), ("photos", nextcloud.photos)):
            if value == "on":
                yield Finding((_key("nextcloud", name), via), "`on` needs occ, but nextcloud.occ.via is off")
    if occ.via == "command" and occ.command == "auto":
        message = "must be the whole command as a list with `via: command`, such as [php, /var/www/nextcloud/occ]"
        yield Finding((_key("nextcloud.occ.command"), via), message)
    container = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*|[A-Za-z0-9_./-]+=\S+", occ.container)
    if occ.via == "docker" and not container:
        yield Finding((_key("nextcloud.occ.container"), via), "must be a container's or service's name, or label=value")
    if occ.via == "docker" and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", occ.user):
        yield Finding((_key("nextcloud.occ.user"), via), "must be auto, or a user's name or number")
    elif occ.user in {"root", "0"}:
        yield Finding((_key("nextcloud.occ.user"),), "must not be root; use auto, or the owner of config.php")
    if occ.timeout < 1:
        yield Finding((_key("nextcloud.occ.timeout"),), "must be at least 1s")
    for number, words in enumerate(occ.also):
        if not re.fullmatch(r"[a-z0-9_-]+(:[A-Za-z0-9_-]+)*", words[0]) or words[0].startswith("-"):
            message = "must begin with an occ command such as preview:pre-generate"
            yield Finding((_key("nextcloud.occ.also", number),), message)


def _placeholders(text: str) -> Iterator[tuple[str, str]]:
    """Give the name and the format of each ``{name:format}``; raises ``ValueError`` for braces that do not fit."""
    for _, name, form, conversion in Formatter().parse(text):
        if name is None:
            continue
        if conversion or "{" in (form or ""):
            raise ValueError
        yield name, form or ""


def _template(template: str) -> str:
    try:
        fields = list(_placeholders(template))
    except ValueError:
        return "has a `{` or `}` that does not fit; a field looks like {name} or {taken:%Y}"
    for name, form in fields:
        if name not in TEMPLATE_FIELDS:
            return f"{quoted('{' + name + '}')} is not a field; there are {{taken:…}}, {{name}}, {{ext}} and {{user}}"
        unknown = re.search(f"%(?![{DATE_LETTERS}])", form.replace("%%", ""))
        if name == "taken" and unknown:
            return f"{{taken:…}} knows the letters {', '.join('%' + letter for letter in DATE_LETTERS)}"
        if name != "taken" and form:
            return f"{{{name}}} takes nothing after a colon"
    names = {name for name, _ in fields}
    parts = "".join(literal + ("x" if name else "") for literal, name, _, _ in Formatter().parse(template)).split("/")
    if (
        template.startswith("/")
        or any(part.startswith(".") or not part.isprintable() for part in parts)
        or len(template) > 500
    ):
        return "must be a path below the archive's folder: no / at its beginning, no folder that begins with a dot"
    if not template.endswith("{ext}") or not names & {"name", "taken"}:
        return "must hold {name} or {taken:…}, and end with {ext}"
    return ""


def _archive(settings: Settings) -> Iterator[Finding]:
    if settings.archive.via == "folder":
        if message := _template(settings.archive.folder.template):
            yield Finding((_key("archive.folder.template"), _key("archive.via")), message)
        return
    prism, via = settings.photoprism, _key("archive.via")
    if not prism.url:
        yield Finding((_key("photoprism.url"), via), "must not be empty with `archive.via: photoprism`")
    if not prism.token.get_secret_value():
        message = "is empty: nothing can be imported until PhotoPrism's app password stands here or in token_file"
        yield Finding((_key("photoprism.token"), via), message, fault=False)
    if prism.originals and _nested(prism.import_, prism.originals):
        yield Finding(
            (_key("photoprism.import"), _key("photoprism.originals"), via),
            "must be another folder than photoprism.originals, and neither inside the other",
        )
    for number, title in enumerate(prism.albums):
        try:
            unknown = [name for name, form in _placeholders(title) if name != "user" or form]
        except ValueError:
            unknown = [title]
        if unknown or not title.strip():
            message = "must be a title, in which only {user} is replaced"
            yield Finding((_key("photoprism.albums", number),), message)


def _watch(settings: Settings, *, sweep: bool) -> Iterator[Finding]:
    watch = settings.watch
    settle = _key("watch.settle")
    if watch.settle < LEAST_SETTLE and not sweep:
        yield Finding((settle,), "must be at least 300ms: Nextcloud still works on a file when its upload has ended")
    elif watch.settle < WISE_SETTLE:
        message = f"{format_duration(watch.settle)} is very short: uploads may fail and be repeated; 10s is safe"
        yield Finding((settle,), message, fault=False)
    if watch.max_wait < watch.settle:
        yield Finding((_key("watch.max_wait"), settle), "must not be shorter than watch.settle")
    try:
        Schedule.parse(watch.sweep)
    except ValueError as error:
        yield Finding((_key("watch.sweep"),), str(error))


def _others(settings: Settings) -> Iterator[Finding]:
    for number, other in enumerate(settings.ui.others):
        if not other.url:
            yield Finding((_key("ui", "others", number),), "must have a url")


def _hooks(settings: Settings) -> Iterator[Finding]:
    for number, hook in enumerate(settings.hooks):
        if bool(hook.url) == bool(hook.run):
            yield Finding((_key("hooks", number),), "must have either url or run")
        if not 0.1 <= hook.timeout <= 3600:
            yield Finding((_key("hooks", number, "timeout"),), "must be at least 100ms and at most 1h")


def _ntfy(settings: Settings) -> Iterator[Finding]:
    ntfy = settings.notify.ntfy
    url, topic = _key("notify.ntfy.url"), _key("notify.ntfy.topic")
    if ntfy.url and not ntfy.topic:
        yield Finding((topic, url), "must not be empty where notify.ntfy.url is given")
    if ntfy.topic and not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", ntfy.topic):
        yield Finding((topic,), "must be 1 to 64 letters, digits, - or _")
    elif ntfy.topic and not ntfy.url:
        yield Finding((url, topic), "is empty: no messages are sent", fault=False)
    if urlsplit(ntfy.url).path:
        yield Finding((url,), "must be the server alone, such as https://ntfy.sh; the topic has a key of its own")
    token, password = ntfy.token.get_secret_value(), ntfy.password.get_secret_value()
    if bool(ntfy.user) != bool(password):
        missing = "password" if ntfy.user else "user"
        message = "must not be empty: ntfy wants a user name and a password together"
        yield Finding((_key("notify.ntfy", missing),), message)
    elif token and password:
        yield Finding((_key("notify.ntfy.password"), _key("notify.ntfy.token")), "give either a token or a password")
    for name in ntfy.events:
        if name not in MESSAGES:
            message = f"is no event that is told; there are {', '.join(MESSAGES)}"
            yield Finding((_key("notify.ntfy.events", name),), message)
    if ntfy.digest and not re.fullmatch(r"([01]?[0-9]|2[0-3]):[0-5][0-9]", ntfy.digest):
        yield Finding((_key("notify.ntfy.digest"),), 'must be a time of day in quotes, such as "20:00"')


def _ui(settings: Settings) -> Iterator[Finding]:
    ui = settings.ui
    if ui.tls.self_signed:
        if ui.tls.key:
            yield Finding((_key("ui.tls.key"), _key("ui.tls.cert")), "must be empty with `cert: self-signed`")
    elif bool(ui.tls.cert) != bool(ui.tls.key):
        missing, given = ("key", "cert") if ui.tls.cert else ("cert", "key")
        message = f"must not be empty where ui.tls.{given} is given"
        yield Finding((_key("ui.tls", missing), _key("ui.tls", given)), message)
    if ui.timezone and not is_zone(ui.timezone):
        yield Finding((_key("ui.timezone"),), "must be a time zone such as Europe/Berlin")
    host = ui.address[0]
    local = host == "localhost" or host == "::1" or host.startswith("127.")
    if not local and not ui.password_hash.get_secret_value() and not ui.allow and not ui.open:
        message = (
            "other machines can reach the page, and there is neither a password nor a list of addresses: it only shows "
            "how things are. Set a password (`photon-relay password`), ui.allow, or ui.open: true"
        )
        yield Finding((_key("ui.listen"),), message, fault=False)


def _folders(settings: Settings) -> Iterator[Finding]:
    data = settings.nextcloud.data
    if settings.archive.via == "photoprism":
        if _nested(data, settings.photoprism.import_):
            message = "must be another folder than nextcloud.data, and neither inside the other"
            yield Finding((_key("photoprism.import"), _key("nextcloud.data")), message)
    elif _inside(data, settings.archive.folder.path):
        message = "must not hold Nextcloud's data directory"
        yield Finding((_key("archive.folder.path"), _key("nextcloud.data")), message)
    if settings.state.startswith("/") and _inside(settings.state, data):
        yield Finding((_key("state"), _key("nextcloud.data")), "must not lie in Nextcloud's data directory")


def _inside(inner: str, outer: str) -> bool:
    return PurePosixPath(inner).is_relative_to(outer)


def _nested(one: str, other: str) -> bool:
    return _inside(one, other) or _inside(other, one)
