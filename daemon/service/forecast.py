"""What including a user would do, told before it is done: counts, a plain sentence, and what people should know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from daemon.service.folders import is_screenshot, is_video, missing
from daemon.text import count_in_words, shown, size_in_words, span_in_words
from daemon.watch import media

if TYPE_CHECKING:
    from daemon.settings import EffectiveRules, Settings

_AFTER = {
    "trash": "goes to Nextcloud's bin",
    "delete": "is deleted",
    "archive": "is moved into the folder {archived} beside the watched one",
    "tag": "stays and gets the tag {tag}",
    "keep": "stays where it is",
}


@dataclass(slots=True)
class Forecast:
    """What stands in the chosen folders, sorted into what would move now and what would stay."""

    user: str
    taking: bool
    gone: bool = True
    cut: bool = False
    would_move: int = 0
    bytes: int = 0
    existing_stay: int = 0
    screenshots: int = 0
    videos: int = 0
    side_files: int = 0
    shots_there: int = 0
    _folders: dict[str, int] = field(default_factory=dict)

    def count(self, path: str, size: int, *, stays: bool) -> None:
        """Count one file; side files travel with their photo, and are counted by themselves."""
        if media.role(path.rpartition("/")[2]) == "side":
            if not stays:
                self.side_files += 1
                self.bytes += size
            return
        self.shots_there += is_screenshot(path)
        if stays:
            self.existing_stay += 1
            return
        self.would_move += 1
        self.bytes += size
        self.screenshots += is_screenshot(path)
        self.videos += is_video(path)
        folder = "/".join(path.split("/")[:-1][:2])
        self._folders[folder] = self._folders.get(folder, 0) + 1

    def counts(self) -> dict[str, int]:
        """Give the counts; screenshots, videos and side files are those that would move."""
        names = ("would_move", "bytes", "existing_stay", "screenshots", "videos", "side_files")
        return {name: getattr(self, name) if self.taking else 0 for name in names}

    def folders(self) -> list[dict[str, Any]]:
        """Give the folders from which photos would move, with how many."""
        if not self.taking:
            return []
        return [{"path": path, "photos": count} for path, count in sorted(self._folders.items())][:200]


def in_words(forecast: Forecast, rules: EffectiveRules) -> str:
    """Say what will happen."""
    who = shown(forecast.user)
    if not forecast.taking:
        return f"Nothing of {who} is touched: photos stay where they are, and new ones too."
    names = [f"“{shown(folder)}”" if folder else "all folders" for folder in rules.folders]
    where = ", ".join(names[:-1]) + (" and " if names[:-1] else "") + names[-1] if names else "no folder"
    said = [_now(forecast, who)]
    if forecast.existing_stay:
        before = count_in_words(forecast.existing_stay, "photo")
        said.append(f"{before} that stood there before {'stays' if forecast.existing_stay == 1 else 'stay'}.")
    after = _AFTER[rules.after].format(archived=shown(rules.archived), tag=shown(rules.tag))
    wait = f" {span_in_words(rules.release_after)} later" if rules.release_after else ""
    said.append(
        f"From then on every photo and video that {who} uploads to {where} goes to the archive; when it is provably"
        f" there, the original {after}{wait}."
    )
    return " ".join(said)


def _now(forecast: Forecast, who: str) -> str:
    if forecast.gone:
        return f"{who} has no home in Nextcloud's data directory, so nothing moves now."
    if not forecast.would_move:
        return "Nothing moves now."
    more = [
        count_in_words(count, noun)
        for count, noun in ((forecast.screenshots, "screenshot"), (forecast.videos, "video"))
        if count
    ]
    of_them = f", {' and '.join(more)} among them," if more else ""
    sides = f" with {count_in_words(forecast.side_files, 'side file')}" if forecast.side_files else ""
    least = "At least " if forecast.cut else ""
    photos = count_in_words(forecast.would_move, "photo")
    verb = "moves" if forecast.would_move == 1 else "move"
    return f"{least}{photos}{sides}{of_them} {verb} now ({size_in_words(forecast.bytes)})."


def warnings_for(forecast: Forecast, rules: EffectiveRules, settings: Settings) -> list[str]:
    """Give what people should know before they say yes."""
    if not forecast.taking:
        return []
    album, found = settings.nextcloud.album.folder, []
    where = f"the album {shown(album)}" if album else "the archive"
    found.append(f"Everybody who sees {where} sees these photos.")
    if rules.after in {"trash", "delete", "archive"}:
        found.append("A desktop client that synchronises these folders drops its own copy when the original goes.")
        found.append("Shares, comments and favourites of an original stay behind: in the archive it is another file.")
    if rules.after == "delete":
        found.append("Deleted originals are not in Nextcloud's bin: the archive has the only copy.")
    if forecast.shots_there:
        shots = count_in_words(forecast.shots_there, "screenshot")
        found.append(f"{shots} {'lies' if forecast.shots_there == 1 else 'lie'} in these folders; new ones go too.")
    if "" in rules.folders:
        found.append("All of this user's files are watched, not only a folder that a phone uploads to.")
    if not forecast.gone:
        found += [
            f"The folder {shown(folder)} is not there; it is watched from when it appears."
            for folder in missing(settings.nextcloud.data, forecast.user, rules.folders)[:10]
        ]
    if forecast.cut:
        found.append("There is more than could be counted in a few seconds.")
    if settings.relay.dry_run:
        found.append("relay.dry_run is on: nothing moves until it is off.")
    return found
