from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING

import anyio
import pytest

from daemon import logs
from daemon.errors import NeedsPerson
from daemon.ledger.ledger import Ledger
from daemon.log_ring import LogRing
from daemon.logs import JsonFormatter, redact, set_up
from daemon.service import logbook
from daemon.service.logbook import LogBook

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = logging.getLogger("daemon.relay.pipeline")


@pytest.fixture
def ring() -> LogRing:
    ring = LogRing(lines=50, bytes_=20_000)
    ring.setFormatter(JsonFormatter())
    ring.addFilter(redact)
    return ring


@pytest.fixture(autouse=True)
def logged(ring: LogRing) -> Iterator[None]:
    root, daemon = logging.getLogger(), logging.getLogger("daemon")
    handlers, level = list(root.handlers), daemon.level
    root.handlers[:] = [ring]
    daemon.setLevel(logging.DEBUG)
    yield
    root.handlers[:] = handlers
    daemon.setLevel(level)
    redact.know([])


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(str(tmp_path / "state"))
    yield ledger
    ledger.close()


@pytest.fixture
def book(ledger: Ledger, ring: LogRing) -> LogBook:
    return LogBook(ledger, ring)


async def messages(book: LogBook, **asked: object) -> list[str]:
    return [line["message"] for line in (await book.lines(**asked))["lines"]]  # type: ignore[arg-type]


async def test_lines_newest_first_by_level_and_words(book: LogBook) -> None:
    log.debug("looked")
    log.info("relayed %s", "Ünï.jpg", extra={"photo": 7, "place": "Köln"})
    log.warning("slow")
    logging.getLogger("ui.server").error("broken")
    assert await messages(book) == ["broken", "slow", "relayed Ünï.jpg", "looked"]
    assert await messages(book, level="warning") == ["broken", "slow"]
    assert await messages(book, q="ÜNÏ") == ["relayed Ünï.jpg"]
    assert await messages(book, q="köln") == ["relayed Ünï.jpg"]
    assert await messages(book, q="ui.server") == ["broken"]
    assert await messages(book, q="level") == []
    line = (await book.lines(q="relayed"))["lines"][0]
    assert (line["level"], line["area"]) == ("info", "relay.pipeline")
    assert line["extra"] == {"photo": 7, "place": "Köln"}
    assert line["time"].endswith("Z")


async def test_by_cursor(book: LogBook) -> None:
    for number in range(7):
        log.info("line %d", number)
    first = await book.lines(limit=3)
    second = await book.lines(limit=3, before=first["next"])
    log.info("line meanwhile")
    third = await book.lines(limit=3, before=second["next"])
    told = [line["message"][-1] for page in (first, second, third) for line in page["lines"]]
    assert told == list("6543210")
    assert third["next"] is None
    assert (await book.lines(limit=7))["next"] is not None, "the line meanwhile is the eighth"


async def test_the_oldest_lines_go_by_number_and_by_size(book: LogBook, ring: LogRing) -> None:
    for number in range(120):
        log.info("%d", number)
    assert await messages(book) == [str(number) for number in range(119, 69, -1)]
    log.info("x" * 1900)
    for _ in range(30):
        log.info("y" * 1900)
    assert sum(len(line.text) for line in ring.lines()) <= 20_000
    assert 5 < len(await messages(book)) < 15


async def test_names_and_traces_are_safe_and_secrets_are_out(book: LogBook) -> None:
    redact.know(["hunter22"])
    try:
        raise ValueError("with hunter22\x1b")
    except ValueError:
        log.exception("token %s of a\nb\u202e", "hunter22", extra={"url": "?t=hunter22"})
    log.info("too early: later-secret")
    redact.know(["hunter22", "later-secret"])
    told = repr((await book.lines())["lines"]) + b"".join([part async for part in book.download()]).decode()
    told.encode()
    assert "hunter22" not in told
    assert "later-secret" not in told
    assert "\x1b" not in told
    assert "ValueError" in told
    assert (await book.lines())["lines"][1]["message"] == r"token ••• of a\u000ab\u202e"


async def test_the_download_is_text_oldest_first(book: LogBook) -> None:
    log.info("first", extra={"photo": 7})
    log.warning("second")
    text = b"".join([part async for part in book.download()]).decode()
    first, second = text.splitlines()
    assert first.endswith("INFO    relay.pipeline: first photo=7")
    assert second.endswith("WARNING relay.pipeline: second")


