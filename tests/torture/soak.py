"""A soak: a real daemon under load for an hour, killed, stopped, lied to and set anew all the while.

``make soak`` (``SECONDS=600`` for a shorter one, ``ARGS="--seed 7"`` for another one). Everything is real but Nextcloud
and PhotoPrism, which are the stand-ins with their traps: the daemon is a process, its ledger a file, and the uploads
are files that come as Nextcloud leaves them. At the end nothing may be lost and nothing done twice; in between, at each
moment at which the daemon is dead or stopped, each upload must stand whole at its owner's or in the archive.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from tests import uploads
from tests.bench.measure import memory
from tests.e2e.world import ENDED, World

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.uploads import Planned, Upload

RULES = {"alice": "delete", "bob": "trash", "Jane Doe": "keep", "o'brien": "archive", "dora@example.org": "delete"}
LATER = [f"new-{number}" for number in range(8)]
"""Users who come while it runs."""
BACKLOG = 400
"""Uploads wait while so many photos are under way: a soak is no race."""
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the daemon from outside; ``tasks`` are those of its event loop, ``lives`` counts its starts."""

    at: float
    age: float
    lives: int
    photos: int
    memory: int
    descriptors: int
    threads: int
    tasks: int
    ledger: int

    def line(self) -> str:
        """Give it as a line of the table."""
        each = self.ledger / self.photos if self.photos else 0
        return (
            f"{self.at / 60:7.1f} {self.lives:6} {self.age / 60:6.1f} {self.photos:8,} {self.memory / MIB:8.1f}"
            f" {self.descriptors:6} {self.threads:8} {self.tasks:6} {self.ledger / MIB:8.2f} {each:8.0f}"
        )


HEAD = "minutes  lives    age   photos      MiB    fds  threads  tasks   ledger  B/photo"


