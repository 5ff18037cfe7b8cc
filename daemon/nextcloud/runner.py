"""How ``occ`` is reached: as a process of this machine, or in Nextcloud's container (`daemon.nextcloud.container`).

Argument lists only, never a shell: folder names come from users, and one of them is called ``$(reboot)``.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING, Protocol

import anyio

from daemon.docker.bounded import HeadAndTail
from daemon.elsewhere import elsewhere
from daemon.errors import NeedsPerson, Transient
from daemon.text import shown, span_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anyio.abc import ByteReceiveStream, Process

GRACE = 2.0
"""Seconds between the polite request to end and the other one. PHP ends at once unless PCNTL catches the signal."""

OUR_ENVIRONMENT = "PHOTON_RELAY"
"""Variables that begin so carry our secrets, and are not for foreign programs."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said; the exit code of ``occ`` means little by itself, see `daemon.nextcloud.output`."""

    exit_code: int
    stdout: str
    stderr: str


class Runner(Protocol):
    """Whoever can run ``occ``."""

    async def run(self, argv: Sequence[str], *, timeout: float) -> Answer:  # noqa: ASYNC109 - it is part of the promise
        """Run ``occ`` with these arguments (without ``php occ``) and give its answer within ``timeout`` seconds.

        Raises:
            Transient: ``occ.timeout``, or the way to ``occ`` is gone.
            NeedsPerson: there is no ``occ`` where it should be.

        """
        ...


def timed_out(argv: Sequence[str], seconds: float, *, more: str = "") -> Transient:
    """Say that ``occ`` did not answer in time."""
    what = argv[0] if argv else "occ"
    return Transient(
        "occ.timeout",
        f"occ {shown(what)} did not answer within {span_in_words(seconds)}.{' ' + more if more else ''} "
        "It is tried again later.",
        hint="Is Nextcloud's database busy or gone? A longer nextcloud.occ.timeout helps where the folders are huge.",
        command=what,
        seconds=seconds,
    )


class CommandRunner:
    """Runs ``occ`` as a process: ``command`` is the whole command, such as ``["sudo", "-u", "www-data", "php", …]``.

    The process gets a session of its own and is ended with everything that it started, at the time limit and when the
    caller is cancelled. Its output is kept within bounds, its input is empty.
    """

    def __init__(self, command: Sequence[str]) -> None:
        if not command:
            raise ValueError("the command is empty")
        self._command = tuple(command)

    async def run(self, argv: Sequence[str], *, timeout: float) -> Answer:  # noqa: ASYNC109
        """Run ``occ`` once.

        Raises:
            Transient: ``occ.timeout``; ``occ.cannot_start``, the machine has no room for another process.
            NeedsPerson: ``occ.no_occ``, the command cannot be started; ``occ.bad_argument``.

        """
        return await elsewhere(self._run(argv, timeout))

    async def _run(self, argv: Sequence[str], timeout: float) -> Answer:  # noqa: ASYNC109 - as `run` has it
        process = await self._start(argv)
        out, err = HeadAndTail(), HeadAndTail()
        code: int | None = None
        try:
            with anyio.fail_after(timeout):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_collect, process.stdout, out)
                    tasks.start_soon(_collect, process.stderr, err)
                code = await process.wait()
        except TimeoutError:
            raise timed_out(argv, timeout, more="It was ended.") from None
        finally:
            with anyio.CancelScope(shield=True):
                if code is None:
                    await _end(process)
                await process.aclose()
        return Answer(code, out.text(), err.text())

    async def _start(self, argv: Sequence[str]) -> Process:
        whole = [*self._command, *argv]
        if any("\0" in item for item in whole):
            raise NeedsPerson("occ.bad_argument", "An argument for occ contains a zero byte; occ was not asked.")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(OUR_ENVIRONMENT)}
        try:
            return await anyio.open_process(
                [os.fsencode(item) for item in whole],
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=PIPE,
                env=environment,
                start_new_session=True,
            )
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            raise NeedsPerson(
                "occ.no_occ",
                f"{shown(self._command[0])} cannot be started: {error.strerror}.",
                hint="With nextcloud.occ.via: command, nextcloud.occ.command is the whole command, "
                "such as [sudo, -u, www-data, php, /var/www/nextcloud/occ].",
                command=self._command[0],
            ) from None
        except OSError as error:
            raise Transient(
                "occ.cannot_start", f"occ could not be started: {error.strerror}. It is tried again."
            ) from None


async def _collect(stream: ByteReceiveStream | None, into: HeadAndTail) -> None:
    assert stream is not None  # noqa: S101 - both are pipes
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        async for chunk in stream:
            into.add(chunk)


async def _end(process: Process) -> None:
    """End the process and all that it started, first politely.

    The second signal goes to the group even where the first child has gone: a grandchild may hold our pipes open, or
    a lock in Nextcloud's database.
    """
    _signal(process.pid, signal.SIGTERM)
    with anyio.move_on_after(GRACE):
        await process.wait()
    _signal(process.pid, signal.SIGKILL)
    await process.wait()


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
