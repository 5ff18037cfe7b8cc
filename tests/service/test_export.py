from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from daemon.service import export
from daemon.service.export import COLUMNS, checksum_line, csv_lines, defused
from daemon.service.filters import Filters
from tests.relay.world import FOLDER, shot

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.service import Service
    from tests.relay.world import World

B3SUM = shutil.which("b3sum")
needs_b3sum = pytest.mark.skipif(B3SUM is None, reason="needs b3sum: apt-get install b3sum")

names = (
    st.binary(min_size=1, max_size=30)
    .filter(lambda raw: not {b"/"[0], 0} & set(raw) and raw not in {b".", b".."})
    .map(os.fsdecode)
)
nasty = st.one_of(names, st.text(st.sampled_from("a\\n\n\r \t*ü-"), min_size=1, max_size=8))


async def exported(service: Service, form: str, **asked: str) -> bytes:
    return b"".join([block async for block in service.photos.export(form, Filters(**asked))])  # type: ignore[arg-type]


async def test_the_table_has_a_line_for_each_photo(service: Service, folder_world: World) -> None:
    await folder_world.deliver("alice", {f"{FOLDER}/=1+2.jpg": shot(1), f'{FOLDER}/b,"c".jpg': shot(2)})
    await folder_world.deliver("bob", {f"{FOLDER}/Ü.jpg": shot(3)})
    await folder_world.relay()
    rows = list(csv.DictReader(io.StringIO((await exported(service, "csv")).decode(), newline="")))
    assert [row["path"] for row in rows] == [f"{FOLDER}/Ü.jpg", f'{FOLDER}/b,"c".jpg', f"{FOLDER}/=1+2.jpg"]
    assert list(rows[0]) == list(COLUMNS)
    assert {row["state"] for row in rows} == {"done"}
    assert rows[0]["blake3"] == blake3(shot(3)).hexdigest()
    assert rows[0]["found_at"].endswith("Z")
    [row] = csv.DictReader(io.StringIO((await exported(service, "csv", user="bob")).decode(), newline=""))
    assert row["user"] == "bob"


@pytest.mark.parametrize(
    "cell", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\uff1d1", "  +1"]
)
def test_no_cell_is_a_formula(cell: str) -> None:
    [[told]] = csv.reader(io.StringIO(csv_lines([[defused(cell)]]).decode(), newline=""))
    assert told.startswith("'")
    assert cell.strip() in told or "\\u" in told


@given(st.text(max_size=40))
def test_any_text_is_one_cell_that_begins_no_formula(text: str) -> None:
    raw = csv_lines([[defused(text), "end"]]).decode()
    [[told, end]] = csv.reader(io.StringIO(raw, newline=""))
    assert end == "end"
    assert not told.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert raw.count("\n") == 1


def test_numbers_stay_numbers() -> None:
    assert csv_lines([[defused(-5), defused(None), defused(3)]]) == b"-5,,3\r\n"


async def test_a_large_ledger_is_sent_in_pieces(
    service: Service, folder_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "AT_ONCE", 3)
    for number in range(8):
        await folder_world.deliver("alice", {f"{FOLDER}/{number}.jpg": shot(number)})
    blocks = [block async for block in service.photos.export("csv", Filters())]
    assert [block.count(b"\r\n") for block in blocks] == [1, 3, 3, 2]


async def test_an_unknown_format_is_refused_before_anything_is_sent(service: Service) -> None:
    with pytest.raises(Exception, match="csv and b3sum"):
        service.photos.export("xlsx", Filters())


async def test_only_what_was_proved_in_the_archive_is_in_the_list(service: Service, folder_world: World) -> None:
    await folder_world.deliver("alice", {f"{FOLDER}/a.jpg": shot(1)})
    await folder_world.relay()
    [placed] = await folder_world.deliver("alice", {f"{FOLDER}/b.jpg": shot(2)})
    folder_world.ledger.photos.put(placed.id, archived_as="2026/11/intended.jpg", blake3=bytes(32))
    [(path, content)] = folder_world.archived().items()
    assert (await exported(service, "b3sum")).decode() == f"{blake3(content).hexdigest()}  {path}\n"
    assert await exported(service, "b3sum", user="bob") == b""


