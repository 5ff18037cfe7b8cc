"""How a test gets the layer mounted, speaks to it, and is rid of it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.torture.counts import COUNTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType

ROOT = Path(__file__).parents[3]
PATIENCE = 20.0


def missing() -> str:
    """Say what this machine lacks for the layer; empty where it has all."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "no access to /dev/fuse"
    if os.geteuid() != 0:
        return "not root, who alone may let others into a FUSE file system"
    try:
        import mfusepy  # noqa: F401
    except (ImportError, OSError) as error:
        return f"mfusepy with libfuse 3 does not load ({error}); Debian: apt-get install fuse3 libfuse3-3"
    return ""


class Mount:
    """The layer over the folder ``backing``, mounted at ``path``; both are made where they are missing.

    With ``record`` it can also forget: then syncing costs nothing and is only noted down (see ``durable.py``), and
    ``cut`` and ``power_on`` may be called. Everything that stood in ``backing`` before counts as durable. With
    ``own_inodes`` files have other inode numbers than in ``backing``, as on a pool of disks or a network share.
    """

    def __init__(self, backing: Path, path: Path, *, record: bool = False, own_inodes: bool = False) -> None:
        self.backing = backing
        self.path = path
        self._more = [*(["--record"] if record else []), *(["--own-inodes"] if own_inodes else [])]
        self._folder = Path(tempfile.mkdtemp(prefix="torture-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def __enter__(self) -> Mount:
        self.backing.mkdir(parents=True, exist_ok=True)
        self.path.mkdir(parents=True, exist_ok=True)
        control = self._folder / "control"
        argv = [sys.executable, "-m", "tests.torture.fuse", str(self.backing), str(self.path), str(control)]
        self._process = subprocess.Popen([*argv, *self._more], cwd=ROOT)
        try:
            until = time.monotonic() + PATIENCE
            while not (control.exists() and os.path.ismount(self.path)):
                if self._process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"the layer does not come up at {self.path}")
                time.sleep(0.01)
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(PATIENCE)
            self._socket.connect(str(control))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- faults -------------------------------------------------------------------------------------------------

    def fault(self, calls: str | Sequence[str], **wish: Any) -> int:
        """Put a rule in force (see ``faults.Rule``); gives its number."""
        return int(self._ask("fault", calls=calls if isinstance(calls, str) else list(calls), **wish))

    def clear(self, rule: int | None = None) -> int:
        """Take a rule back, or all; tells how often they acted."""
        acted = int(self._ask("clear", rule=rule))
        COUNTS.faults += acted
        return acted

    def acted(self, rule: int | None = None) -> int:
        """Tell how often a rule, or all of them, acted until now."""
        return int(self._ask("acted", rule=rule))

    def calls(self) -> dict[str, int]:
        """Give how often which call was made since the mount."""
        return dict(self._ask("calls"))

    def free(self, size: int | None) -> None:
        """Let the file system tell this many bytes as free; ``None`` for the truth."""
        self._ask("free", bytes=size)

    # -- power --------------------------------------------------------------------------------------------------

    def points(self) -> int:
        """Give how many changing or syncing calls were made since everything was last durable."""
        return int(self._ask("points"))

    def settle(self) -> None:
        """Let all that stands here count as durable, and counting begin anew."""
        self._ask("settle")

    def cut(self, at: int | None = None, kill: Path | None = None, path: str = "*") -> None:
        """Cut the power now, or instead of the ``at``-th changing or syncing call from now on (counted from 1).

        Counted are calls whose (first) path below the mount is like ``path``, a shell pattern in which ``*`` meets
        slashes too. From then on every call answers ``EIO``. ``kill`` is a file with the numbers of the processes that
        die with it.
        """
        self._ask("cut", at=at, kill=None if kill is None else str(kill), path=path)

    def is_cut(self) -> bool:
        """Tell whether the power is away."""
        return bool(self._ask("is_cut"))

    def power_on(self, seed: int, how: str = "") -> str:
        """Bring the folder into a state that the disk may be in after the cut, and go on; tells which kind of state.

        ``how`` is one of ``durable.HOWS``; by default the seed chooses. The same seed gives the same state.
        """
        return str(self._ask("power_on", seed=seed, how=how))

    def audit(self, wanted: Iterable[str], each: int, seed: int) -> None:
        """Look, at every changing or syncing call from now on, at ``each`` states that a cut there may leave.

        It is seen whether each of the ``wanted`` contents (``audit.digest``) stands complete in a place that counts.
        """
        self._ask("audit", wanted=sorted(wanted), each=each, seed=seed)

    def audited(self) -> tuple[int, list[str]]:
        """End that; gives how many states were looked at, and in which something was lost."""
        states, lost = self._ask("audited")
        return int(states), list(lost)

    # -- the end ------------------------------------------------------------------------------------------------

    def unmount(self, *, lazy: bool = True) -> None:
        """Take it away as an operator would, under way; what is open goes on to work until it is closed (lazy)."""
        subprocess.run(["umount", *(["-l"] if lazy else []), str(self.path)], check=True)

    def die(self) -> None:
        """Let the serving process die: every call answers ``ENOTCONN`` from now on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)

    def close(self) -> None:
        """Unmount, whatever is open, and end the process."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        subprocess.run(["umount", "-l", str(self.path)], check=False, capture_output=True)
        if self._process is not None:
            # Killed, not waited for: with files still open it would serve them for ever.
            self._process.kill()
            self._process.wait(PATIENCE)
            self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _ask(self, what: str, **more: Any) -> Any:
        assert self._socket is not None, "not mounted"
        self._socket.sendall(json.dumps({"do": what, **more}).encode() + b"\n")
        answer = b""
        while not answer.endswith(b"\n"):
            block = self._socket.recv(1 << 16)
            if not block:
                raise RuntimeError("the layer has died")
            answer += block
        said = json.loads(answer)
        if "error" in said:
            raise RuntimeError(said["error"])
        return said["answer"]
