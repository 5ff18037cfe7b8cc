"""The sentences that ``occ`` is known to say, in any version, and the errors that they mean.

They are matched at the beginning of a line, since file names stand within lines, and file names are users'.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from daemon.errors import NeedsPerson, RelayError, Transient

if TYPE_CHECKING:
    from collections.abc import Callable

# ESC [ … letter, ESC ] … BEL, and single-letter escapes: Memories ends its progress lines with these, not newlines.
_CONTROL: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")


def clean(text: str) -> str:
    """Give the text with each terminal control sequence and carriage return as a line's end."""
    return _CONTROL.sub("\n", text).replace("\r", "\n")


def _line(pattern: str) -> re.Pattern[str]:
    # Possessive: a line of a million blanks must not be tried a million times.
    return re.compile(rf"^[ \t]*+(?:{pattern})", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Known:
    """A sentence that ``occ`` is known to say, and the error that it means."""

    pattern: re.Pattern[str]
    error: Callable[[str, re.Match[str]], RelayError]


def _transient(code: str, text: str, hint: str = "", retry_after: float | None = None) -> Callable[..., RelayError]:
    def make(what: str, _: re.Match[str]) -> RelayError:
        return Transient(code, f"{what}: {text} It is tried again by itself.", hint=hint, retry_after=retry_after)

    return make


def _person(code: str, text: str, hint: str) -> Callable[..., RelayError]:
    def make(what: str, _: re.Match[str]) -> RelayError:
        return NeedsPerson(code, f"{what}: {text}", hint=hint)

    return make


def _wrong_user(what: str, match: re.Match[str]) -> RelayError:
    return wrong_user(what, match.string)


def wrong_user(what: str, text: str) -> NeedsPerson:
    """Make ``occ.wrong_user``, with the right user id in its context as ``uid`` where the text names one."""
    found = re.search(r"Owner id of config\.php: ([0-9]{1,10})\b", text) or re.search(r"'-u ([0-9]{1,10})'", text)
    uid = int(found[1]) if found else None
    right = "" if uid is None else f" That is user id {uid}."
    return NeedsPerson(
        "occ.wrong_user",
        f"{what}: occ wants to be run by the owner of Nextcloud's config.php.{right}",
        hint="Leave nextcloud.occ.user at auto, or set it to that id."
        if uid is not None
        else "Set nextcloud.occ.user.",
        uid=uid,
    )


_DATABASE = _transient("occ.database", "Nextcloud cannot reach its database.", "Is Nextcloud's database running?")

# In this order: the states of the whole server first, since they cause what stands below them.
ANYWHERE: Final = (
    Known(_line(r"Console has to be executed with the user that owns"), _wrong_user),
    Known(
        _line(r"Nextcloud is in maintenance mode"),
        _transient("occ.maintenance", "Nextcloud is in maintenance mode.", "It ends with: occ maintenance:mode --off"),
    ),
    Known(
        _line(r"Nextcloud or one of the apps require upgrade"),
        _transient("occ.upgrade_pending", "Nextcloud waits for an upgrade.", "It is done with: occ upgrade"),
    ),
    Known(
        _line(r"Nextcloud is not installed"),
        _transient("occ.not_installed", "Nextcloud is not installed yet.", "Its container may still be starting."),
    ),
    Known(_line(r"Error while re-connecting to database|.*\bdatabase is locked"), _DATABASE),
    Known(_line(r"Failed to connect to the database|.*\bSQLSTATE\["), _DATABASE),
    Known(
        # The console wraps its boxed errors at 80 columns, so that a path's own line may end before "is locked".
        _line(
            r'Exception during scan: .* is locked|"[^"\n]*" is locked|.*\bLockedException\b|In \w*LockingProvider\.php'
        ),
        _transient("occ.locked", "a file or folder is locked, somebody may be uploading."),
    ),
)
SCAN: Final = (
    Known(
        _line(r"Another process is already scanning"),
        _transient("occ.already_scanning", "another process is scanning the same folder."),
    ),
    Known(
        _line(r"Unknown user \d+ "),
        _person(
            "occ.unknown_user",
            "Nextcloud does not know this user.",
            "The name is the user id as in the data directory, not the name that is displayed.",
        ),
    ),
    Known(
        _line(r"Path not found:"),
        _person(
            "occ.path_not_found",
            "Nextcloud does not find this folder.",
            "Is the folder there, and is the album mounted in Nextcloud's container too?",
        ),
    ),
    Known(
        _line(r"Home storage for user .*not writable|User folder .*not writable"),
        _person(
            "occ.not_writable",
            "Nextcloud may not write to this home, or its owner never logged in.",
            "The home and its files must belong to Nextcloud's user id.",
        ),
    ),
    Known(
        _line(r".*\bstorage not available"),
        # Nextcloud asks an external storage that failed once again only ten minutes later.
        _transient("occ.storage_unavailable", "the storage is not available.", retry_after=600.0),
    ),
    Known(_line(r"(?:Exception|Error) during scan:"), _transient("occ.scan_failed", "the scan was broken off.")),
    Known(_line(r"Interrupted by user"), _transient("occ.interrupted", "the scan was interrupted.")),
)
INDEX: Final = (
    Known(_line(r"User .* not found$"), SCAN[1].error),
    Known(_line(r"The specified (?:folder|path) .* does not exist"), SCAN[2].error),
)
FAILED: Final = (
    Known(
        _line(r'There are no commands defined in the "|Command "[^"\n]*" is not defined'),
        _person("occ.no_command", "Nextcloud does not have this command.", "Is the app that brings it enabled?"),
    ),
    Known(
        _line(r'The "-{1,2}[^"\n]*" option does not exist'),
        _person(
            "occ.no_option", "this version of Nextcloud or the app does not know an option.", "Please report this."
        ),
    ),
    Known(
        _line(r"failed to run exiftool"),
        _person("occ.exiftool", "Memories cannot run exiftool.", "Memories' settings page tells how to set it up."),
    ),
    Known(
        _line(r"Could not open input file:|OCI runtime exec failed|.*executable file not found"),
        _person(
            "occ.no_occ", "there is no occ.", "Set nextcloud.occ.command to the whole command, such as [php, occ]."
        ),
    ),
    Known(
        _line(r"unable to find user "),
        _person(
            "occ.no_user", "there is no such user in the container.", "Set nextcloud.occ.user to a name or a number."
        ),
    ),
    Known(
        _line(r".*\bAllowed memory size of \d+ bytes exhausted"),
        _person("occ.memory", "PHP's memory was used up.", "Raise PHP_MEMORY_LIMIT of Nextcloud, 512M at least."),
    ),
    # A file's name may have newlines in it.
    Known(
        _line(r"file [\s\S]{1,4200}? not found$"),
        _person("occ.unknown_file", "Nextcloud does not know this file.", ""),
    ),
)


def raise_known(what: str, text: str, known: tuple[Known, ...]) -> None:
    """Raise the error of the first of the ``known`` sentences that stands in the (cleaned) text, if any does."""
    for sentence in known:
        if match := sentence.pattern.search(text):
            raise sentence.error(what, match)
