"""One call of PhotoPrism's HTTP API: the token goes out, a JSON answer or an error of the program's own comes back.

Redirects are not followed: a 301 would turn an import into a GET, and the token would travel to wherever it points.
The token goes as ``X-Auth-Token``, which PhotoPrism reads first (pkg/header/auth.go), so that ``Authorization`` stays
free for a proxy whose user and password stand in the URL.
"""

from __future__ import annotations

import json
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from yarl import URL

from daemon.errors import ConfigError, Transient
from daemon.photoprism.patience import lasting_socket
from daemon.text import shown, span_in_words

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping

    from daemon.clock import Clock

CONNECT_SECONDS: Final = 10.0
ANSWER_BYTES: Final = 8 * 1024 * 1024
FIRST_PAUSE, LONGEST_PAUSE = 60.0, 900.0
"""After a 401: every wrong token costs PhotoPrism's limiter a try (60, and one more each 10 s), and once that is
empty even the right token is answered 401 (internal/api/session.go). Asking on would keep it empty."""

NOT_ACCEPTED_HINT: Final = (
    "set photoprism.token to an app password of an admin user (photoprism auth add -n photon-relay "
    '-s "files photos" -e -1 admin); if it is right, PhotoPrism\'s limiter for wrong tokens may be in force for this '
    "address, which passes by itself"
)
RIGHTS_HINT: Final = (
    'the token must belong to an admin user and have the scopes "files photos" (or *); import must be switched on in '
    "PhotoPrism's settings, and PHOTOPRISM_READONLY must be off"
)
URL_HINT: Final = "photoprism.url must be the address of PhotoPrism itself, as reached from here, path prefix included"


def base_url(url: str) -> URL:
    """Give the address that ``/api/v1`` is below; a path prefix is kept, a page's or the API's own path is not."""
    try:
        parsed = URL(url.strip())
    except ValueError:
        parsed = URL()
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ConfigError(["photoprism.url: must begin with http:// or https:// and name a host"])
    path = parsed.path.rstrip("/")
    for tail in ("/api/v1", "/library/login", "/library"):
        path = path.removesuffix(tail)
    return parsed.with_path(path.rstrip("/") or "/").with_query(None).with_fragment(None)


