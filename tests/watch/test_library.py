"""Single directories through the library: what it gives, and that it never looks into what is below."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from daemon.watch.engine import Batch
from daemon.watch.library import Flat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REST = 0.05


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "base/alice/files").mkdir(parents=True)
    return tmp_path / "base"


@pytest.fixture
def flat(top: Path) -> Iterator[Flat]:
    one = Flat(str(top), ["", "alice"], rest=REST)
    yield one
    one.close()


def heard(flat: Flat) -> Batch:
    bell = threading.Timer(10, flat.ring)
    bell.start()
    batch = flat.read(REST)
    bell.cancel()
    assert batch != Batch(), "nothing was heard"
    return batch


def test_a_directory_that_comes_is_told_of(top: Path, flat: Flat) -> None:
    assert flat.directories == 2
    (top / "bob").mkdir()
    batch = heard(flat)
    assert (batch.added, batch.changed) == ({"bob"}, {"bob"})
    (top / "alice/uploads").mkdir()
    assert heard(flat).added == {"alice/uploads"}


def test_a_root_that_goes_is_lost(top: Path, flat: Flat) -> None:
    (top / "alice/files").rmdir()
    (top / "alice").rmdir()
    lost: set[str] = set()
    while "alice" not in lost:
        lost |= heard(flat).lost


def test_what_is_below_and_what_a_link_leads_to_is_not_heard(top: Path, flat: Flat) -> None:
    outside = top.parent / "outside"
    outside.mkdir()
    (top / "alice/link").symlink_to(outside)
    heard(flat)
    (outside / "secret").touch()
    (top / "alice/files/deep").mkdir()
    (top / "last").mkdir()
    assert heard(flat).changed == {"last"}


def test_what_had_come_when_it_was_rung_is_given(top: Path, flat: Flat) -> None:
    (top / "bob").mkdir()
    flat.ring()
    assert flat.read(REST).added == {"bob"}
    assert flat.read(REST) == Batch()


def test_a_bell_ends_the_wait_and_nothing_else_does(flat: Flat) -> None:
    thread = threading.Thread(target=flat.read, args=(REST,))
    thread.start()
    time.sleep(4 * REST)
    assert thread.is_alive()
    flat.ring()
    thread.join(10)
    assert not thread.is_alive()


def test_a_name_that_is_not_utf8_ends_it_as_an_error_of_the_disk(top: Path, flat: Flat) -> None:
    (top / os.fsdecode(b"\xff")).mkdir()
    with pytest.raises(OSError, match="decode"):
        heard(flat)


def test_a_directory_that_cannot_be_named_keeps_the_others_heard(top: Path) -> None:
    odd = os.fsdecode(b"\xff")
    (top / odd).mkdir()
    flat = Flat(str(top), ["alice", odd], rest=REST)
    (top / "alice/new").mkdir()
    assert heard(flat).added == {"alice/new"}
    flat.close()
