"""Whose photos are relayed, from where, and what becomes of the originals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import BeforeValidator

from daemon.settings.base import Section, key
from daemon.settings.values import Duration, Folder, FolderName, UserId, wrong

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

After = Literal["trash", "delete", "archive", "tag", "keep"]
Decision = Literal["include", "exclude", "ask"]

FOLDERS = ("InstantUpload", "SofortUpload", "Camera Uploads", "Photos")


class UserRules(Section):
    """Rules of one user; what is not given is as for everybody."""

    folders: tuple[Folder, ...] | None = key(
        None, "The folders of this user that are watched, instead of those for everybody.", ["Camera", "WhatsApp/Media"]
    )
    existing: bool | None = key(None, "Relay also what already stood there when this user's home was first seen?", True)
    after: After | None = key(None, "What becomes of this user's originals once the archive provably has them.", "keep")
    release_after: Duration | None = key(
        None, "How long this user's originals stay after the archive provably has them.", "7d", unit="time"
    )
    archived: FolderName | None = key(
        None, "With `after: archive`, the name of the folder that this user's originals go to.", "Archived"
    )
    tag: str | None = key(None, "With `after: tag`, the tag that this user's originals get.", "relayed")


class EffectiveRules(NamedTuple):
    """What holds for one user: the user's own rules over those for everybody."""

    folders: tuple[str, ...]
    """Relative to the user's files, none of them inside another."""
    existing: bool
    after: After
    release_after: float
    """Seconds."""
    archived: str
    tag: str


def _no_rules_is_empty(value: object) -> object:
    return {} if value is None else value


def _included(value: object) -> object:
    # `include: [alice, bob]` is what people try first, and it can mean only one thing.
    if isinstance(value, (list, tuple)):
        if not all(isinstance(item, (str, int)) and not isinstance(item, bool) for item in value):
            raise wrong("must be a list of user ids, or user ids each with its rules, such as `alice: {}`")
        return {str(item): {} for item in value}
    return value


def outermost(folders: tuple[str, ...]) -> tuple[str, ...]:
    """Give the folders without doubles and without those that lie inside another of them, in their order."""
    distinct = dict.fromkeys(folders)
    return tuple(folder for folder in distinct if outer_of(folder, distinct) is None)


def outer_of(folder: str, folders: Container[str]) -> str | None:
    """Give the nearest of the folders that this one lies in, if there is one."""
    parts = folder.split("/")
    above = ("/".join(parts[:length]) for length in range(len(parts) - 1, 0, -1))
    return next((outer for outer in above if outer in folders), None)


class Users(Section):
    """Whose photos are relayed, from where, and what becomes of the originals."""

    new: Decision = key(
        "ask",
        "What happens with a user who is in neither of the two lists below: ask (wait until you decide on the page), "
        "include or exclude.",
        "include",
    )
    include: Annotated[
        dict[UserId, Annotated[UserRules, BeforeValidator(_no_rules_is_empty)]], BeforeValidator(_included)
    ] = key(
        {},
        "Users whose photos are relayed, each with rules of its own or with {}. A rule that is not given is taken from "
        "below. The user id is the name of the user's folder in the data directory; put it in quotes if it has special "
        "characters.",
        {"alice": {}, "bob": {"folders": ["Camera"], "after": "keep"}},
    )
    exclude: tuple[UserId, ...] = key((), "Users whose photos are never touched.", ["carol", "o'neil@example.org"])
    folders: tuple[Folder, ...] = key(
        FOLDERS,
        "The folders that are watched, with all that lies in them, for users without `folders` of their own. They are "
        "relative to the user's files as Nextcloud shows them.",
        ["InstantUpload", "Camera Uploads"],
    )
    existing: bool = key(
        False,
        "Relay also what already stood in these folders when the user's home was first seen? With false only what "
        "arrives from then on is relayed.",
        True,
    )
    after: After = key(
        "trash",
        "What becomes of an original once the archive provably has it: trash (Nextcloud's own bin; needs occ), delete, "
        "archive (moved into a folder beside the watched one), tag (stays and gets a tag; needs occ), or keep.",
        "archive",
    )
    release_after: Duration = key(
        0.0,
        "How long the original stays after the archive provably has it; a length of time, such as 0s, 12h or 7d.",
        "7d",
        unit="time",
    )
    archived: FolderName = key(
        "Archived",
        "With `after: archive`, the name of the folder beside the watched one that originals go to. It is hidden from "
        "galleries (.nomedia) and never watched.",
        "Archived",
    )
    tag: str = key("relayed", "With `after: tag`, the tag that originals get.", "relayed")

    def rules_for(self, user: str) -> EffectiveRules:
        """Give what holds for this user, whether included or not."""
        own = self.include.get(user) or UserRules()
        return EffectiveRules(
            folders=outermost(self.folders if own.folders is None else own.folders),
            existing=self.existing if own.existing is None else own.existing,
            after=self.after if own.after is None else own.after,
            release_after=self.release_after if own.release_after is None else own.release_after,
            archived=self.archived if own.archived is None else own.archived,
            tag=self.tag if own.tag is None else own.tag,
        )

    def included(self, homes: Iterable[str]) -> dict[str, tuple[str, ...]]:
        """Give the folders to watch of those of these users whose photos are relayed."""
        return {user: self.rules_for(user).folders for user in sorted(homes) if self.decision(user) == "include"}

    def decision(self, user: str) -> Decision:
        """Tell whether this user's photos are relayed, left alone, or a person is to be asked; exclusion wins."""
        if user in self.exclude:
            return "exclude"
        return "include" if user in self.include else self.new