async def test_an_unknown_level_is_said(book: LogBook) -> None:
    for ask in (lambda: book.lines(level="loud"), lambda: anyio.to_thread.run_sync(book.subscribe, "loud")):
        with pytest.raises(NeedsPerson) as error:
            await ask()
        assert error.value.code == "request.invalid"


async def test_a_listener_gets_lines_from_every_thread_each_once(book: LogBook, ring: LogRing) -> None:
    got: list[str] = []
    with book.subscribe("info") as lines, anyio.fail_after(10):

        def write(name: str) -> None:
            for number in range(10):
                log.debug("not this")
                log.info("%s%d", name, number)

        threads = [threading.Thread(target=write, args=(name,)) for name in "ab"]
        for thread in threads:
            thread.start()
        async for batch in lines:
            got += [line["message"] for line in batch]
            if len(got) >= 20:
                break
        for thread in threads:
            thread.join()
    assert sorted(got) == sorted(f"{name}{number}" for name in "ab" for number in range(10))
    assert [line for line in got if line[0] == "a"] == [f"a{number}" for number in range(10)]
    assert not ring._listeners


async def test_a_slow_listener_costs_nothing_and_is_told_what_it_missed(
    book: LogBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logbook, "AT_ONCE", 20)
    with book.subscribe() as lines:
        for number in range(500):
            log.info("%d", number)
        told = lines.take()
        assert told[0]["message"] == "480 lines came too fast to be shown here"
        assert [line["message"] for line in told[1:]] == [str(number) for number in range(480, 500)]
        assert [line["id"] for line in told] == sorted({line["id"] for line in told})
        assert lines.take() == []


async def test_a_listener_that_is_left_alone_waits_and_then_goes_on(book: LogBook) -> None:
    log.info("before")
    with book.subscribe() as lines, anyio.fail_after(10):
        found = aiter(lines)
        async with anyio.create_task_group() as group:

            async def later() -> None:
                await anyio.sleep(0.05)
                await anyio.to_thread.run_sync(log.info, "later")

            for _ in range(3):
                group.start_soon(later)
                assert [line["message"] for line in await anext(found)] == ["later"]
        log.info("once more")
        assert [line["message"] for line in await anext(found)] == ["once more"]
        await found.aclose()  # type: ignore[attr-defined]


async def test_a_loop_that_has_ended_keeps_nobody_from_logging(book: LogBook, ring: LogRing) -> None:
    def closed() -> None:
        raise RuntimeError("Event loop is closed")

    with ring.listening(closed):
        log.info("still written")
    assert await messages(book) == ["still written"]


async def test_a_line_that_cannot_be_formatted_ends_nobody(
    book: LogBook, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", True)

    class Odd:
        def __repr__(self) -> str:
            raise ZeroDivisionError

    log.info("odd", extra={"thing": Odd()})
    log.info("next")
    assert await messages(book) == ["next"]
    assert "ZeroDivisionError" in capsys.readouterr().err


async def test_the_lines_are_kept_when_the_log_is_set_up_anew(ledger: Ledger) -> None:
    set_up("info", "text")
    logging.getLogger("daemon.test").info("kept through it")
    set_up("debug", "json")
    logging.getLogger("daemon.test").debug("and on")
    kept = LogBook(ledger)
    assert (await messages(kept))[:2] == ["and on", "kept through it"]
    assert logging.getLogger().handlers.count(logs.ring) == 1
    assert sys.stderr is not None


async def test_the_audit_trail_newest_first_by_cursor(book: LogBook, ledger: Ledger) -> None:
    for number in range(5):
        ledger.audit.note(number, "restored", who="page 10.0.0.1", user="alice", path=f"a\n{number}", note="n")
    first = await book.audit(limit=2)
    rest = await book.audit(limit=3, before=first["next"])
    assert [line["path"] for line in first["lines"] + rest["lines"]] == [rf"a\u000a{n}" for n in (4, 3, 2, 1, 0)]
    assert rest["next"] is None
    assert first["lines"][0]["who"] == "page 10.0.0.1"
    assert first["lines"][0]["at"] == "1970-01-01T00:00:04.000Z"
    assert (await book.audit(before=1 << 70, limit=1))["lines"] == first["lines"][:1]
