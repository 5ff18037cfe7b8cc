"""``occ`` in Nextcloud's container: which user, which command, and the way there.

The images differ. The official ones (Debian, user id 33; Alpine, 82) and AIO have ``occ`` in their working directory
and call the user ``www-data``; linuxserver's user is ``abc`` and its ``occ`` is ``/app/www/public/occ``. Its wrapper
``/usr/bin/occ`` is never used: it hands its arguments to a shell, and a folder's name would be a command.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from daemon.docker.engine import Overdue
from daemon.docker.find import choose
from daemon.errors import NeedsPerson, RelayError, Transient
from daemon.nextcloud import output
from daemon.nextcloud.runner import Answer, timed_out
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.docker.engine import Container, Engine

AUTO: Final = "auto"
PROBE: Final = ("status", "--output=json")
"""What is asked to find out whether a candidate is right; it changes nothing."""

PROBE_SECONDS: Final = 60.0

CANDIDATES: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("www-data", ("php", "occ")),
    ("abc", ("php", "/app/www/public/occ")),
    ("www-data", ("php", "/var/www/html/occ")),
    ("33", ("php", "occ")),
    ("33", ("php", "/var/www/html/occ")),
)
"""User and command, in the order in which they are tried; nothing else is ever run to find out.

The number is for images that have no such name: whoever it is, ``occ`` then says which user id is the right one
(the owner of config.php), and that one is tried with the same command. It is never 0.
"""

MOST_OVERDUE: Final = 3
"""Commands that outlived their time limits and still run, beyond which no further one is started: where Nextcloud's
database or disk hangs, each try would leave one more process in its container."""

_NOT_HERE: Final = frozenset({"occ.no_occ", "occ.no_user"})
_NOT_ALLOWED: Final = "docker.forbidden"
"""A gate before the socket allows one of the candidates and refuses the others."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where ``occ`` was found."""

    container: Container
    user: str
    command: tuple[str, ...]


class DockerRunner:
    """Runs ``occ`` by an exec in the container that ``container`` means (`daemon.docker.find`).

    ``user`` and ``command`` may be ``"auto"``. What was found out is kept for as long as that container runs.
    """

    def __init__(
        self, engine: Engine, container: str, *, user: str = AUTO, command: Sequence[str] | str = AUTO
    ) -> None:
        self._engine = engine
        self._wanted = container
        self._candidates = _candidates(user, command)
        self._fixed = user != AUTO and command != AUTO
        self._may_change_user = user == AUTO
        self._place: Place | None = None
        self._overdue: list[Overdue] = []

    async def run(self, argv: Sequence[str], *, timeout: float) -> Answer:  # noqa: ASYNC109
        """Run ``occ`` once.

        Raises:
            Transient: ``docker.unreachable``, ``docker.container_missing``, ``docker.failed``, ``occ.timeout``,
                ``occ.not_found``; while it is being looked for, what `daemon.nextcloud.output.check` raises.
            NeedsPerson: ``docker.ambiguous``, ``docker.forbidden``, ``docker.not_utf8``, ``occ.wrong_user``.

        """
        known = self._place is not None
        try:
            return await self._try(argv, timeout)
        except Transient as error:
            # The container was replaced since it was found; nothing was run in it. One more try, with the new one.
            if not known or error.code != "docker.container_missing":
                raise
        return await self._try(argv, timeout)

    async def _try(self, argv: Sequence[str], seconds: float) -> Answer:
        place = await self.find()
        answer = await self._exec(place, argv, seconds)
        if answer.exit_code != 0 and "Console has to be executed with the user" in answer.stdout:
            self._place = None
        return answer

    async def find(self) -> Place:
        """Give the container, the user and the command; asks the engine only where they are not known yet."""
        if self._place is None:
            container = choose(self._wanted, await self._engine.containers())
            self._place = await self._look(container)
        return self._place

    async def _exec(self, place: Place, argv: Sequence[str], seconds: float) -> Answer:
        self._overdue = [one for one in self._overdue if await self._engine.runs_on(one)]
        if len(self._overdue) >= MOST_OVERDUE:
            raise Transient(
                "occ.timeout",
                f"occ {shown(argv[0])} was not started: {len(self._overdue)} earlier calls did not answer in time and"
                f" still run in {shown(place.container.name, 80)}. It is tried again when one of them has ended.",
                hint="Is Nextcloud's database or disk hanging? Restarting its container ends these processes.",
            )
        try:
            said = await self._engine.exec(place.container, [*place.command, *argv], user=place.user, seconds=seconds)
        except Overdue as overdue:
            # Closing an exec's stream does not end its process: PHP goes on, and keeps its lock for up to an hour.
            self._overdue.append(overdue)
            raise timed_out(argv, seconds, more="Its PHP process may still be running in the container.") from None
        except RelayError as error:
            if error.code.startswith("docker.container"):
                self._place = None
            raise
        return Answer(said.exit_code, said.stdout, said.stderr)

    async def _look(self, container: Container) -> Place:
        """Find out who may run ``occ`` in this container, and where it is."""
        if self._fixed:
            user, command = self._candidates[0]
            return Place(container, user, command)
        tried: list[str] = []
        refused: NeedsPerson | None = None
        for user, command in self._candidates:
            place = Place(container, user, command)
            try:
                return await self._probe(place)
            except NeedsPerson as error:
                if error.code == _NOT_ALLOWED:
                    refused = error
                elif error.code not in _NOT_HERE:
                    raise
                tried.append(f"{' '.join(command)} as {user}")
        if refused is not None:
            raise refused
        raise Transient(
            "occ.not_found",
            f"No occ was found in {shown(container.name, 80)} (tried: {shown('; '.join(tried), 400)}). "
            "It is tried again: the container may still be starting.",
            hint="Set nextcloud.occ.user and nextcloud.occ.command to what works with docker exec.",
            container=container.name,
        )

    async def _probe(self, place: Place) -> Place:
        """Ask a candidate for its status; where ``occ`` names another user, ask as that one."""
        what = f"occ in {shown(place.container.name, 80)}"
        answer = await self._exec(place, PROBE, PROBE_SECONDS)
        try:
            status = output.parse_status(what, answer)
        except NeedsPerson as error:
            uid = error.context.get("uid")
            if error.code != "occ.wrong_user" or not uid or not self._may_change_user or str(uid) == place.user:
                raise
            place = Place(place.container, str(uid), place.command)
            status = output.parse_status(what, await self._exec(place, PROBE, PROBE_SECONDS))
        if not status.installed:
            raise Transient(
                "occ.not_installed", f"{what}: Nextcloud is not installed yet, or its container is still starting."
            )
        return place


def _candidates(user: str, command: Sequence[str] | str) -> list[tuple[str, tuple[str, ...]]]:
    """Give the candidates that fit what was set by hand, each once."""
    fixed = None if command == AUTO else tuple([command] if isinstance(command, str) else command)
    if fixed == ():
        raise ValueError("the command is empty")
    chosen = [
        (candidate if user == AUTO else user, default if fixed is None else fixed) for candidate, default in CANDIDATES
    ]
    return list(dict.fromkeys(chosen))
