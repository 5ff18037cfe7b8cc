"""The lamps: for each thing the relay leans on, how it is, since when, and what a person can do."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from daemon.clock import iso
from daemon.docker.find import choose
from daemon.nextcloud.homes import check_data
from daemon.service.probes import Answer, Probe, Space, in_thread, space_of
from daemon.text import count_in_words, shown, size_in_words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from daemon.clock import Clock
    from daemon.current import Current
    from daemon.docker.engine import Engine
    from daemon.errors import RelayError
    from daemon.issues import Issue, Issues
    from daemon.relay.archive import Archive
    from daemon.settings import Settings
    from daemon.watch.watcher import WatchStatus

State = Literal["ok", "warning", "error", "off", "unknown"]
NAMES = {
    "nextcloud": "Nextcloud",
    "photoprism": "PhotoPrism",
    "docker": "Docker",
    "watcher": "Watcher",
    "ntfy": "ntfy",
    "disk_data": "Disk of the uploads",
    "disk_archive": "Disk of the archive",
    "disk_state": "Disk of the ledger",
}
NEARLY = 2
"""A disk with less than so many times ``relay.min_free`` is warned of."""


@dataclass(frozen=True, slots=True)
class Lamp:
    """How one thing is; ``since`` (wall time) where it is known better than from when it was first seen so."""

    state: State
    message: str
    hint: str = ""
    code: str = ""
    since: float | None = None
    detail: dict[str, Any] = field(default_factory=dict)


def of_error(error: RelayError | Issue, detail: dict[str, Any], state: State = "error") -> Lamp:
    """Give the lamp for something that goes wrong."""
    return Lamp(state, error.message, error.hint, error.code, getattr(error, "since", None), detail)


class Lamps:
    """Computes the lamps when they are asked for; looks at what must be looked at in the background."""

    def __init__(
        self,
        *,
        current: Current,
        issues: Issues,
        watch: Callable[[], WatchStatus],
        archive: Archive,
        engine: Engine | None,
        background: Callable[[Callable[[], Awaitable[None]]], bool],
        clock: Clock,
    ) -> None:
        """Take ``background(work)``, which runs ``work`` beside everything else where it can."""
        self._current = current
        self._issues = issues
        self._watch = watch
        self._background = background
        self._clock = clock
        self._archive = archive
        self._seen: dict[str, tuple[str, str, float]] = {}
        self.ntfy: Callable[[], RelayError | None] = lambda: None
        """What keeps messages from being sent, or ``None``."""
        self._probes = {
            "data": Probe("Nextcloud's data directory", self._look_at_data, clock),
            "archive": Probe("the archive", partial(archive.ready, 0), clock),
            "disk_data": Probe("the disk of the uploads", self._data_space, clock),
            "disk_archive": Probe("the disk of the archive", self._archive_space, clock),
            "disk_state": Probe("the disk of the ledger", self._state_space, clock),
        }
        if engine is not None:
            self._probes["docker"] = Probe("the Docker engine", partial(self._look_at_container, engine), clock)

    # -- looking ------------------------------------------------------------------------------------------------

    async def _look_at_data(self) -> None:
        await in_thread(partial(check_data, self._current.settings.nextcloud.data))

    async def _look_at_container(self, engine: Engine) -> str:
        return choose(self._current.settings.nextcloud.occ.container, await engine.containers()).name

    async def _data_space(self) -> Space:
        found: Space = await in_thread(partial(space_of, self._current.settings.nextcloud.data))
        return found

    async def _archive_space(self) -> Space:
        found: Space = await in_thread(partial(space_of, *_archive_folders(self._current.settings)))
        return found

    async def _state_space(self) -> Space:
        found: Space = await in_thread(partial(space_of, self._current.settings.state))
        return found

    def look(self) -> None:
        """Begin to look at whatever was not looked at for a while; returns at once."""
        for probe in self._probes.values():
            if probe.due:
                self._background(probe.look)

    # -- telling ------------------------------------------------------------------------------------------------

    def all(self, refreshed: Sequence[Mapping[str, Any]], jobs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Give all lamps as plain values.

        ``refreshed`` is what Nextcloud was asked for last, newest first, ``jobs`` what it is still to be asked for.
        """
        self.look()
        issues = {issue.about: issue for issue in self._issues.all()}
        settings = self._current.settings
        answers = {name: probe.answer() for name, probe in self._probes.items()}
        lamps = {
            "nextcloud": nextcloud(settings, issues, answers["data"], refreshed, jobs),
            "photoprism": photoprism(settings, issues, answers["archive"]),
            "docker": docker(settings, issues, answers.get("docker", Answer())),
            "watcher": watcher(settings, issues, self._watch()),
            "ntfy": ntfy(settings, issues, self.ntfy()),
            "disk_data": disk(answers["disk_data"], settings.relay.min_free, "uploads fail on a full disk", None),
            "disk_archive": disk(
                answers["disk_archive"], settings.relay.min_free, "nothing is placed there", _disk_issue(issues)
            ),
            "disk_state": disk(answers["disk_state"], settings.relay.min_free, "a full disk stops everything", None),
        }
        return [self._as_dict(name, lamp) for name, lamp in lamps.items()]

    def _as_dict(self, name: str, lamp: Lamp) -> dict[str, Any]:
        now = self._clock.wall()
        before = self._seen.get(name)
        if before is None or before[:2] != (lamp.state, lamp.code):
            before = self._seen[name] = (lamp.state, lamp.code, now)
        return {
            "id": name,
            "name": NAMES[name],
            "state": lamp.state,
            "message": lamp.message,
            "hint": lamp.hint,
            "code": lamp.code,
            "since": iso(before[2] if lamp.since is None else min(lamp.since, before[2])),
            "detail": lamp.detail,
        }


