"""All checks, side by side, each with a time limit of its own; whatever happens in one, the others are told."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import anyio

from daemon.checks import data, machine, nextcloud, ntfy, places, prism, space, state, watching
from daemon.checks.aside import aside
from daemon.checks.check import Check, failed, of_error
from daemon.errors import RelayError
from daemon.files.faults import disk_fault
from daemon.text import shown, span_in_words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from daemon.clock import Clock
    from daemon.nextcloud.occ import Occ
    from daemon.photoprism.client import PhotoPrism
    from daemon.settings import Settings

log = logging.getLogger(__name__)

DISK = 20.0
OCC = 90.0
"""Half a second a call on an idle machine; while the daemon scans, the calls wait for their turn."""
NETWORK = 45.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the checks look at: the settings, and the doors to ``occ`` and PhotoPrism where there are such."""

    settings: Settings
    occ: Occ | None
    prism: PhotoPrism | None
    clock: Clock


class Look(NamedTuple):
    """One look: the name of its line if it fails as a whole, the seconds it may take, what is asked, and advice."""

    name: str
    within: float
    function: Callable[[Surroundings], Awaitable[list[Check]]]
    hint: str = "Is it on a disk or a network mount that does not answer?"


def _blocking(function: Callable[[Settings], list[Check]]) -> Callable[[Surroundings], Awaitable[list[Check]]]:
    async def look(around: Surroundings) -> list[Check]:
        return await aside(function, around.settings)

    return look


async def _watching(around: Surroundings) -> list[Check]:
    return await aside(watching.watching, around.settings, around.clock)


async def _nextcloud(around: Surroundings) -> list[Check]:
    return await nextcloud.nextcloud(around.settings, around.occ)


async def _photoprism(around: Surroundings) -> list[Check]:
    return await prism.photoprism(around.settings, around.prism)


async def _ntfy(around: Surroundings) -> list[Check]:
    return await ntfy.ntfy(around.settings)


async def _daemon(around: Surroundings) -> list[Check]:
    return await machine.daemon(around.settings)


def looks(settings: Settings) -> list[Look]:
    """Give the looks that these settings want, in the order in which they are told."""
    if settings.archive.via == "photoprism":
        archive = [
            Look(places.IMPORT, DISK, _blocking(places.import_folder)),
            Look(places.ORIGINALS, DISK, _blocking(places.originals)),
            Look(prism.PHOTOPRISM, NETWORK, _photoprism, "Is PhotoPrism busy? Look into its log."),
        ]
    else:
        archive = [Look(places.ARCHIVE, DISK, _blocking(places.archive_folder))]
    return [
        Look(data.DATA, DISK, _blocking(data.data_directory)),
        Look(data.USERS, DISK, _blocking(data.users)),
        Look(data.RIGHTS, DISK, _blocking(data.rights)),
        Look(watching.WATCHING, DISK, _watching),
        *archive,
        Look(space.SPACE, DISK, _blocking(space.free_space)),
        Look(state.STATE, DISK, _blocking(state.state_folder)),
        Look(nextcloud.OCC, OCC, _nextcloud, "Does a long scan run just now, or does Nextcloud's database hang?"),
        Look(ntfy.NTFY, NETWORK, _ntfy),
        Look(machine.EXIFTOOL, DISK, _blocking(machine.exiftool)),
        Look(machine.DAEMON, DISK, _daemon),
    ]


async def run_checks(surroundings: Surroundings) -> list[Check]:
    """Look at everything that a start needs, and give a line for each. Never raises."""
    return await look_at(looks(surroundings.settings), surroundings)


async def look_at(wanted: Sequence[Look], surroundings: Surroundings) -> list[Check]:
    """Do these looks side by side, and give what they found in their order."""
    found: list[list[Check]] = [[] for _ in wanted]

    async def one(number: int, look: Look) -> None:
        found[number] = await _guarded(look, surroundings)

    async with anyio.create_task_group() as group:
        for number, look in enumerate(wanted):
            group.start_soon(partial(one, number, look))
    # One thing that is wrong (the data directory is not there) is met by several looks, and told once.
    told: set[tuple[str, str]] = set()
    every = []
    for check in (check for checks in found for check in checks):
        if check.code and not check.code.startswith("checks.") and (check.code, check.message) in told:
            continue
        told.add((check.code, check.message))
        every.append(check)
    return every


async def _guarded(look: Look, surroundings: Surroundings) -> list[Check]:
    try:
        with anyio.move_on_after(look.within) as scope:
            return await look.function(surroundings)
    except RelayError as error:
        return [of_error(look.name, error)]
    except OSError as error:
        return [of_error(look.name, disk_fault(error, "looking at", shown(str(error.filename or look.name))))]
    except Exception as error:
        log.exception("the check %s broke", look.name)
        message = f"this check broke ({type(error).__name__}), which is a fault of the program"
        return [failed(look.name, message, "The log has more; please report it.", "checks.broken")]
    assert scope.cancelled_caught  # noqa: S101 - nothing else leads here
    message = f"no answer within {span_in_words(look.within)}"
    return [failed(look.name, message, look.hint, "checks.no_answer")]