class Bytes:
    """What contents stand where, hashed once for each file as long as its times stay."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int, int, int], str] = {}

    def below(self, root: Path, *, without: str = "") -> Counter[str]:
        """Count the contents below a folder, hidden names included; files that go away meanwhile are left out."""
        found: Counter[str] = Counter()
        for folder, folders, names in os.walk(root):
            folders[:] = [name for name in folders if name != without]
            for name in names:
                path = f"{folder}/{name}"
                with contextlib.suppress(FileNotFoundError):
                    status = os.lstat(path)
                    key = (path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
                    if key not in self._known:
                        self._known[key] = blake3(Path(path).read_bytes()).hexdigest()
                    found[self._known[key]] += 1
        return found


class Soak:
    """One run: a world, phones that upload into it, and what happens to it."""

    def __init__(self, folder: Path, seconds: float, seed: int, say: Callable[[str], None]) -> None:
        self.seconds, self.say = seconds, say
        self.rng = random.Random(seed)
        self.world = World(folder, list(RULES), samples_too=True)
        self.world.configure(users={"include": {user: {"after": after} for user, after in RULES.items()}})
        self.users = list(RULES)
        self.later = deque(LATER)
        self.plan = deque(uploads.plan([*RULES, *LATER], 60_000, seed=seed))
        self.held_back: dict[str, list[list[Planned]]] = {user: [] for user in LATER}
        self.truth: list[Upload] = []
        self.bytes = Bytes()
        self.faults: Counter[str] = Counter()
        self.looked = 0
        self.lives = 0
        self.logged = 0
        self.samples: list[Sample] = []
        self.began = self.started = time.monotonic()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._broken: list[BaseException] = []

    # -- the phones -----------------------------------------------------------------------------------------------

    def _upload(self) -> None:
        """Upload groups of files, at the pace of some phones, with a flood now and then, until told to stop."""
        rng = random.Random(self.rng.random())
        try:
            while not self._stop.is_set():
                if self._under_way() > BACKLOG:
                    self._stop.wait(1.0)
                    continue
                flood = rng.random() < 0.01
                for _ in range(rng.randrange(40, 120) if flood else 1):
                    self._one()
                self._stop.wait(rng.uniform(0.05, 0.5))
        except BaseException as error:  # noqa: BLE001 - the main thread tells it
            self._broken.append(error)

    def _one(self) -> None:
        group = self.plan.popleft()
        while True:
            with self._lock:
                if group[0].user in self.users:
                    break
                self.held_back[group[0].user].append(group)
            group = self.plan.popleft()
        for planned in group:
            self._put(planned)

    def _put(self, planned: Planned) -> None:
        made = uploads.upload(self.world.data, planned)
        with self._lock:
            self.truth.append(made)

    def _under_way(self) -> int:
        ended = self.world.rows("SELECT COUNT(*) n FROM photos WHERE state IN ('done', 'refused', 'restored', 'held')")
        return len(self.truth) - (ended[0]["n"] if ended else 0)

    # -- what is looked at ----------------------------------------------------------------------------------------

    def whole(self) -> None:
        """Hold that each upload that is complete stands whole at its owner's or in the archive, right now."""
        with self._lock:
            wanted = {one.blake3 for one in self.truth}
        # In this order: what leaves a home is in the archive before it goes.
        there = set(self.bytes.below(self.world.data, without="files_trashbin"))
        there |= set(self.bytes.below(self.world.originals))
        self.looked += 1
        lost = wanted - there
        assert not lost, f"{len(lost)} contents stand nowhere: {[one for one in self.truth if one.blake3 in lost][:5]}"

    def sample(self) -> None:
        """Look at the daemon from outside, where it runs."""
        process = self.world.process
        if process is None or process.poll() is not None:
            return
        with contextlib.suppress(OSError, ValueError):
            pid = process.pid
            counted = self.world.rows("SELECT COUNT(*) n FROM photos")
            ledger = sum(path.stat().st_size for path in self.world.state.glob("ledger.db*"))
            found = Sample(
                time.monotonic() - self.began,
                time.monotonic() - self.started,
                self.lives,
                counted[0]["n"] if counted else 0,
                _own_memory(pid),
                sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
                sum(1 for _ in Path(f"/proc/{pid}/task").iterdir()),
                self._tasks(),
                ledger,
            )
            self.samples.append(found)
            self.say(found.line())

    def _tasks(self) -> int:
        for line in self._get("/metrics").splitlines():
            if line.startswith("photon_relay_tasks "):
                return int(float(line.split()[1]))
        return 0

    def _get(self, path: str) -> str:
        address = self.world.settings["ui"]["listen"]
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            text: str = answer.read().decode()
        return text

    # -- what happens to it ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the daemon."""
        self.logged = self.world.log.stat().st_size if self.world.log.exists() else 0
        self.world.start(ready=False)
        self.lives += 1
        self.started = time.monotonic()

    def kill(self) -> None:
        """Kill the daemon, see that nothing is lost, and start it again."""
        self.world.kill()
        self.whole()
        self.start()

    def stop(self) -> None:
        """Ask it to stop, and start it again."""
        assert self.world.process is not None
        runs = "running; state in" in self.world.text(self.logged)
        code = self.world.stop(within=30)
        # Told to stop before Python itself was there, it just ends.
        assert code == 0 or (not runs and code == -signal.SIGTERM), f"it ended with {code}"
        self.start()

    def freeze(self) -> None:
        """Stop the process for a while, as a laptop that sleeps; uploads go on."""
        assert self.world.process is not None
        self.world.process.send_signal(signal.SIGSTOP)
        try:
            self._stop.wait(self.rng.uniform(0.5, 15))
            self.whole()
        finally:
            self.world.process.send_signal(signal.SIGCONT)

    def settings(self) -> None:
        """Save other settings."""
        rng = self.rng
        change: dict[str, Any] = rng.choice(
            [
                {"watch": {"settle": rng.choice(["300ms", "500ms", "1s", "2s"])}},
                {"watch": {"batch": rng.choice([10, 50, 200])}},
                {"watch": {"sweep": rng.choice(["every 1m", "every 15m", "0 3 * * *"])}},
                {"watch": {"mode": rng.choice(["auto", "inotify", "poll"])}},
                {"log": {"level": rng.choice(["info", "debug", "warning"])}},
                {"nextcloud": {"memories": rng.choice(["auto", "on", "off"])}},
                # From these the parts are built: all of them anew.
                {
                    "nextcloud": {
                        "occ": {**self.world.settings["nextcloud"]["occ"], "timeout": f"{rng.randint(5, 30)}m"}
                    }
                },
            ]
        )
        self.world.configure(**change)

    def torn(self) -> None:
        """Save a file that cannot be read, and mend it."""
        good = self.world.config.read_bytes()
        self.world.config.write_bytes(good[: self.rng.randrange(len(good))])
        self._stop.wait(2)
        self.world.configure()

    def somebody(self) -> None:
        """Let somebody come: a home, photos in it already, then the decision."""
        if not self.later:
            return
        user = self.later.popleft()
        uploads.make_home(self.world.data, user)
        self._stop.wait(self.rng.uniform(0, 3))
        self.world.settings["users"]["include"][user] = {"after": self.rng.choice(["delete", "keep", "archive"])}
        self.world.configure()
        self._until_seen(user)
        with self._lock:
            waiting = self.held_back.pop(user)
            self.users.append(user)
        for group in waiting:
            for planned in group:
                self._put(planned)

    def _until_seen(self, user: str) -> None:
        """Wait for a home to be listed: what stands there by then counts as old, and is rightly left alone."""
        listed = "SELECT 1 FROM homes WHERE user = ? AND baseline_at IS NOT NULL"
        self.world.until(lambda: self.world.rows(listed, user), f"{user} seen", 60)

    def restore(self) -> None:
        """Put photos back that were relayed, by the command."""
        done = self.world.rows(
            "SELECT id FROM photos WHERE state = 'done' AND duplicate_of IS NULL ORDER BY RANDOM() LIMIT 3"
        )
        if done:
            told = self.world.run("restore", *(str(row["id"]) for row in done), within=60)
            if told.returncode:
                self.say(f"restore: {(told.stderr or told.stdout).strip()[-200:]}")

    def page(self) -> None:
        """Look at the page's figures and lists."""
        for path in ("/healthz", "/api/v1/status", "/api/v1/summary", "/api/v1/photos?limit=100", "/api/v1/batches"):
            with contextlib.suppress(OSError):
                self._get(path)

    def prism_killed(self) -> None:
        """Kill PhotoPrism in the middle of whatever it does, and start it again."""
        self.world.prism.kill()
        self._stop.wait(self.rng.uniform(0.1, 8))
        self.world.prism.start()

    def prism_lies(self) -> None:
        """Switch one of PhotoPrism's traps on for a while."""
        rng = self.rng
        trap: dict[str, Any] = rng.choice(
            [
                *({"outage": how} for how in ("reset", "503", "500", "hang", "html")),
                {"throttle": 3},
                {"busy": True},
                {"busy_next": 3},
                {"seconds_per_photo": 0.1},
                {"proxy_cuts_after": 0.3, "seconds_per_photo": 0.1},
                {"crash_after": rng.randrange(1, 30)},
                {"unindexed": ["*[13579].*"]},
                {"move_fails": ["*[02468].*"]},
                {"swallowed": ["*7.jpg"]},
                {"mkdir_denied": True},
                {"exdev": True, "copy_pause": 0.05},
                {"websocket": rng.choice(["off", "mute", "odd"])},
                {"odd_answers": True},
                {"readonly": True},
                {"quota_full": True},
                {"import_disabled": True},
            ]
        )
        self.world.prism.traps(**trap)
        self._stop.wait(rng.uniform(2, 12))
        self._honest()

    def _honest(self) -> None:
        self.world.prism.control(clear=True)

    def nextcloud_lies(self) -> None:
        """Switch one of occ's traps on for a while."""
        trap = self.rng.choice(
            [
                *("maintenance", "needs_upgrade", "database", "locked", "already_scanning", "not_writable", "nothing"),
                *("noise", "unindexable"),
            ]
        )
        self.world.occ.switch(**{trap: ["IMG_0007.jpg"] if trap == "unindexable" else True})
        self._stop.wait(self.rng.uniform(2, 12))
        self.world.occ.switch(**{trap: [] if trap == "unindexable" else False})

    # -- a run ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Do it all, then let it come to rest and hold what must hold."""
        deeds: dict[Callable[[], None], int] = {
            self.kill: 6, self.stop: 2, self.freeze: 4, self.settings: 5, self.torn: 1, self.somebody: 1,
            self.restore: 3, self.page: 6, self.prism_killed: 2, self.prism_lies: 8, self.nextcloud_lies: 4,
        }  # fmt: skip
        deadly = {self.kill, self.stop}
        self.world.prism.start()
        self.start()
        for user in self.users:
            self._until_seen(user)
        phones = threading.Thread(target=self._upload)
        phones.start()
        end = self.began + self.seconds
        pause = min(10.0, self.seconds / 60)
        every, next_look = max(5.0, self.seconds / 60), 0.0
        self.say(HEAD)
        try:
            while (now := time.monotonic()) < end and not self._broken:
                if now >= next_look:
                    self.sample()
                    next_look = now + every
                self._stop.wait(self.rng.uniform(0.2, 2 * pause))
                if self._under_way() > BACKLOG and self.rng.random() < 0.8:
                    continue  # the relay is far behind: where nothing ever goes well, nothing is tried
                deed = self.rng.choices(list(deeds), list(deeds.values()))[0]
                # The last third is one life, so that what grows is seen.
                if deed in deadly and time.monotonic() - self.began > self.seconds * 2 / 3:
                    continue
                self.faults[deed.__name__] += 1
                deed()
                assert self.world.process is not None
                assert self.world.process.poll() is None, f"the daemon ended by itself:\n{self.world.text()[-4000:]}"
        finally:
            self._stop.set()
            phones.join()
        if self._broken:
            raise self._broken[0]
        self._come_to_rest()

    def _come_to_rest(self) -> None:
        self._stop.clear()
        self._honest()
        count = len(self.truth)
        deadline = time.monotonic() + 300 + count / 10
        while time.monotonic() < deadline:
            # What a person would do: a sweep tries again what is held.
            self.world.run("sweep", within=100)
            left = self.world.rows("SELECT 1 FROM photos WHERE state NOT IN ('done', 'refused', 'restored')")
            if not left and len(self._ends()) >= count and not self.world.rows("SELECT 1 FROM jobs"):
                break
        self.whole()
        self.sample()
        assert self.world.stop(within=30) == 0

    def _ends(self) -> list[Any]:
        return self.world.rows("SELECT user, path, blake3, state FROM photos WHERE state IN ('done', 'restored')")

    def counts(self) -> dict[str, int]:
        """Give what came out: uploads, lost, done twice, not at their end."""
        archive = self.bytes.below(self.world.originals)
        wanted = {one.blake3 for one in self.truth}
        ends = Counter((row["user"], os.fsdecode(row["path"]), row["blake3"].hex()) for row in self._ends())
        truth = Counter((one.user, one.path, one.blake3) for one in self.truth)
        other = self.world.rows("SELECT state, COUNT(*) n FROM photos GROUP BY state")
        return {
            "uploads": len(self.truth),
            "contents": len(wanted),
            "lost": len(wanted - set(archive)),
            "in the archive twice": sum(count - 1 for count in archive.values()),
            "in the archive and nobody's": len(set(archive) - wanted),
            "uploads without an end": sum((truth - ends).values()),
            "ends without an upload": sum((ends - truth).values()),
            "not at their end": sum(row["n"] for row in other if row["state"] not in ENDED),
            "refused": sum(row["n"] for row in other if row["state"] == "refused"),
            "restored": sum(row["n"] for row in other if row["state"] == "restored"),
            "left in import": len(self.world.left_in_import()),
            "hidden names left": len(self.world.private_names()),
            "faults of the program in its log": self.world.text().count("Traceback"),
            "looks while it was dead or stopped": self.looked,
            "starts": self.lives,
        }