def nextcloud(
    settings: Settings,
    issues: Mapping[str, Issue],
    data: Answer,
    refreshed: Sequence[Mapping[str, Any]],
    jobs: Sequence[Mapping[str, Any]],
) -> Lamp:
    """Tell how Nextcloud is: its data directory, and what ``occ`` last said."""
    detail = {"last": refreshed[0] if refreshed else None, "jobs": len(jobs), "checked_at": iso(data.at)}
    if data.error is not None:
        return of_error(data.error, detail)
    if "nextcloud" in issues:
        return of_error(issues["nextcloud"], detail)
    failing = [job for job in jobs if job["code"]]
    told = [issue for about, issue in issues.items() if about.startswith(("scan ", "occ ")) or about in _GALLERIES]
    if told:
        return of_error(min(told, key=lambda issue: issue.since), detail, "warning")
    if failing:
        words = f"{count_in_words(len(failing), 'folder')} could not be scanned: {failing[0]['message']}"
        return Lamp("warning", words, "it is tried again by itself", failing[0]["code"], failing[0]["since"], detail)
    if settings.nextcloud.occ.via == "off":
        return Lamp("ok", "the data directory is there; occ is switched off", detail=detail)
    if data.at is None:
        return Lamp("unknown", "not looked at yet", detail=detail)
    return Lamp("ok", f"the data directory is there{'; occ answers' if refreshed else ''}", detail=detail)


_GALLERIES = frozenset({"album", "galleries"})


def photoprism(settings: Settings, issues: Mapping[str, Issue], answer: Answer) -> Lamp:
    """Tell how PhotoPrism is, by its last answer and by what keeps a batch waiting."""
    if settings.archive.via != "photoprism":
        return Lamp("off", "the archive is a folder; PhotoPrism is not used")
    detail = {"url": settings.photoprism.url, "checked_at": iso(answer.at)}
    issue = issues.get("archive")
    if issue is not None and not _of_disk(issue.code):
        return of_error(issue, detail)
    if answer.error is not None and not _of_disk(answer.error.code):
        return of_error(answer.error, detail)
    if answer.at is None:
        return Lamp("unknown", "not asked yet", detail=detail)
    return Lamp("ok", "it answers, and takes photos in", detail=detail)


def docker(settings: Settings, issues: Mapping[str, Issue], answer: Answer) -> Lamp:
    """Tell how the Docker engine is, where ``occ`` is called through it."""
    if settings.nextcloud.occ.via != "docker":
        return Lamp("off", "occ is not called through Docker")
    detail = {"container": answer.value, "checked_at": iso(answer.at)}
    issue = issues.get("nextcloud")
    if answer.error is not None:
        return of_error(answer.error, detail)
    if issue is not None and issue.code.startswith("docker."):
        return of_error(issue, detail)
    if answer.at is None:
        return Lamp("unknown", "not asked yet", detail=detail)
    return Lamp("ok", f"the container {shown(str(answer.value), 80)} runs", detail=detail)


