from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from daemon.docker.bounded import HeadAndTail


@given(st.lists(st.binary(max_size=40)), st.integers(4, 200))
def test_both_ends_stay_and_the_rest_is_counted(chunks: list[bytes], limit: int) -> None:
    kept, whole = HeadAndTail(limit), b"".join(chunks)
    for chunk in chunks:
        kept.add(chunk)
    text = kept.text()
    if len(whole) <= limit:
        assert text == whole.decode("utf-8", errors="replace")
        assert kept.dropped == 0
    else:
        assert kept.dropped == len(whole) - limit
        head, tail = whole[: limit // 4], whole[len(whole) - (limit - limit // 4) :]
        gap = f"\n[… {kept.dropped} bytes left out …]\n".encode()
        assert text == (head + gap + tail).decode("utf-8", errors="replace")


def test_a_long_stream_takes_no_more_memory() -> None:
    kept = HeadAndTail(1000)
    for _ in range(10_000):
        kept.add(b"x" * 100)
    assert len(kept._head) + len(kept._tail) < 2500