MUST_BE_NONE = (
    *("lost", "in the archive twice", "in the archive and nobody's", "uploads without an end"),
    *("ends without an upload", "not at their end", "left in import", "hidden names left"),
    "faults of the program in its log",
)


def _own_memory(pid: int) -> int:
    """Give the daemon's own resident bytes, without the commands it has just started."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return memory(pid)


def growth(samples: list[Sample]) -> list[str]:
    """Give how the last life went, from its second fifth on (by then all is loaded) to its end."""
    last = [one for one in samples if one.lives == samples[-1].lives]
    steady = last[len(last) // 5 :]
    if len(steady) < 4:
        return ["the last life was too short to tell what grows"]
    half = len(steady) // 2
    lines = []
    for name in ("memory", "descriptors", "threads", "tasks"):
        first, second = ([getattr(one, name) for one in part] for part in (steady[:half], steady[half:]))
        unit, scale = (" MiB", MIB) if name == "memory" else ("", 1)
        means = [sum(part) / len(part) / scale for part in (first, second)]
        lines.append(
            f"{name}: {means[0]:.1f}{unit} in the first half of the last life's {len(steady)} looks,"
            f" {means[1]:.1f}{unit} in the second, {max(first + second) / scale:.1f}{unit} at most"
        )
    return lines


def soak(folder: Path, seconds: float, seed: int, say: Callable[[str], None]) -> tuple[dict[str, int], list[Sample]]:
    """Run a soak and give what came out."""
    run = Soak(folder, seconds, seed, say)
    with run.world:
        run.run()
        counts = run.counts()
    say(f"faults: {', '.join(f'{count} x {name}' for name, count in run.faults.most_common())}")
    for name, count in counts.items():
        say(f"{count:8,}  {name}")
    for line in growth(run.samples):
        say(line)
    return counts, run.samples


def main() -> int:
    """Run it from the command line; 1 where something was lost or done twice."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0, help="for how long (3600)")
    parser.add_argument("--seed", type=int, default=None, help="which faults when (by chance)")
    parser.add_argument("--dir", type=Path, default=None, help="where to make the world (a temporary folder)")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 30) if given.seed is None else given.seed
    began = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(f"a soak of {given.seconds:.0f} s, seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="photon-relay-soak-", dir=given.dir) as folder:
        try:
            counts, _ = soak(Path(folder), given.seconds, seed, lambda line: print(line, flush=True))
        except AssertionError as error:
            print(f"FAILED after {time.monotonic() - began:.0f} s: {error}", flush=True)
            return 1
    wrong = [name for name in MUST_BE_NONE if counts[name]]
    print(f"{time.monotonic() - began:.0f} s; " + (f"WRONG: {', '.join(wrong)}" if wrong else "all well"), flush=True)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
