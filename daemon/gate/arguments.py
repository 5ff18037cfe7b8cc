"""Which ``occ`` commands may be run, and what each argument of theirs may be.

Whatever is in no table is refused, so a new option of ``occ`` is never allowed by accident. Paths are those of users:
``<user>/files/…``, which is also what keeps ``files:delete`` from being given a file's number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from daemon.gate.denied import Denied

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Check = Callable[[str], bool]

ARGUMENTS: Final = 16
"""Arguments of one command at most; the longest of ours has six."""

PATH_BYTES: Final = 4096
NAME_BYTES: Final = 255
"""Linux's limits for a path and for one name in it."""

TAG_BYTES: Final = 256


def is_user(text: str) -> bool:
    r"""Tell whether this may be a user id: the name of a home in the data directory.

    Nextcloud's own users have few characters, those of other directories more; none has a slash, or a backslash, which
    Nextcloud takes for one.
    """
    return _is_name(text) and "\\" not in text


def is_below_home(text: str) -> bool:
    """Tell whether this is ``<user>/files`` or something below it."""
    user, _, rest = text.partition("/")
    return is_user(user) and (rest == "files" or (rest.startswith("files/") and _is_path(rest.removeprefix("files/"))))


def is_in_home(text: str) -> bool:
    """Tell whether this is ``<user>/files/<something>``: never a whole home."""
    return is_below_home(text) and text.count("/") > 1


def is_rooted_home(text: str) -> bool:
    """Tell whether this is ``/<user>/files`` or something below it, as ``files:scan`` has it."""
    return text.startswith("/") and is_below_home(text[1:])


def is_folder(text: str) -> bool:
    """Tell whether this is ``/`` or a folder below a user's files, as ``memories:index`` has it."""
    return text == "/" or (text.startswith("/") and _is_path(text[1:]))


def is_tag(text: str) -> bool:
    """Tell whether this may be a list of tags."""
    return 0 < len(text.encode()) <= TAG_BYTES and "\0" not in text


def _is_path(text: str) -> bool:
    r"""Tell whether this is a relative path that leads nowhere but down.

    Nextcloud reads ``\`` as ``/``, so ``..\..`` is looked at as it will be read.
    """
    if len(text.encode()) > PATH_BYTES or not all(map(_is_name, text.split("/"))):
        return False
    return not {".", ".."} & set(text.replace("\\", "/").split("/"))


def _is_name(text: str) -> bool:
    return 0 < len(text.encode()) <= NAME_BYTES and text not in {".", ".."} and "/" not in text and "\0" not in text


@dataclass(frozen=True, slots=True)
class Form:
    """One form of a command: flags, options with a value, those that must be there, and the operands in their order."""

    flags: frozenset[str] = frozenset()
    options: Mapping[str, Check] = field(default_factory=dict)
    needed: frozenset[str] = frozenset()
    operands: tuple[Check, ...] = ()

    def fits(self, arguments: Sequence[str]) -> bool:
        """Tell whether each of the arguments is explained, and none is missing."""
        given: set[str] = set()
        rest = list(arguments)
        while rest and rest[0].startswith("-") and rest[0] != "--":
            name, equals, value = rest.pop(0).partition("=")
            known = self.options[name](value) if equals and name in self.options else not equals and name in self.flags
            if not known or name in given:
                return False
            given.add(name)
        if rest and rest[0] == "--":
            del rest[0]
            if not rest:
                return False
        elif any(operand.startswith("-") for operand in rest):
            return False
        if not self.needed <= given or len(rest) != len(self.operands):
            return False
        return all(check(operand) for check, operand in zip(self.operands, rest, strict=True))


HELP: Final = Form(flags=frozenset({"--help"}), needed=frozenset({"--help"}))
LISTING: Final = Form(options={"--output": "json".__eq__})

FORMS: Final[Mapping[str, tuple[Form, ...]]] = {
    "status": (LISTING,),
    "app:list": (LISTING,),
    "files_external:list": (LISTING,),
    "files:scan": (
        HELP,
        Form(
            flags=frozenset({"--shallow", "--generate-metadata"}),
            options={"--path": is_rooted_home},
            needed=frozenset({"--path"}),
        ),
    ),
    "memories:index": (
        HELP,
        Form(flags=frozenset({"--skip-cleanup"}), options={"--user": is_user}, needed=frozenset({"--user"})),
        Form(
            flags=frozenset({"--skip-cleanup"}),
            options={"--user": is_user, "--path": is_folder},
            needed=frozenset({"--user", "--path"}),
        ),
        # Memories before 7.6.1.
        Form(
            flags=frozenset({"--skip-cleanup"}),
            options={"--user": is_user, "--folder": is_folder},
            needed=frozenset({"--user", "--folder"}),
        ),
    ),
    "files:delete": (Form(flags=frozenset({"--force"}), needed=frozenset({"--force"}), operands=(is_in_home,)),),
    "info:file": (Form(operands=(is_below_home,)),),
    "tag:files:add": (Form(operands=(is_in_home, is_tag, lambda text: text in {"public", "restricted", "invisible"})),),
}
"""Every command that the daemon has a use for; ``files:delete`` without ``--force`` would wait for an answer."""


def check_occ(words: Sequence[str], *, also: Sequence[Sequence[str]] = (), without: Sequence[str] = ()) -> None:
    """Let pass what comes after ``php occ``, if it is a command of the table or exactly one of ``also``.

    ``without`` are commands of the table that are not allowed here.

    Raises:
        Denied: it is neither, or one argument is not what it may be.

    """
    if any(list(words) == list(one) for one in also):
        return
    if not words:
        raise Denied("occ without a command is not allowed")
    command, arguments = words[0], words[1:]
    if command in without or command not in FORMS:
        raise Denied(f"the occ command {command} is not allowed")
    if len(arguments) > ARGUMENTS:
        raise Denied(f"occ {command} with {len(arguments)} arguments is not allowed")
    if not any(form.fits(arguments) for form in FORMS[command]):
        raise Denied(f"occ {command} with these arguments is not allowed: {' '.join(arguments)}")
