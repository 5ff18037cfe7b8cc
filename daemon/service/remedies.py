"""What a button can do about something that is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Collection

    from daemon.issues import Issue

Action = dict[str, str]

_IN_THE_SETTINGS: Final = (
    "config.",
    "photoprism.unauthorized",
    "photoprism.forbidden",
    "photoprism.odd_answer",
    "photoprism.no_import",
    "photoprism.no_originals",
    "archive.no_folder",
    "docker.container_missing",
    "docker.ambiguous",
    "nextcloud.album_lags",
    "occ.wrong_user",
    "ntfy.",
)
_LOOKED_INTO: Final = ("nextcloud.", "occ.", "docker.", "photoprism.", "archive.", "disk.", "watch", "ntfy.")


def actions_for(issue: Issue, codes: Collection[str], users: Collection[str]) -> list[Action]:
    """Give what can be done about an issue, the likeliest first.

    ``codes`` are those for which photos wait or are held now, ``users`` everybody who was ever seen.
    """
    if issue.code == "user.new":
        user = issue.subject or next((one for one in users if f"user {shown(one)}" == issue.about), "")
        if user not in users:
            return []
        return [_action("include", "Include", user), _action("exclude", "Exclude", user)]
    found = []
    if issue.code in codes:
        found.append(_action("retry_code", "Try again now", issue.code))
    if issue.code.startswith(_IN_THE_SETTINGS):
        found.append(_action("open_settings", "Open the settings", issue.code.partition(".")[0]))
    if issue.code.startswith(_LOOKED_INTO):
        found.append(_action("run_checks", "Run the checks", ""))
    return found


def _action(do: str, label: str, subject: str) -> Action:
    return {"do": do, "label": label, "subject": subject}
