"""Changes as a front end wishes them, brought to what really stands in the file and what it decides. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from daemon.errors import ConfigError, NeedsPerson
from daemon.settings import Hook
from daemon.settings.document import MAX_DEPTH, MAX_NODES, in_words
from daemon.settings.secrets import MARKER
from daemon.settings.splicing import same

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.settings.document import KeyPath

_HOOK = {key: value for key, value in Hook(on="x").model_dump(mode="json").items() if key != "on"}


def bounded(changes: Any) -> None:
    """Refuse changes deeper or longer than a settings file can be; raises `ConfigError`.

    First of all and without recursion: editing walks through them by recursion, and costs seconds for each 10,000.
    """
    layer, found = [changes], 0
    for _ in range(MAX_DEPTH + 1):
        layer = [
            value
            for one in layer
            if isinstance(one, (dict, list))
            for value in (one.values() if isinstance(one, dict) else one)
        ]
        found += len(layer)
        if found > MAX_NODES:
            raise ConfigError([f"the changes have more than {MAX_NODES} keys and values"])
        if not layer:
            return
    raise ConfigError([f"the changes are nested deeper than {MAX_DEPTH} levels"])


def emptied(changes: Any) -> frozenset[KeyPath]:
    """Give the secrets that changes take away."""
    found = set()
    for path in (("photoprism", "token"), ("notify", "ntfy", "token"), ("notify", "ntfy", "password")):
        value = changes
        for part in path:
            value = value.get(part, "…") if isinstance(value, dict) else "…"
        if value in (None, ""):
            found.add(path)
    return frozenset(found)


def as_in_file(changes: dict[str, Any], data: Any) -> dict[str, Any]:
    """Bring changes, which are made to the settings as the page shows them, to what really stands in the file.

    ``include: [alice]`` is shown as a section, and hooks are shown without their secrets.
    """
    standing = data if isinstance(data, dict) else {}
    users, wanted = standing.get("users"), changes.get("users")
    listed = users.get("include") if isinstance(users, dict) else None
    if isinstance(wanted, dict) and isinstance(wanted.get("include"), dict) and isinstance(listed, list):
        kept: dict[str, Any] = {str(user): {} for user in listed if wanted["include"].get(str(user), {}) is not None}
        given = {user: rules for user, rules in wanted["include"].items() if rules is not None}
        include: Any = kept | given
        if not any(given.values()):
            include = list(include)
        changes = {**changes, "users": {**wanted, "include": include}}
    if isinstance(changes.get("hooks"), list) and isinstance(standing.get("hooks"), list):
        changes = {**changes, "hooks": [_with_secret(hook, standing["hooks"]) for hook in changes["hooks"]]}
    return changes


def _with_secret(hook: Any, standing: list[Any]) -> Any:
    if not isinstance(hook, dict):
        return hook
    like = [one for one in standing if isinstance(one, dict) and one.get("url", "") == hook.get("url", "")]
    # What is shown has every key; a default that nobody has written is not written now either.
    hook = {key: value for key, value in hook.items() if value != _HOOK.get(key) or any(key in one for one in like)}
    if not hook.get("url") or {"secret", "secret_file"} & hook.keys():
        return hook
    for one in like:
        if one.get("secret"):
            return {**hook, "secret": MARKER}
        if one.get("secret_file"):
            return {**hook, "secret_file": one["secret_file"]}
    return hook


def not_overridden(
    changes: dict[str, Any], settings: Any, overridden: Mapping[KeyPath, str], path: KeyPath = ()
) -> dict[str, Any]:
    """Leave out what says the same as a value from elsewhere; raise where it says something else."""
    found: dict[str, Any] = {}
    for key, value in changes.items():
        here = (*path, key)
        now = settings.get(key) if isinstance(settings, dict) else None
        source = next((words for other, words in overridden.items() if _touch(here, other)), None)
        if source is None:
            found[key] = value
        elif isinstance(value, dict) and here not in overridden:
            found[key] = not_overridden(value, now, overridden, here)
        elif value == MARKER or same(value, now):
            continue
        else:
            raise NeedsPerson(
                "config.overridden",
                f"{in_words(here)} comes from the {source}, which wins over the settings file; nothing was changed",
                hint=f"change the {source} instead, or take it away",
                key=in_words(here),
            )
    return found


def _touch(path: KeyPath, other: KeyPath) -> bool:
    shorter = min(len(path), len(other))
    return path[:shorter] == other[:shorter]