@needs_b3sum
async def test_b3sum_accepts_the_list_and_finds_what_was_changed(
    service: Service, folder_world: World, tmp_path: Path
) -> None:
    for number, name in enumerate(["a.jpg", "b\\n c.jpg", "new\nline.jpg", "Ünï.jpg", "-x.jpg"]):
        await folder_world.deliver("alice", {f"{FOLDER}/{name}": shot(number)})
    await folder_world.deliver("bob", {f"{FOLDER}/twin.jpg": shot(0)})
    await folder_world.relay()
    assert len(folder_world.archived()) == 5
    checked = check(folder_world.archive_root, await exported(service, "b3sum"), tmp_path)
    assert (checked.returncode, checked.stdout.count(b": OK")) == (0, 6), checked
    victim = next(folder_world.archive_root.rglob("*.jpg"))
    victim.write_bytes(b"damaged")
    assert check(folder_world.archive_root, await exported(service, "b3sum"), tmp_path).returncode != 0


def check(root: Path, listed: bytes, tmp_path: Path) -> subprocess.CompletedProcess[bytes]:
    (tmp_path / "list.b3").write_bytes(listed)
    command = [B3SUM or "b3sum", "--check", str(tmp_path / "list.b3")]
    return subprocess.run(command, cwd=root, capture_output=True, check=False, stdin=subprocess.DEVNULL)


@needs_b3sum
def test_b3sum_reads_every_line_back_that_is_written(tmp_path_factory: pytest.TempPathFactory) -> None:
    @given(st.lists(nasty, min_size=1, max_size=5, unique=True))
    def reads_back(wanted: list[str]) -> None:
        root = tmp_path_factory.mktemp("archive")
        lines = []
        for number, name in enumerate(wanted):
            (root / name).write_bytes(str(number).encode())
            line = checksum_line(blake3(str(number).encode()).digest(), name)
            assert line is None or line.count(b"\n") == 1
            if line is not None:
                lines.append(line)
        if lines:
            checked = check(root, b"".join(lines), tmp_path_factory.getbasetemp())
            assert checked.returncode == 0, (wanted, checked)

    reads_back()


@needs_b3sum
@pytest.mark.parametrize("name", [os.fsdecode(b"\xff.jpg"), "\ufffd.jpg"])
def test_a_name_is_left_out_only_where_b3sum_could_not_read_it_back(tmp_path: Path, name: str) -> None:
    assert checksum_line(bytes(32), name) is None
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(b"x")
    made = subprocess.run(
        [B3SUM or "b3sum", name], cwd=tmp_path / "in", capture_output=True, check=True, stdin=subprocess.DEVNULL
    )
    assert check(tmp_path / "in", made.stdout, tmp_path).returncode != 0, "b3sum's own list does no better"


def test_a_carriage_return_at_the_end_would_be_lost_in_newer_ones() -> None:
    assert checksum_line(bytes(32), "a.jpg\r") is None
    assert checksum_line(bytes(32), "a\r.jpg") == f"{'0' * 64}  a\r.jpg\n".encode()


@given(nasty)
def test_a_line_is_written_as_the_format_has_it(name: str) -> None:
    """Read back by the documented rules alone, where b3sum is not installed."""
    line = checksum_line(bytes(range(32)), name)
    if line is None:
        return
    text = line.decode()
    assert text.endswith("\n")
    text = text[:-1]
    assert "\n" not in text
    escaped = text.startswith("\\")
    text = text[1:] if escaped else text
    assert text[:66] == bytes(range(32)).hex() + "  "
    path = text[66:]
    if escaped:
        path = "\\".join(part.replace("\\n", "\n") for part in path.split("\\\\"))
    assert path == ("./-" if name == "-" else name)
    assert escaped == ("\\" in name or "\n" in name)


async def test_whoever_makes_a_list_is_told_what_is_not_in_it(
    service: Service, folder_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    [photo] = await folder_world.deliver("alice", {f"{FOLDER}/a.jpg": shot(1)})
    await folder_world.relay()
    folder_world.ledger.photos.put(photo.id, archived_as=os.fsdecode(b"\xff.jpg"))
    assert await exported(service, "b3sum") == b""
    assert "without 1 file" in caplog.text
