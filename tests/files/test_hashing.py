from __future__ import annotations

import hashlib
import os
import threading
from typing import TYPE_CHECKING

import pytest
from blake3 import blake3

from daemon.errors import Refused, Transient
from daemon.files.hashing import BLOCK, FIRST_BYTES, hash_file, hash_only_blake3
from daemon.fingerprint import Fingerprint

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.jpg"


@pytest.mark.parametrize("size", [0, 1, FIRST_BYTES, BLOCK, BLOCK + 1, 3 * BLOCK - 7])
def test_both_hashes_come_from_one_pass(path: Path, size: int) -> None:
    data = os.urandom(size)
    path.write_bytes(data)
    with path.open("rb") as file:
        hashed = hash_file(file.fileno())
        assert hashed.blake3 == blake3(data).hexdigest() == hash_only_blake3(file.fileno())
        assert hashed.sha1 == hashlib.sha1(data).hexdigest()
        assert hashed.first == data[:FIRST_BYTES]
        assert hashed.fingerprint == Fingerprint.of(os.fstat(file.fileno()))
        assert hash_file(file.fileno(), expected=hashed.fingerprint) == hashed


def test_progress_is_told_and_can_stop_it(path: Path) -> None:
    path.write_bytes(bytes(3 * BLOCK))
    told: list[int] = []
    with path.open("rb") as file:
        hash_file(file.fileno(), each_block=told.append)
        assert told == [BLOCK, 2 * BLOCK, 3 * BLOCK]

        def stop(_done: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            hash_file(file.fileno(), each_block=stop)


def hashing_changed(path: Path, each_block: object) -> str:
    with path.open("rb") as file, pytest.raises(Transient) as caught:
        hash_file(file.fileno(), each_block=each_block)  # type: ignore[arg-type]
    return caught.value.code


def test_a_truncated_file_is_told_and_kills_nobody(path: Path) -> None:
    path.write_bytes(bytes(4 * BLOCK))
    assert hashing_changed(path, lambda done: os.truncate(path, 10)) == "file.changed"


def test_a_file_that_grows_for_ever_ends(path: Path) -> None:
    path.write_bytes(bytes(4 * BLOCK))
    stop = threading.Event()

    def grow() -> None:
        with path.open("ab") as file:
            while not stop.is_set() and file.tell() < 1 << 30:
                file.write(bytes(BLOCK))

    blocks: list[int] = []
    thread = threading.Thread(target=grow)
    thread.start()
    try:
        while path.stat().st_size < 8 * BLOCK:
            pass
        with path.open("rb") as file, pytest.raises(Transient, match="changed"):
            hash_file(file.fileno(), each_block=lambda done: blocks.append(os.fstat(file.fileno()).st_size))
    finally:
        stop.set()
        thread.join()
    assert len(blocks) * BLOCK <= blocks[-1]


def test_a_rewrite_with_its_time_set_back_is_seen(path: Path) -> None:
    path.write_bytes(bytes(4 * BLOCK))
    before = path.stat()

    def rewrite(done: int) -> None:
        if done == 4 * BLOCK:
            with path.open("r+b") as file:
                file.write(b"other")
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert hashing_changed(path, rewrite) == "file.changed"


def test_what_is_not_the_expected_file_is_not_read(path: Path) -> None:
    path.write_bytes(b"1")
    with path.open("rb") as file:
        other = Fingerprint(1, 1, 1, 1)
        with pytest.raises(Transient, match="changed"):
            hash_file(file.fileno(), expected=other)


def test_a_sparse_petabyte_is_refused_at_once(path: Path) -> None:
    path.touch()
    os.truncate(path, 8 << 40)  # ext4 ends at 16 TiB
    with path.open("rb") as file:
        with pytest.raises(Refused) as caught:
            hash_file(file.fileno())
        assert caught.value.code == "file.too_large"
        with pytest.raises(Refused):
            hash_only_blake3(file.fileno(), limit=1 << 20)