def watcher(settings: Settings, issues: Mapping[str, Issue], status: WatchStatus) -> Lamp:
    """Tell how the watch is: what it watches, by which means, and when that was last proved."""
    detail = {
        "mode": status.mode,
        "verified_at": iso(status.verified_at),
        "swept_at": iso(status.swept_at),
        "directories": status.directories,
        "pending": status.pending,
        "missed": status.missed,
    }
    if status.problem:
        return Lamp("error", status.problem, "nothing new is noticed until it is back", "watch.blind", detail=detail)
    if "watch" in issues:
        return of_error(issues["watch"], detail)
    if status.shortage is not None:
        state: State = "error" if status.shortage.full else "warning"
        remedy = status.shortage.remedy
        return Lamp(state, status.shortage.message, remedy, "watch.limit", detail=detail)
    if status.unreadable:
        words = f"{count_in_words(len(status.unreadable), 'folder')} cannot be read: {status.unreadable[0]}"
        return Lamp("warning", words, "photos in there are not seen", "watch.unreadable", detail=detail)
    if status.why and settings.watch.mode != "poll":
        words = f"folders are looked through again and again: {status.why}"
        return Lamp("warning", words, "new photos are found some seconds later", "watch.polling", detail=detail)
    if status.mode == "off":
        if not settings.users.include:
            return Lamp("off", "nobody is included, so nothing is watched", detail=detail)
        return Lamp("unknown", "no folder to watch is there yet", detail=detail)
    how = {"inotify": "by events", "poll": "by looking again and again", "mixed": "by events and by looking"}
    words = f"{count_in_words(status.directories, 'folder')} watched {how.get(status.mode, status.mode)}"
    return Lamp("ok", words, detail=detail)


def ntfy(settings: Settings, issues: Mapping[str, Issue], trouble: RelayError | None) -> Lamp:
    """Tell whether messages can be sent."""
    wanted = settings.notify.ntfy
    if not wanted.url or not wanted.topic:
        return Lamp("off", "no messages are sent: notify.ntfy names no server and topic")
    told = next((one for one in issues.values() if one.about == "ntfy" or one.code.startswith("ntfy.")), None)
    error = trouble or told
    if error is not None:
        return of_error(error, {}, "warning")
    return Lamp("ok", f"messages go to {shown(wanted.topic)}")


def disk(answer: Answer, least: int, otherwise: str, issue: Issue | None) -> Lamp:
    """Tell how much room there is beside ``least`` bytes; ``otherwise`` is what happens below."""
    space: Space | None = answer.value
    detail: dict[str, Any] = {"checked_at": iso(answer.at), "min_free": least}
    if space is not None:
        detail |= {"path": shown(space.path), "free": space.free, "total": space.total}
    if answer.error is not None:
        return of_error(answer.error, detail)
    if issue is not None:
        return of_error(issue, detail)
    if space is None:
        return Lamp("unknown", "not looked at yet", detail=detail)
    words = f"{size_in_words(space.free)} of {size_in_words(space.total)} free"
    hint = "free some space, or lower relay.min_free"
    if space.free < least:
        return Lamp("error", f"{words}; {otherwise}", hint, "disk.low", detail=detail)
    if space.free < NEARLY * least:
        return Lamp("warning", f"{words}: soon too little", hint, "disk.nearly_low", detail=detail)
    return Lamp("ok", words, detail=detail)


def _of_disk(code: str) -> bool:
    return code.startswith("disk.")


def _disk_issue(issues: Mapping[str, Issue]) -> Issue | None:
    issue = issues.get("archive")
    return issue if issue is not None and _of_disk(issue.code) else None


def _archive_folders(settings: Settings) -> list[str]:
    if settings.archive.via == "folder":
        return [settings.archive.folder.path]
    return [path for path in (settings.photoprism.import_, settings.photoprism.originals) if path]
