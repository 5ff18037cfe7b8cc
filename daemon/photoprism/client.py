"""PhotoPrism, as far as the relay needs it: look files up, import a folder, index one, fetch bytes back, probe.

Written against PhotoPrism's ``internal/api``. What its answers do not tell (whether an import did anything at all)
is for the caller to find out by looking files up.
"""

from __future__ import annotations

import re
import secrets
import string
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

from daemon.clock import Clock
from daemon.errors import NeedsPerson, RelayError, Transient
from daemon.photoprism.answers import (
    ClientConfig,
    ImportAnswer,
    KnownFile,
    OddAnswerError,
    Probe,
    an_object,
    client_config,
    known_file,
    seconds_left,
    shown_hashes,
)
from daemon.photoprism.patience import while_it_answers
from daemon.photoprism.transport import FIRST_PAUSE, RIGHTS_HINT, URL_HINT, Transport
from daemon.text import shown

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    import aiohttp

T = TypeVar("T")

SHA1: Final = re.compile(r"[0-9a-f]{40}")
IMPORTABLE: Final = re.compile(r"[a-z]+(/[a-z]+)*")
NOBODY: Final = "0" * 40
"""A SHA-1 that no file has: looking it up tells what the token may do."""
HASHES_A_SEARCH: Final = 40
"""40 hashes make a URL of 1.8 kB; proxies and servers cut at 4 to 8 kB."""
PREVIEW_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+")
"""It becomes part of a path, and must not lead elsewhere."""
BLOCK: Final = 256 * 1024
THUMBNAIL: Final = "tile_500"
"""A square of 500 pixels, one of those that PhotoPrism makes at import, so that none is made for us alone."""
THUMBNAIL_BYTES: Final = 2 * 1024 * 1024

_UNCLEAN: Final = re.compile(r'[\\|"?*%<>{}\x00-\x1f\x7f]|\.\.|//|/\.|^[ ~./]|[ ~./]$')


def cleanly_indexed(path: str) -> str:
    """Give ``path``, or its nearest parent, that PhotoPrism would index and not something else ("" = none).

    It strips characters from the name it is given, and takes "" (everything) where what is left looks unsafe
    (pkg/clean/path.go).
    """
    while path and (_UNCLEAN.search(path) or not path.isprintable() or len(path.encode(errors="replace")) > 512):
        path = path.rpartition("/")[0]
    return path


