"""The client asks as PhotoPrism wants to be asked, and turns each way of failing into an error of its own."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import socket
import traceback
from typing import TYPE_CHECKING

import anyio
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from daemon.errors import ConfigError, NeedsPerson, Transient
from daemon.photoprism import patience
from daemon.photoprism.answers import KnownFile, OddAnswerError, client_config, known_file, shown_hashes
from daemon.photoprism.client import HASHES_A_SEARCH, IMPORTABLE, PhotoPrism, cleanly_indexed
from daemon.photoprism.transport import base_url
from tests.photoprism.conftest import TOKEN, TestClock, Trees
from tests.standins.photoprism import PhotoPrismStandIn
from tests.standins.photoprism_rules import user_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from typing import Any

SOME = "a" * 40


async def failing(call: Coroutine[Any, Any, object]) -> Transient:
    with pytest.raises(Transient) as caught:
        await call
    said = "".join(traceback.format_exception(caught.value)) + repr(caught.value.context) + caught.value.hint
    assert TOKEN not in said
    return caught.value


# What works


async def test_lookup_import_lookup(client: PhotoPrism, pp: PhotoPrismStandIn, trees: Trees) -> None:
    sha1 = trees.put("batch/one/a.jpg")
    assert await client.lookup(sha1) is None
    answer = await client.import_folder("batch", albums=["Alice"], timeout=10.0)
    assert answer.message == "Import completed in 0 s"
    known = await client.lookup(sha1)
    assert known is not None
    assert (known.sha1, known.root, known.size, known.missing, known.error) == (sha1, "/", 750, False, "")
    assert known.in_originals
    assert known.photo_uid
    assert (trees.originals / known.name).is_file()
    assert pp.imports[0] | {"report": None} == {
        "path": "batch",
        "asked": "batch",
        "albums": ["Alice"],
        "move": True,
        "report": None,
    }
    assert ("POST", "/api/v1/import/batch") in pp.calls


@pytest.mark.parametrize(
    ("change", "in_originals"),
    [({}, True), ({"root": "sidecar"}, False), ({"missing": True}, False), ({"error": "broken"}, False)],
)
def test_in_originals(change: dict[str, Any], in_originals: bool) -> None:
    fields: dict[str, Any] = {"root": "/", "missing": False, "error": ""} | change
    assert KnownFile("a" * 40, "x.jpg", size=1, photo_uid="", sidecar=False, **fields).in_originals is in_originals


async def test_visible_in_batches(client: PhotoPrism, pp: PhotoPrismStandIn, trees: Trees) -> None:
    sha1s = [trees.put(f"batch/{'x' * number}y.jpg") for number in range(HASHES_A_SEARCH * 2 + 3)]
    await client.import_folder("batch", timeout=30.0)
    pp.archive(sha1s[3])
    pp.hide(sha1s[4])
    pp.calls.clear()
    assert await client.visible([*sha1s, *sha1s[:5], SOME]) == set(sha1s) - {sha1s[3], sha1s[4]}
    assert len(pp.calls) == 3
    assert all(len(query) < 4000 for _, query in pp.calls)
    assert await client.visible([]) == set()


async def test_visible_finds_every_member_of_a_stack(client: PhotoPrism, trees: Trees) -> None:
    both = {trees.put("batch/a.heic"), trees.put("batch/a.mov")}
    await client.import_folder("batch", timeout=10.0)
    assert await client.visible(sorted(both)) == both


async def test_a_url_with_a_prefix_and_a_password_for_a_proxy(trees: Trees) -> None:
    async with PhotoPrismStandIn(trees.imports, trees.originals, token=TOKEN, prefix="/photos") as pp:
        client = PhotoPrism(pp.url.replace("://", "://who:secret@") + "/", TOKEN, timeout=5.0)
        assert await client.lookup(SOME) is None
        assert (await client.probe()).faults == ()
        assert "secret" not in repr(client)
        pp.traps.outage = "500"
        assert "secret" not in (await failing(client.lookup(SOME))).message
        await client.close()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://pp:2342", "http://pp:2342/"),
        ("http://pp:2342/", "http://pp:2342/"),
        (" https://host/photos/ ", "https://host/photos"),
        ("https://host/photos/api/v1/", "https://host/photos"),
        ("https://host/library/login?x=1#y", "https://host/"),
        ("http://[::1]:2342", "http://[::1]:2342/"),
    ],
)
def test_base_url(url: str, expected: str) -> None:
    assert str(base_url(url)) == expected


@pytest.mark.parametrize("url", ["", "pp:2342", "ftp://pp", "http://", "http://host:port/", "/x"])
def test_no_url(url: str) -> None:
    with pytest.raises(ConfigError, match=re.escape("photoprism.url")):
        PhotoPrism(url, "")


def test_no_token() -> None:
    with pytest.raises(ConfigError) as caught:
        PhotoPrism("http://pp", "abc\ndef")
    assert "abc" not in str(caught.value)


# What is refused here, before anything is sent


@given(st.text(max_size=20) | st.from_regex(r"[a-zA-Z./ ]{0,12}", fullmatch=True))
def test_an_importable_path_stays_itself(path: str) -> None:
    if IMPORTABLE.fullmatch(path):
        assert user_path(path) == path != ""


@pytest.mark.parametrize(
    "path", ["", "/", "batch/", "/batch", "..", "a//b", "a/../b", ".b", "A", "b1", "a\n", "a" * 600]
)
async def test_an_unclean_import_is_never_asked_for(client: PhotoPrism, pp: PhotoPrismStandIn, path: str) -> None:
    with pytest.raises(ValueError, match="import folder"):
        await client.import_folder(path, timeout=1.0)
    assert pp.calls == []


@pytest.mark.parametrize("sha1", ["", "A" * 40, "a" * 39, "a" * 40 + "|b", "../config"])
async def test_only_hashes_are_looked_up(client: PhotoPrism, pp: PhotoPrismStandIn, sha1: str) -> None:
    with pytest.raises(ValueError, match="SHA-1"):
        await client.lookup(sha1)
    with pytest.raises(ValueError, match="SHA-1"):
        await client.visible([sha1])
    assert pp.calls == []


@given(st.text(alphabet="ab2./\\~ %|\n-é{\u200b", max_size=14) | st.text(max_size=30))
def test_what_is_indexed_is_the_folder_or_a_parent(path: str) -> None:
    clean = cleanly_indexed(path.strip("/"))
    assert user_path(clean) == clean
    assert path.strip("/").startswith(clean)


async def test_index(client: PhotoPrism, pp: PhotoPrismStandIn) -> None:
    await client.index("2026/11", timeout=5.0)
    await client.index("users/{odd}/2026", timeout=5.0)
    assert [each["path"] for each in pp.indexes] == ["2026/11", "users"]
    with pytest.raises(NeedsPerson) as caught:
        await client.index("{odd}", timeout=5.0)
    assert caught.value.code == "photoprism.odd_folder"
    pp.traps.library_disabled = True
    assert (await failing(client.index("2026", timeout=5.0))).code == "photoprism.forbidden"


# Ways of failing


async def test_nobody_there(client: PhotoPrism, pp: PhotoPrismStandIn) -> None:
    await pp.refuse()
    for call in (client.lookup(SOME), client.import_folder("batch", timeout=5.0), client.index("x", timeout=5.0)):
        fault = await failing(call)
        assert fault.code == "photoprism.unreachable"
        assert "Connect call failed" in fault.message or "refused" in fault.message.lower()
    await pp.listen()
    assert await client.lookup(SOME) is None


async def test_no_such_host() -> None:
    client = PhotoPrism("http://photoprism.invalid:2342", TOKEN, timeout=5.0)
    assert (await failing(client.lookup(SOME))).code == "photoprism.unreachable"
    await client.close()


@pytest.mark.parametrize(
    ("outage", "lookup", "importing"),
    [
        ("reset", "unreachable", "import_unanswered"),
        ("500", "unreachable", "import_unanswered"),
        ("502", "unreachable", "import_unanswered"),
        ("504", "unreachable", "import_unanswered"),
        ("503", "busy", "busy"),
        ("html", "odd_answer", "odd_answer"),
        ("404", "odd_answer", "odd_answer"),
        ("301", "odd_answer", "odd_answer"),
        ("418", "odd_answer", "odd_answer"),
    ],
)
async def test_outages(client: PhotoPrism, pp: PhotoPrismStandIn, outage: str, lookup: str, importing: str) -> None:
    pp.traps.outage = outage
    assert (await failing(client.lookup(SOME))).code == f"photoprism.{lookup}"
    assert (await failing(client.visible([SOME]))).code == f"photoprism.{lookup}"
    assert (await failing(client.import_folder("batch", timeout=5.0))).code == f"photoprism.{importing}"
    indexing = importing.replace("import", "index")
    assert (await failing(client.index("x", timeout=5.0))).code == f"photoprism.{indexing}"
    pp.traps.outage = ""
    assert await client.lookup(SOME) is None


async def test_no_answer_in_time(pp: PhotoPrismStandIn) -> None:
    client = PhotoPrism(pp.url, TOKEN, timeout=0.2)
    pp.traps.outage = "hang"
    assert (await failing(client.lookup(SOME))).code == "photoprism.unreachable"
    assert (await failing(client.import_folder("batch", timeout=0.2))).code == "photoprism.import_unanswered"
    await client.close()


@pytest.mark.parametrize("work", ["import", "index"])
async def test_one_that_hangs_is_not_waited_for_as_long_as_work_may_take(
    pp: PhotoPrismStandIn, trees: Trees, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    monkeypatch.setattr(patience, "LOOK_EVERY", 0.05)
    client = PhotoPrism(pp.url, TOKEN, timeout=0.1)
    trees.put("batch/a.jpg")
    pp.traps.outage = "hang"
    with anyio.fail_after(10):
        call = client.import_folder("batch", timeout=3600) if work == "import" else client.index("2026", timeout=3600)
        fault = await failing(call)
    assert fault.code == f"photoprism.{work}_unanswered"
    assert "anything else" in fault.message
    assert sum(path.endswith("/status") for _, path in pp.calls) == patience.MISSES
    await client.close()


async def test_long_work_is_waited_for_while_anything_is_answered(
    client: PhotoPrism, pp: PhotoPrismStandIn, trees: Trees, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LOOK_EVERY", 0.02)
    trees.put("batch/a.jpg")
    pp.traps.seconds_per_photo = 0.5
    await client.import_folder("batch", timeout=60)
    assert sum(path.endswith("/status") for _, path in pp.calls) > patience.MISSES + 1
    assert trees.left() == []


async def test_its_connections_notice_that_the_other_machine_is_gone(pp: PhotoPrismStandIn) -> None:
    made = patience.lasting_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", (pp.url, 0)))
    with made:
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        idle, between, probes = (
            made.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
    assert idle + between * probes <= 120


@pytest.mark.parametrize("how", ["proxy", "impatient"])
async def test_an_import_that_goes_on_unanswered(
    client: PhotoPrism, pp: PhotoPrismStandIn, trees: Trees, how: str
) -> None:
    sha1 = trees.put("batch/a.jpg")
    pp.traps.seconds_per_photo = 0.3
    pp.traps.proxy_cuts_after = 0.05 if how == "proxy" else None
    fault = await failing(client.import_folder("batch", timeout=0.1 if how == "impatient" else 5.0))
    assert fault.code == "photoprism.import_unanswered"
    assert "still be going on" in fault.message
    for _ in range(100):
        if await client.lookup(sha1):
            break
        await asyncio.sleep(0.02)
    assert await client.lookup(sha1), "it went on"


async def test_a_restart_in_the_middle_of_an_import(client: PhotoPrism, pp: PhotoPrismStandIn, trees: Trees) -> None:
    sha1s = [trees.put(f"batch/{name}.jpg") for name in "abc"]
    pp.traps.crash_after = 2
    assert (await failing(client.import_folder("batch", timeout=5.0))).code == "photoprism.import_unanswered"
    assert trees.left() == ["batch/c.jpg"]
    assert [bool(await client.lookup(each)) for each in sha1s] == [True, False, False]
    await client.import_folder("batch", timeout=5.0)
    assert trees.left() == []


async def test_401_is_not_asked_again_before_the_pause_is_over(
    client: PhotoPrism, pp: PhotoPrismStandIn, clock: TestClock
) -> None:
    pp.sessions.clear()
    fault = await failing(client.lookup(SOME))
    assert fault.code == "photoprism.unauthorized"
    assert fault.retry_after == 60.0
    assert "app password" in fault.hint
    for wait, calls, after in [(59.0, 1, 60.0), (1.0, 2, 120.0), (119.9, 2, 60.0), (0.1, 3, 240.0)]:
        clock.time += wait
        fault = await failing(client.import_folder("batch", timeout=5.0))
        assert (fault.code, len(pp.calls), fault.retry_after) == ("photoprism.unauthorized", calls, after)
    clock.time += 240.0
    pp.add_token(TOKEN)
    assert await client.lookup(SOME) is None
    pp.sessions.clear()
    assert (await failing(client.lookup(SOME))).retry_after == 60.0, "the pause starts anew"


async def test_the_pause_has_an_end(client: PhotoPrism, pp: PhotoPrismStandIn, clock: TestClock) -> None:
    pp.sessions.clear()
    waits = []
    for _ in range(8):
        waits.append((await failing(client.lookup(SOME))).retry_after or 0)
        clock.time += waits[-1]
    assert waits == [60, 120, 240, 480, 900, 900, 900, 900]


async def test_calls_side_by_side_lengthen_the_pause_once(
    client: PhotoPrism, pp: PhotoPrismStandIn, clock: TestClock
) -> None:
    pp.sessions.clear()
    await asyncio.gather(*(failing(client.lookup(SOME)) for _ in range(5)))
    clock.time += 60.0
    pp.add_token(TOKEN)
    assert await client.lookup(SOME) is None


async def test_an_empty_limiter_turns_the_right_token_away(
    client: PhotoPrism, pp: PhotoPrismStandIn, clock: TestClock
) -> None:
    pp.limiter = 0.0
    assert (await failing(client.lookup(SOME))).code == "photoprism.unauthorized"
    pp.limiter = 60.0
    clock.time += 60.0
    assert await client.lookup(SOME) is None


async def test_wrong_tokens_empty_the_limiter(pp: PhotoPrismStandIn) -> None:
    for _ in range(60):
        stranger = PhotoPrism(pp.url, "wrong", timeout=5.0)
        await failing(stranger.lookup(SOME))
        await stranger.close()
    client = PhotoPrism(pp.url, TOKEN, timeout=5.0)
    assert (await failing(client.lookup(SOME))).code == "photoprism.unauthorized"
    await client.close()


async def test_429(client: PhotoPrism, pp: PhotoPrismStandIn) -> None:
    pp.traps.throttle = 1
    fault = await failing(client.lookup(SOME))
    assert (fault.code, fault.retry_after) == ("photoprism.rate_limited", 7.0)
    assert await client.lookup(SOME) is None


def _scope(pp: PhotoPrismStandIn) -> None:
    pp.add_token(TOKEN, scope="photos")


def _role(pp: PhotoPrismStandIn) -> None:
    pp.add_token(TOKEN, role="user")


def _nobody(pp: PhotoPrismStandIn) -> None:
    pp.add_token(TOKEN, user=False)


def _readonly(pp: PhotoPrismStandIn) -> None:
    pp.traps.readonly = True


def _feature(pp: PhotoPrismStandIn) -> None:
    pp.traps.import_disabled = True


@pytest.mark.parametrize("spoil", [_scope, _role, _nobody, _readonly, _feature])
async def test_403(
    client: PhotoPrism, pp: PhotoPrismStandIn, trees: Trees, spoil: Callable[[PhotoPrismStandIn], None]
) -> None:
    trees.put("batch/a.jpg")
    spoil(pp)
    fault = await failing(client.import_folder("batch", timeout=5.0))
    assert (fault.code, fault.retry_after) == ("photoprism.forbidden", 300.0)
    assert "scopes" in fault.hint
    assert trees.left() == ["batch/a.jpg"]


async def test_507(client: PhotoPrism, pp: PhotoPrismStandIn) -> None:
    pp.traps.quota_full = True
    assert (await failing(client.import_folder("batch", timeout=5.0))).code == "photoprism.full"


@contextlib.asynccontextmanager
async def answering(answer: Callable[[web.Request], web.Response]) -> AsyncIterator[str]:
    """Another server than PhotoPrism, such as a proxy with its own ideas."""

    async def handle(request: web.Request) -> web.Response:
        return answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_redirects_are_not_followed(pp: PhotoPrismStandIn) -> None:
    def elsewhere(request: web.Request) -> web.Response:
        return web.Response(status=301, headers={"Location": f"{pp.url}{request.path}?secret=1"})

    async with answering(elsewhere) as url:
        client = PhotoPrism(url, TOKEN, timeout=5.0)
        for call in (client.lookup(SOME), client.import_folder("batch", timeout=5.0)):
            fault = await failing(call)
            assert fault.code == "photoprism.odd_answer"
            assert pp.url in fault.hint
            assert "secret" not in fault.message + fault.hint
        await client.close()
    assert pp.calls == [], "the token travels nowhere else"


@pytest.mark.parametrize("body", ['"not here"', "{}", "[]", "404 page not found", ""])
async def test_only_photoprism_itself_can_say_that_a_file_is_unknown(body: str) -> None:
    async with answering(lambda _: web.Response(status=404, text=body)) as url:
        client = PhotoPrism(url, TOKEN, timeout=5.0)
        assert (await failing(client.lookup(SOME))).code == "photoprism.odd_answer"
        await client.close()


async def test_an_endless_answer_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.photoprism.transport.ANSWER_BYTES", 1000)
    async with answering(lambda _: web.json_response({"x": "y" * 200_000})) as url:
        client = PhotoPrism(url, TOKEN, timeout=5.0)
        assert (await failing(client.lookup(SOME))).code == "photoprism.odd_answer"
        await client.close()


async def test_odd_json(client: PhotoPrism, pp: PhotoPrismStandIn) -> None:
    pp.traps.odd_answers = True
    for call in (
        client.lookup(SOME),
        client.visible([SOME]),
        client.import_folder("batch", timeout=5.0),
        client.index("x", timeout=5.0),
    ):
        assert (await failing(call)).code == "photoprism.odd_answer"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Hash", "Name", "Size", "Files", "settings", "features", "acl", "files", "mode", "usage"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_json_is_read_or_refused(data: Any) -> None:
    for read in (lambda each: known_file(each, SOME), shown_hashes, client_config):
        with contextlib.suppress(OddAnswerError):
            read(data)


def test_a_row_of_another_content_is_refused() -> None:
    row = {"Hash": "b" * 40, "Name": "x.jpg", "Root": "/", "Size": 1}
    with pytest.raises(OddAnswerError):
        known_file(row, SOME)
    assert known_file(row | {"Hash": SOME}, SOME).name == "x.jpg"
    with pytest.raises(OddAnswerError):
        known_file(row | {"Hash": SOME, "Size": True}, SOME)


# Fetching bytes back


async def fetched(client: PhotoPrism, sha1: str) -> bytes:
    async with client.download(sha1) as blocks:
        return b"".join([block async for block in blocks])


async def test_download(client: PhotoPrism, pp: PhotoPrismStandIn, trees: Trees) -> None:
    data = b"photo" * 200_000
    sha1 = trees.put("batch/a.jpg", data)
    await client.import_folder("batch", timeout=5.0)
    assert await fetched(client, sha1) == data
    async with client.download(sha1) as blocks:
        assert await anext(blocks), "may be left half read"
    pp.download_token = "another"
    assert hashlib.sha1(await fetched(client, sha1)).hexdigest() == sha1, "asks for a new token by itself"
    pp.traps.dl_damaged = True
    assert await fetched(client, sha1) != data


async def test_download_faults(client: PhotoPrism, pp: PhotoPrismStandIn, trees: Trees) -> None:
    sha1 = trees.put("batch/a.jpg", b"photo" * 200_000)
    await client.import_folder("batch", timeout=5.0)
    pp.traps.dl_cut = True
    fault = await failing(fetched(client, sha1))
    assert fault.code == "photoprism.unreachable"
    assert pp.download_token not in "".join(traceback.format_exception(fault))
    pp.traps.dl_cut = False
    assert (await failing(fetched(client, SOME))).code == "photoprism.download_failed"
    pp.traps.outage = "502"
    assert (await failing(fetched(client, sha1))).code == "photoprism.unreachable"
    pp.traps.outage = ""
    pp.delete_original(sha1)
    assert (await failing(fetched(client, sha1))).code == "photoprism.download_failed"
    known = await client.lookup(sha1)
    assert known is not None
    assert known.missing, "PhotoPrism notices it by that"


async def test_a_fault_of_the_reader_stays_its_own(client: PhotoPrism, trees: Trees) -> None:
    sha1 = trees.put("batch/a.jpg")
    await client.import_folder("batch", timeout=5.0)

    async def read() -> None:
        async with client.download(sha1) as blocks:
            async for _ in blocks:
                raise OSError(28, "no space")

    with pytest.raises(OSError, match="no space"):
        await read()


async def test_no_download_token_without_a_session(client: PhotoPrism, pp: PhotoPrismStandIn) -> None:
    pp.sessions.clear()
    assert (await failing(fetched(client, SOME))).code == "photoprism.download_failed"
    assert [path for _, path in pp.calls] == ["/api/v1/config"], "the token of the public settings is of no use"


# Probing


async def test_probe_all_well(client: PhotoPrism, pp: PhotoPrismStandIn, trees: Trees) -> None:
    trees.put("batch/a.jpg")
    for by_doing in (False, True):
        probe = await client.probe(by_doing=by_doing)
        assert probe.faults == ()
        assert (probe.reachable, probe.ready, probe.token_ok, probe.import_allowed) == (True, True, True, True)
        assert (probe.import_enabled, probe.readonly, probe.search_allowed) == (True, False, True)
        assert (probe.version, probe.edition) == ("240915-stand-in", "ce")
        assert probe.originals_used_percent == 12
    assert trees.left() == ["batch/a.jpg"], "nothing is imported by trying"
    assert len(pp.imports) == 1


@pytest.mark.parametrize(
    ("outage", "code", "reachable"),
    [("reset", "unreachable", False), ("503", "busy", True), ("html", "odd_answer", False)],
)
async def test_probe_of_nobody(
    client: PhotoPrism, pp: PhotoPrismStandIn, outage: str, code: str, reachable: bool
) -> None:
    pp.traps.outage = outage
    probe = await client.probe()
    assert (probe.reachable, probe.ready, probe.token_ok) == (reachable, False, False)
    assert [each.code for each in probe.faults] == [f"photoprism.{code}"]


async def test_probe_tells_wrong_token_scope_role_and_user_apart(pp: PhotoPrismStandIn) -> None:
    async def probe(token: str) -> Any:
        client = PhotoPrism(pp.url, token, timeout=5.0)
        try:
            return await client.probe(by_doing=True)
        finally:
            await client.close()

    pp.add_token("scope", scope="photos")
    pp.add_token("half", scope="files")
    pp.add_token("role", role="user")
    pp.add_token("nobody", user=False)
    told = {token: await probe(token) for token in ("wrong", "", "scope", "half", "role", "nobody")}
    assert {token: [each.code for each in probe.faults] for token, probe in told.items()} == {
        "wrong": ["photoprism.unauthorized"],
        "": ["photoprism.unauthorized"],
        "scope": ["photoprism.forbidden"],
        "half": ["photoprism.forbidden"],
        "role": ["photoprism.forbidden"],
        "nobody": ["photoprism.forbidden"],
    }
    assert "scope" in told["scope"].faults[0].message
    assert "admin" in told["role"].faults[0].message
    assert "no admin, or no account" in told["nobody"].faults[0].message
    assert {token: probe.token_ok for token, probe in told.items()} == {
        "wrong": False, "": False, "scope": False, "half": True, "role": False, "nobody": True,
    }  # fmt: skip
    assert told["half"].search_allowed is False
    assert told["nobody"].import_allowed is False
    assert all(probe.version for probe in told.values()), "the version is told to everybody"
    assert pp.limiter > 58, "a wrong token is tried once"


@pytest.mark.parametrize("switch", ["readonly", "import_disabled", "quota_full"])
async def test_probe_of_switches(client: PhotoPrism, pp: PhotoPrismStandIn, switch: str) -> None:
    setattr(pp.traps, switch, True)
    probe = await client.probe(by_doing=True)
    assert [each.code for each in probe.faults] == [
        "photoprism.full" if switch == "quota_full" else "photoprism.forbidden"
    ]
    words = {"readonly": "read-only mode", "import_disabled": "switched off", "quota_full": "no space"}
    assert words[switch] in probe.faults[0].message
    assert probe.readonly is (switch == "readonly")
    assert probe.import_enabled is (switch != "import_disabled")
    assert probe.token_ok


async def test_public_mode_needs_no_token(pp: PhotoPrismStandIn, trees: Trees) -> None:
    pp.traps.public = True
    sha1 = trees.put("batch/a.jpg")
    client = PhotoPrism(pp.url, "", timeout=5.0)
    probe = await client.probe(by_doing=True)
    assert (probe.public, probe.faults) == (True, ())
    await client.import_folder("batch", timeout=5.0)
    assert await fetched(client, sha1) == b"batch/a.jpg" * 50
    await client.close()


def test_nothing_shows_the_token() -> None:
    client = PhotoPrism("http://pp:2342", TOKEN)
    assert TOKEN not in repr(client) + repr(client._http) + str(client)
