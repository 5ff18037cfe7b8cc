"""The one door to ``occ``: every command that the program uses, one at a time.

One at a time, since two scans of one path lock each other out, silently in new versions. Paths go in as argument
lists and in the form ``--option=value``, so that no name can pass for an option.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from daemon.errors import NeedsPerson, RelayError
from daemon.nextcloud import output
from daemon.nextcloud.refresh_plan import Features, MemoriesIndex, Scan
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.clock import Clock
    from daemon.nextcloud.output import IndexResult, Mount, ScanResult, Status
    from daemon.nextcloud.refresh_plan import Call
    from daemon.nextcloud.runner import Answer, Runner

QUICK: Final = 120.0
"""Seconds for what needs half a second on an idle machine: everything but scans, indexes and foreign commands."""

FEATURES_LAST: Final = 3600.0
"""Seconds after which Nextcloud is asked again what it can do: it may have been upgraded meanwhile."""

WITHOUT_TRASH: Final = 60.0
"""The same where its bin is off: photos wait for somebody to switch it on."""


class Occ:
    """Asks ``occ`` through a runner; ``timeout`` (seconds) is for the long commands.

    Beside the errors named at each method all raise what `daemon.nextcloud.output.check` and the runner raise: the
    server is in maintenance, waits for an upgrade, has no database, did not answer in time, is not there.
    """

    def __init__(self, runner: Runner, *, timeout: float, clock: Clock) -> None:
        self._runner = runner
        self._timeout = timeout
        self._clock = clock
        self._lock = anyio.Lock()
        self._features: tuple[float, Features] | None = None

    async def status(self) -> Status:
        """Ask for the version, and whether Nextcloud is in maintenance or waits for an upgrade."""
        return output.parse_status("occ status", await self._quick("status", "--output=json"))

    async def apps(self) -> dict[str, str]:
        """List the enabled apps and their versions."""
        return output.parse_apps("occ app:list", await self._quick("app:list", "--output=json"))

    async def external_mounts(self) -> list[Mount]:
        """List the external storages that the administrator set up; none where the app is not enabled."""
        answer = await self._quick("files_external:list", "--output=json")
        try:
            return output.parse_mounts("occ files_external:list", answer)
        except NeedsPerson as error:
            if error.code == "occ.no_command":
                return []
            raise

    async def features(self, *, fresh: bool = False) -> Features:
        """Find out what this Nextcloud can do; the answer is kept for an hour, or until an option is unknown."""
        now = self._clock.monotonic()
        if self._features and not fresh:
            asked, known = self._features
            if now - asked < (FEATURES_LAST if known.trash else WITHOUT_TRASH):
                return known
        apps = await self.apps()
        scan = await self._options("files:scan")
        index = await self._options("memories:index") if "memories" in apps else frozenset()
        found = Features(
            generate_metadata="--generate-metadata" in scan,
            memories=apps.get("memories"),
            memories_option="--path" if "--path" in index else "--folder" if "--folder" in index else "",
            memories_skip_cleanup="--skip-cleanup" in index,
            photos="photos" in apps,
            trash="files_trashbin" in apps,
        )
        self._features = (now, found)
        return found

    async def _options(self, command: str) -> frozenset[str]:
        return output.parse_options(output.check(f"occ {command}", await self._quick(command, "--help")))

    async def scan(self, user: str, path: str, *, shallow: bool = True, generate_metadata: bool = False) -> ScanResult:
        """Scan a folder below the user's files (empty = all of them), or one file that Nextcloud knows already.

        Raises:
            Transient: ``occ.locked``, ``occ.already_scanning``, ``occ.storage_unavailable``, ``occ.scan_failed``.
            NeedsPerson: ``occ.unknown_user``, ``occ.path_not_found``, ``occ.not_writable``; ``occ.nothing_scanned``
                for the scan that did nothing and said nothing (a mount that is gone, a received share);
                ``occ.unknown_file`` for a file whose folder was not scanned yet.

        """
        argv = ["files:scan", f"--path=/{_place(user, path)}"]
        argv += ["--shallow"] if shallow else []
        argv += ["--generate-metadata"] if generate_metadata else []
        try:
            return output.parse_scan(_what("scan", user, path), await self._ask(argv, self._timeout))
        except RelayError as error:
            self._doubt(error)
            raise

    async def memories_index(self, user: str, path: str | None) -> IndexResult:
        """Let Memories index a folder below the user's files, or all that is new (``None``, or an unknown version).

        Raises:
            NeedsPerson: ``occ.no_command`` (no Memories), ``occ.exiftool``, ``occ.unknown_user``,
                ``occ.path_not_found``.

        """
        features = await self.features()
        _place(user, path or "")
        argv = ["memories:index", f"--user={user}"]
        if path is not None and features.memories_option:
            argv.append(f"{features.memories_option}=/{path.strip('/')}")
        # The clean-up goes over four whole tables; Nextcloud's own background job does it, too.
        argv += ["--skip-cleanup"] if features.memories_skip_cleanup else []
        try:
            return output.parse_index(_what("index", user, path or ""), await self._ask(argv, self._timeout))
        except RelayError as error:
            self._doubt(error)
            raise

    async def carry_out(self, call: Call) -> ScanResult | IndexResult:
        """Do one call of a plan (`daemon.nextcloud.refresh_plan`); raises what `scan` or `memories_index` raises."""
        match call:
            case Scan(user, path, shallow, generate_metadata):
                return await self.scan(user, path, shallow=shallow, generate_metadata=generate_metadata)
            case MemoriesIndex(user, path):
                return await self.memories_index(user, path)

    async def delete(self, user: str, path: str) -> None:
        """Put a file into the user's own bin, as if they had deleted it; Nextcloud knows at once.

        Raises:
            Transient: ``occ.locked``.
            NeedsPerson: ``occ.unknown_file``, Nextcloud does not find it.

        """
        answer = await self._quick("files:delete", "--force", *_positional(user, path))
        output.check(_what("deletion", user, path), answer)

    async def tag(self, user: str, path: str, tag: str, *, access: str = "public") -> None:
        """Put a system tag on a file; the tag is made where there is none. A comma separates several tags.

        Raises:
            Transient: ``occ.locked``.
            NeedsPerson: ``occ.unknown_file``.

        """
        if not tag or tag.startswith("-"):
            raise NeedsPerson("occ.bad_tag", f"{shown(tag) or 'nothing'} cannot be a tag: occ reads it as an option.")
        answer = await self._quick("tag:files:add", *_positional(user, path), tag, access)
        output.check(_what("tagging", user, path), answer)

    async def knows(self, user: str, path: str) -> bool:
        """Tell whether Nextcloud knows a file or folder."""
        try:
            output.check(_what("look-up", user, path), await self._quick("info:file", *_positional(user, path)))
        except NeedsPerson as error:
            if error.code == "occ.unknown_file":
                return False
            raise
        return True

    async def run(self, argv: Sequence[str]) -> Answer:
        """Run one of the commands of ``nextcloud.occ.also``; an exit code other than 0 raises as described above."""
        answer = await self._ask(list(argv), self._timeout)
        output.check(f"occ {shown(argv[0] if argv else '')}", answer)
        return answer

    async def _quick(self, *argv: str) -> Answer:
        return await self._ask(argv, min(QUICK, self._timeout))

    async def _ask(self, argv: Sequence[str], seconds: float) -> Answer:
        async with self._lock:
            return await self._runner.run(argv, timeout=seconds)

    def _doubt(self, error: RelayError) -> None:
        """Forget what Nextcloud could do, where it says that it cannot."""
        if error.code in {"occ.no_option", "occ.no_command"}:
            self._features = None


def _what(deed: str, user: str, path: str) -> str:
    return f"{deed} of {shown(path.strip('/') or 'all files')} of {shown(user, 60)}"


def _place(user: str, path: str) -> str:
    """Give ``alice/files/a/b``, as occ wants paths.

    Raises:
        NeedsPerson: ``occ.bad_path`` for a path that leads elsewhere than it says.

    """
    parts = [part for part in path.split("/") if part]
    # Nextcloud reads a backslash as a slash: a\\b.jpg would be another file, b.jpg in a folder a.
    odd = "\0" in user + path or "\\" in user + path
    if not user or "/" in user or user in {".", ".."} or {".", ".."} & set(parts) or odd:
        raise NeedsPerson("occ.bad_path", f"occ is not asked for {shown(path)} of {shown(user, 60)}: no such path.")
    return "/".join([user, "files", *parts])


def _positional(user: str, path: str) -> list[str]:
    """Give the path as an argument without an option; ``--`` goes before it where a user id begins with a dash."""
    place = _place(user, path)
    return ["--", place] if place.startswith("-") else [place]