class PhotoPrism:
    """One PhotoPrism, reached over HTTP with one token. Its methods may be called side by side."""

    def __init__(self, url: str, token: str, *, clock: Clock | None = None, timeout: float = 30.0) -> None:
        """Keep ``timeout`` seconds as the limit of each short call; nothing is sent yet."""
        self._clock = clock or Clock()
        self._http = Transport(url, token, clock=self._clock, timeout=timeout)
        self._download_token = ""
        self._preview_token = ""
        self._previews_from = 0.0

    def __repr__(self) -> str:
        return f"PhotoPrism({self._http.place})"

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def _understood(self, read: Callable[[Any], T], data: Any, status: int) -> T:
        try:
            return read(data)
        except OddAnswerError:
            raise self._http.odd(status) from None

    # Looking up

    async def lookup(self, sha1: str) -> KnownFile | None:
        """Give what PhotoPrism knows of a content, ``None`` where it has no row for it.

        That is no proof of absence: a file may stand in originals without a row.
        """
        _checked(sha1)
        status, data = await self._http.call("GET", f"files/{sha1}")
        if status == 404 and isinstance(data, dict) and ("error" in data or "code" in data):
            return None
        if status != 200:
            # A proxy says 404, too, when nothing is behind it: that must not pass for "the archive has it not".
            raise self._http.odd(status)
        return self._understood(lambda answer: known_file(answer, sha1), data, status)

    async def visible(self, sha1s: Sequence[str]) -> set[str]:
        """Give those of the contents that PhotoPrism's search shows; archived and hidden ones are not among them."""
        wanted = list(dict.fromkeys(_checked(each) for each in sha1s))
        found: set[str] = set()
        for start in range(0, len(wanted), HASHES_A_SEARCH):
            found |= await self._search(wanted[start : start + HASHES_A_SEARCH])
        return found & set(wanted)

    async def _search(self, sha1s: Iterable[str]) -> set[str]:
        query = {"count": "1000", "merged": "true", "q": "hash:" + "|".join(sha1s)}
        status, data = await self._http.call("GET", "photos", query=query)
        if status != 200:
            raise self._http.odd(status)
        return self._understood(shown_hashes, data, status)

    # Doing

    async def import_folder(
        self,
        path: str,
        *,
        albums: Sequence[str] = (),
        timeout: float,  # noqa: ASYNC109 - passed on, and turned into an error that says what it means
    ) -> ImportAnswer:
        """Ask PhotoPrism to import one folder below its import folder, moving, and wait until it says it is done.

        ``path`` must be ``[a-z]+(/[a-z]+)*``: of anything else PhotoPrism may make "", which imports its *whole*
        import folder. ``timeout`` is in seconds. The answer proves nothing (see :class:`ImportAnswer`).

        Raises:
            ValueError: ``path`` is of another form, which is a fault of the program.
            Transient: ``photoprism.import_unanswered`` where it may be going on; else nothing was begun.

        """
        if not IMPORTABLE.fullmatch(path) or len(path) > 512:
            raise ValueError("an import folder must be of the form [a-z]+(/[a-z]+)*")
        started = self._clock.monotonic()
        body = {"path": path, "move": True, "albums": list(albums)}
        status, data = await self._work("import", f"import/{path}", body, timeout)
        if status != 200:
            raise self._http.odd(status)
        message = self._understood(_message, data, status)
        return ImportAnswer(message, self._clock.monotonic() - started)

    async def index(self, path: str, *, timeout: float) -> None:  # noqa: ASYNC109
        """Ask PhotoPrism to index a folder of originals; silent where another job holds its lock, too.

        Raises:
            Transient: ``photoprism.index_unanswered`` where it may be going on.
            NeedsPerson: ``photoprism.odd_folder``, a folder's name that PhotoPrism's API cannot be given.

        """
        clean = cleanly_indexed(path.strip("/"))
        if not clean:
            raise NeedsPerson(
                "photoprism.odd_folder",
                f"PhotoPrism cannot be asked to index its folder {shown(path)}: its name has characters that the API "
                "drops, so everything would be indexed",
                hint="index that folder on PhotoPrism's own page (Library, Index), or rename it",
            )
        body = {"path": clean, "rescan": False, "cleanup": False}
        status, data = await self._work("index", "index", body, timeout)
        if status != 200:
            raise self._http.odd(status)
        self._understood(_message, data, status)

    async def _work(self, work: str, path: str, body: dict[str, Any], seconds: float) -> tuple[int, Any]:
        """Ask for work that is answered when it is done; give up on it where PhotoPrism answers nothing else."""
        call = self._http.call("POST", path, body=body, timeout=seconds, unanswered=work)
        answer = await while_it_answers(call, lambda: self._http.call("GET", "status", with_token=False))
        if answer is None:
            raise self._http.unanswered(work, "it does not answer anything else either")
        return answer

    @asynccontextmanager
    async def download(self, sha1: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Hold the bytes of a file open that PhotoPrism knows, block by block: ``async with … as blocks``.

        Raises:
            Transient: ``photoprism.download_failed`` where PhotoPrism has not got it; ``photoprism.unreachable`` where
                it breaks off, while the blocks are read too.

        """
        _checked(sha1)
        fresh = not self._download_token
        if fresh:
            await self._fetch_download_token()
        async with self._open_download(sha1) as answer:
            if answer.status != 403 or fresh:
                self._raise_unless_handed_out(answer)
                async with aclosing(self._http.blocks(answer, BLOCK)) as blocks:
                    yield blocks
                return
        # The token for downloads ends with the session it came with: ask for a new one, once.
        await self._fetch_download_token()
        async with self._open_download(sha1) as answer:
            self._raise_unless_handed_out(answer)
            async with aclosing(self._http.blocks(answer, BLOCK)) as blocks:
                yield blocks

    def _open_download(self, sha1: str) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        url = self._http.url(f"dl/{sha1}", {"t": self._download_token})
        return self._http.open("GET", url, headers={"Accept": "*/*", "Accept-Encoding": "identity"})

    def _raise_unless_handed_out(self, answer: aiohttp.ClientResponse) -> None:
        if answer.status == 200:
            return
        if answer.status in {403, 404}:
            raise Transient(
                "photoprism.download_failed",
                f"PhotoPrism at {self._http.place} does not hand a file out for comparison (status {answer.status}); "
                "the original is kept",
                hint="mount PhotoPrism's originals and name them in photoprism.originals",
                retry_after=60.0,
            )
        raise self._http.status_fault(answer)

    async def _fetch_download_token(self) -> None:
        config = await self._config()
        if not config.download_token:
            raise Transient(
                "photoprism.download_failed",
                f"PhotoPrism at {self._http.place} gives no token for downloads; the original is kept",
                hint="mount PhotoPrism's originals and name them in photoprism.originals",
                retry_after=300.0,
            )
        self._download_token = config.download_token

    async def thumbnail(self, sha1: str) -> bytes | None:
        """Give PhotoPrism's small picture of a content, whatever bytes it is; ``None`` where none is handed out.

        Where it has none it answers 200 with an icon of its own, an SVG (internal/api/thumbs.go).
        """
        _checked(sha1)
        fresh = not self._preview_token
        for asked_anew in (fresh, True):
            if asked_anew:
                if self._clock.monotonic() < self._previews_from:
                    return None
                self._preview_token = (await self._config()).preview_token
            if not PREVIEW_TOKEN.fullmatch(self._preview_token):
                # Asked without a pause with a wrong token, it would empty PhotoPrism's limiter.
                self._previews_from = self._clock.monotonic() + FIRST_PAUSE
                self._preview_token = ""
                return None
            url = self._http.url(f"t/{sha1}/{self._preview_token}/{THUMBNAIL}")
            async with self._http.open("GET", url, headers={"Accept": "image/*"}) as answer:
                if answer.status == 403 and not asked_anew:
                    continue  # its token ends with the session it came with
                if answer.status != 200:
                    return None
                picture = bytearray()
                async with aclosing(self._http.blocks(answer, BLOCK)) as blocks:
                    async for block in blocks:
                        picture += block
                        if len(picture) > THUMBNAIL_BYTES:
                            return None
                return bytes(picture)
        return None

    async def _config(self, *, with_token: bool = True) -> ClientConfig:
        status, data = await self._http.call("GET", "config", with_token=with_token)
        if status != 200:
            raise self._http.odd(status)
        return self._understood(client_config, data, status)

    # Probing

    async def probe(self, *, by_doing: bool = False) -> Probe:
        """Find out how PhotoPrism is doing and what the token may do; never raises a :class:`RelayError`.

        ``by_doing`` also asks for the import of a folder that does not exist: only that shows whether the account may
        import, because a token without a user passes every other test. PhotoPrism's log gets a line of it.
        """
        try:
            status, data = await self._http.call("GET", "status", with_token=False)
            operational = self._understood(an_object, data, status).get("status") == "operational"
            if status != 200 or not operational:
                raise self._http.odd(status)
        except RelayError as fault:
            alive = fault.code in {"photoprism.busy", "photoprism.rate_limited"}
            return Probe(reachable=alive, faults=(fault,))
        looked = await self._tried(self.lookup(NOBODY))
        known = looked is None or looked.code == "photoprism.forbidden"
        config: ClientConfig | None = None
        faults: list[RelayError] = []
        try:
            config = await self._config(with_token=known)
        except RelayError as fault:
            faults.append(fault)
        if looked is not None:
            faults.insert(0, _scope_or_role(looked, config))
        searched = await self._tried(self._search([NOBODY])) if looked is None else None
        if searched is not None:
            faults.append(searched)
        ends_in = await self._ends_in() if looked is None and not (config and config.public) else None
        allowed = config.import_allowed if config else None
        switched = self._switched_off(config)
        faults += switched
        if by_doing and looked is None and not switched:
            tried = await self._tried(self._import_nothing())
            if tried is None:
                allowed = True
            elif tried.code == "photoprism.forbidden":
                allowed = False
            else:
                # Full, busy or unreachable says nothing about the right.
                faults.append(tried)
        if looked is None and allowed is False and not switched:
            faults.append(_forbidden("the account behind the token may not import: it is no admin, or no account"))
        return Probe(
            reachable=True,
            ready=True,
            version=config.version if config else "",
            edition=config.edition if config else "",
            public=config.public if config else False,
            token_ok=looked is None,
            token_ends_in=ends_in,
            search_allowed=None if looked is not None else searched is None,
            import_allowed=allowed,
            import_enabled=config.import_enabled if config else None,
            readonly=config.readonly if config else None,
            originals_used_percent=config.used_percent if config else None,
            faults=tuple(faults),
        )

    async def _ends_in(self) -> float | None:
        """Give the seconds that the token has left, or ``None``: only with the scope ``sessions`` may it be asked."""
        try:
            status, data = await self._http.call("GET", "session")
            return self._understood(seconds_left, data, status) if status == 200 else None
        except RelayError:
            return None

    @staticmethod
    async def _tried(call: Coroutine[Any, Any, object]) -> RelayError | None:
        try:
            await call
        except RelayError as fault:
            return fault
        return None

    async def _import_nothing(self) -> None:
        nowhere = "photonrelaycheck" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))
        await self.import_folder(nowhere, timeout=60.0)

    @staticmethod
    def _switched_off(config: ClientConfig | None) -> list[RelayError]:
        if config is None:
            return []
        if config.readonly:
            return [_forbidden("PhotoPrism is in read-only mode, so it imports nothing")]
        if config.import_enabled is False:
            return [_forbidden("import is switched off in PhotoPrism's settings, or not allowed to this account")]
        return []


def _checked(sha1: str) -> str:
    if not SHA1.fullmatch(sha1):
        raise ValueError("not a SHA-1 in lower-case hex")
    return sha1


def _message(data: Any) -> str:
    message = an_object(data).get("message")
    if not isinstance(message, str):
        raise OddAnswerError("no message")
    return shown(message)


def _forbidden(why: str) -> Transient:
    return Transient("photoprism.forbidden", why, hint=RIGHTS_HINT, retry_after=300.0)


def _scope_or_role(fault: RelayError, config: ClientConfig | None) -> RelayError:
    """Say which of the two a 403 is about, where PhotoPrism's settings for the token tell the role's rights."""
    if fault.code == "photoprism.odd_answer":
        fault.hint = fault.hint or URL_HINT
    if fault.code != "photoprism.forbidden" or config is None or config.import_allowed is None:
        return fault
    if config.import_allowed:
        return _forbidden("the token's scope does not include files: make one with the scopes files and photos")
    return _forbidden("the account behind the token may not manage files: it is no admin")