class Transport:
    """Makes calls with one token, and keeps quiet after a 401."""

    def __init__(self, url: str, token: str, *, clock: Clock, timeout: float) -> None:
        self.token = token.strip()
        if not (self.token.isascii() and self.token.isprintable()):
            raise ConfigError(["photoprism.token: has characters that no token has"])
        self._base, self._clock, self._timeout = base_url(url), clock, timeout
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._quiet_until = 0.0
        self._pause = 0.0

    def __repr__(self) -> str:
        return f"Transport({self.place})"

    @property
    def place(self) -> str:
        """Where PhotoPrism is, fit for a message: without the user and the password that the URL may hold."""
        return str(self._base.with_user(None)).rstrip("/")

    def url(self, path: str, query: Mapping[str, str] | None = None) -> URL:
        """Give the whole address of an API path such as ``files/<sha1>``."""
        url = self._base / "api/v1"
        # Not joined part by part: the slash at the end of ``import/`` matters (without it: 307).
        return url.with_path(f"{url.path}/{path}").with_query(dict(query or {}))

    def session(self, *, fresh: bool = False) -> aiohttp.ClientSession:
        """Give the session; a ``fresh`` one uses no connection twice.

        A connection that PhotoPrism closed meanwhile fails in a way that leaves open whether a POST arrived.
        """
        if fresh not in self._sessions or self._sessions[fresh].closed:
            connector = aiohttp.TCPConnector(
                force_close=fresh, limit=100 if fresh else 16, socket_factory=lasting_socket
            )
            self._sessions[fresh] = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), headers={"User-Agent": "photon-relay"}
            )
        return self._sessions[fresh]

    async def close(self) -> None:
        """Close the connections."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        with_token: bool = True,
        timeout: float | None = None,  # noqa: ASYNC109 - the limit is the call's own, and becomes an error of its own
        unanswered: str = "",
    ) -> tuple[int, Any]:
        """Give status and JSON of an answer that is 200, 400 or 404; everything else is raised.

        ``timeout`` is in seconds. ``unanswered`` names the work ("import") that may go on though its answer is lost:
        then a cut, a time-out or a proxy's 5xx is ``photoprism.<work>_unanswered``.

        Raises:
            Transient: with the codes that :meth:`fault` and :meth:`status_fault` give.

        """
        limit = self._timeout if timeout is None else timeout
        async with self.open(
            method, self.url(path, query), body=body, with_token=with_token, timeout=limit, unanswered=unanswered
        ) as answer:
            data = await self._read(answer, limit, unanswered)
            if answer.status not in {200, 400, 404}:
                raise self.status_fault(answer, data, unanswered)
            if data is None:
                raise self.odd(answer.status)
            return answer.status, data

    @asynccontextmanager
    async def open(
        self,
        method: str,
        url: URL,
        *,
        body: Mapping[str, Any] | None = None,
        with_token: bool = True,
        timeout: float | None = None,  # noqa: ASYNC109
        unanswered: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Hold an answer open, whatever its status; its body is read with :meth:`blocks`.

        Without a ``timeout`` only each single wait is limited, for answers as long as a film.
        """
        with_token = with_token and bool(self.token)
        if with_token:
            self._raise_if_quiet()
        limits = aiohttp.ClientTimeout(
            total=timeout,
            sock_connect=min(CONNECT_SECONDS, timeout or CONNECT_SECONDS),
            sock_read=self._timeout if timeout is None else None,
        )
        sent = {"Accept": "application/json", **(headers or {})}
        if with_token:
            sent["X-Auth-Token"] = self.token
        try:
            answer = await self.session(fresh=method != "GET").request(
                method, url, json=body, headers=sent, timeout=limits, allow_redirects=False
            )
        except (aiohttp.ClientError, OSError) as fault:
            # ``from None``: aiohttp's own words may hold the URL, and with it the token of a download.
            raise self.fault(fault, timeout or self._timeout, unanswered) from None
        async with answer:
            self._note(answer.status, with_token=with_token)
            yield answer

    async def blocks(
        self, answer: aiohttp.ClientResponse, size: int, *, limit: float | None = None, unanswered: str = ""
    ) -> AsyncGenerator[bytes, None]:
        """Give the body of an answer block by block; only faults of the connection are translated."""
        try:
            async for block in answer.content.iter_chunked(size):
                yield block
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as fault:
            raise self.fault(fault, limit or self._timeout, unanswered) from None

    async def _read(self, answer: aiohttp.ClientResponse, limit: float, unanswered: str) -> Any:
        """Give the JSON of an answer, ``None`` where it has none (a proxy's page, or far too long)."""
        raw = bytearray()
        async with aclosing(self.blocks(answer, 64 * 1024, limit=limit, unanswered=unanswered)) as blocks:
            async for block in blocks:
                raw += block
                if len(raw) > ANSWER_BYTES:
                    return None
        try:
            return json.loads(raw)
        except (ValueError, RecursionError):
            return None

    # 401: keep quiet for a while

    def _note(self, status: int, *, with_token: bool) -> None:
        now = self._clock.monotonic()
        if status == 401:
            if now >= self._quiet_until:
                self._pause = min(LONGEST_PAUSE, self._pause * 2 or FIRST_PAUSE)
                self._quiet_until = now + self._pause
        elif with_token and status in {200, 403, 404, 507}:
            self._pause = 0.0

    def _raise_if_quiet(self) -> None:
        if self._clock.monotonic() < self._quiet_until:
            raise self._unauthorized()

    def _unauthorized(self) -> Transient:
        left = max(1.0, self._quiet_until - self._clock.monotonic())
        return Transient(
            "photoprism.unauthorized",
            f"PhotoPrism at {self.place} does not accept the token; photos wait, next try in {span_in_words(left)}",
            hint=NOT_ACCEPTED_HINT,
            retry_after=max(FIRST_PAUSE, left),
        )

    # Faults, translated

    def odd(
        self, status: int, *, hint: str = URL_HINT, what: str = "no answer that PhotoPrism would give"
    ) -> Transient:
        """Give the error for an answer that is not of the expected form."""
        return Transient(
            "photoprism.odd_answer", f"{self.place} gave {what} (status {status})", hint=hint, retry_after=60.0
        )

    def unanswered(self, work: str, why: str) -> Transient:
        """Give the error for work that was asked for and may be going on."""
        return Transient(
            f"photoprism.{work}_unanswered",
            f"PhotoPrism at {self.place} was asked to {work}, but its answer did not come: {why}; "
            f"the {work} may still be going on, so the files are looked up before anything else is done",
            hint="a proxy between here and PhotoPrism should allow long answers; better: reach PhotoPrism directly",
            retry_after=15.0,
        )

    def fault(self, fault: BaseException, limit: float, unanswered: str = "") -> Transient:
        """Give the error for a connection that failed: ``photoprism.unreachable``, or that the answer is unknown."""
        never_sent = isinstance(fault, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError))
        why = _in_words(fault, limit)
        if unanswered and not never_sent:
            return self.unanswered(unanswered, why)
        return Transient(
            "photoprism.unreachable",
            f"PhotoPrism at {self.place} cannot be reached: {why}; photos wait where they are, it is tried again",
            hint="is PhotoPrism running, and is photoprism.url right as seen from here?",
        )

    def status_fault(self, answer: aiohttp.ClientResponse, data: Any = None, unanswered: str = "") -> Transient:
        """Give the error for an answer that is a refusal."""
        status = answer.status
        said = data.get("error") if isinstance(data, dict) else None
        if isinstance(said, str) and self.token:
            said = said.replace(self.token, "***")  # a proxy that is being mended may repeat what it was sent
        words = f' ("{shown(said)}")' if isinstance(said, str) and said else ""
        if status == 401:
            return self._unauthorized()
        if status == 403:
            return Transient(
                "photoprism.forbidden",
                f"PhotoPrism at {self.place} does not allow this to the token{words}; photos wait",
                hint=RIGHTS_HINT,
                retry_after=300.0,
            )
        if status == 429:
            wait = answer.headers.get("Retry-After", "")
            return Transient(
                "photoprism.rate_limited",
                f"PhotoPrism at {self.place} was asked too often{words}; photos wait",
                retry_after=min(600.0, max(1.0, float(wait))) if wait.isascii() and wait.isdigit() else FIRST_PAUSE,
            )
        if status == 507:
            return Transient(
                "photoprism.full",
                f"PhotoPrism at {self.place} has no space left{words}; photos wait where they are",
                hint="free space for originals, or raise PhotoPrism's files quota (PHOTOPRISM_FILES_QUOTA)",
                retry_after=300.0,
            )
        if status == 503:
            return Transient(
                "photoprism.busy",
                f"PhotoPrism at {self.place} is starting or overloaded (status 503){words}; photos wait",
                retry_after=4.0,
            )
        if status >= 500 and unanswered:
            return self.unanswered(unanswered, f"status {status}")
        if status >= 500:
            return Transient(
                "photoprism.unreachable",
                f"PhotoPrism at {self.place} answers with an error (status {status}){words}; photos wait",
                hint="PhotoPrism's own log says why; a proxy answers 502 or 504 while PhotoPrism is down",
            )
        if 300 <= status < 400:
            place = _origin(answer.headers.get("Location", ""))
            return self.odd(
                status, what=f"a redirect to {place}", hint=f"set photoprism.url to where it points ({place})"
            )
        return self.odd(status)


def _origin(location: str) -> str:
    try:
        url = URL(location)
        return shown(str(url.origin()) if url.is_absolute() else url.path)
    except ValueError:
        return "an address that is none"


def _in_words(fault: BaseException, limit: float) -> str:
    """Say what went wrong with a connection; never aiohttp's own text, which may repeat the whole URL."""
    if isinstance(fault, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError)):
        return "its certificate is not trusted, or it does not speak TLS there"
    if isinstance(fault, aiohttp.ClientConnectorDNSError):
        return "its name is not known here"
    if isinstance(fault, TimeoutError):
        return f"no answer within {span_in_words(limit)}"
    if isinstance(fault, aiohttp.ServerDisconnectedError):
        return "the connection was cut"
    if isinstance(fault, aiohttp.ClientPayloadError):
        return "the answer broke off"
    cause = fault.os_error if isinstance(fault, aiohttp.ClientConnectorError) else fault
    if isinstance(cause, OSError) and cause.strerror:
        return shown(cause.strerror)
    return type(fault).__name__
