"""What waits to be written: encoded right, in order, and given up byte by byte."""

from random import Random

import pytest

from shard.log_buffer import BIG_PIECE_BYTES, HEADS_COUNT, JOINED_BYTES_MAX, UNCOPIED_BYTES_MIN, LogBuffer, encode
from shard.log_reader import LogReader


def drain(buffer: LogBuffer) -> bytes:
    """Takes all out of the buffer."""
    data = b"".join(buffer.gather())
    buffer.drop(len(data))
    assert buffer.empty
    return data


@pytest.mark.parametrize("count", range(1, 9))
def test_every_number_of_arguments(count: int) -> None:
    argv = [b"%d" % number * number for number in range(count)]
    buffer = LogBuffer()
    buffer.append(0, argv)
    assert drain(buffer) == encode([b"SELECT", b"0"]) + encode(argv)


def plain(argv: list[bytes]) -> bytes:
    """A command in RESP, without tables."""
    return b"*%d\r\n" % len(argv) + b"".join(b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in argv)


@pytest.mark.parametrize("count", range(1, 7))
@pytest.mark.parametrize("size", [0, 1, HEADS_COUNT - 1, HEADS_COUNT, 3 * HEADS_COUNT])
def test_every_size_at_every_place(count: int, size: int) -> None:
    for place in range(count):
        argv = [b"argument"] * count
        argv[place] = b"x" * size
        buffer = LogBuffer()
        buffer.append(0, argv)
        assert drain(buffer) == plain([b"SELECT", b"0"]) + plain(argv) == encode([b"SELECT", b"0"]) + encode(argv)


def test_a_db_is_selected_once_and_again_in_a_new_file() -> None:
    buffer = LogBuffer()
    for db in (5, 5, 0, 5):
        buffer.append(db, [b"INCR", b"k"])
    select_5, incr = encode([b"SELECT", b"5"]), encode([b"INCR", b"k"])
    assert drain(buffer) == select_5 + incr + incr + encode([b"SELECT", b"0"]) + incr + select_5 + incr
    buffer.append(5, [b"INCR", b"k"])
    assert drain(buffer) == incr
    buffer.forget_db()
    buffer.append(5, [b"INCR", b"k"])
    assert drain(buffer) == select_5 + incr


def test_a_group_of_one_or_none_is_no_group() -> None:
    buffer = LogBuffer()
    buffer.append_group([])
    assert buffer.empty
    buffer.append_group([(0, [b"DEL", b"a"])])
    assert b"MULTI" not in drain(buffer)
    buffer.append_group([(0, [b"DEL", b"a"]), (2, [b"DEL", b"b"])])
    assert LogReader().feed(drain(buffer)) == [(0, [[b"DEL", b"a"]]), (2, [[b"DEL", b"b"]])]


def test_a_value_that_changes_later_is_logged_as_it_was() -> None:
    buffer = LogBuffer()
    value = bytearray(b"before")
    buffer.append(0, [b"SET", b"k", value])  # type: ignore[list-item]
    value[:] = b"after"
    assert b"before" in drain(buffer)


@pytest.mark.parametrize("size", [0, 1, BIG_PIECE_BYTES - 100, BIG_PIECE_BYTES, JOINED_BYTES_MAX, 3 * JOINED_BYTES_MAX])
def test_big_values_keep_their_place(size: int) -> None:
    buffer = LogBuffer()
    expected = encode([b"SELECT", b"0"])
    for number in range(5):
        for argv in ([b"SET", b"%d" % number, b"x" * size], [b"DEL", b"%d" % number]):
            buffer.append(0, argv)
            expected += encode(argv)
    assert buffer.bytes_count == len(expected)
    assert drain(buffer) == expected


def test_many_small_ones_become_few_buffers() -> None:
    buffer = LogBuffer()
    for number in range(100_000):
        buffer.append(0, [b"SET", b"key:%d" % number, b"value"])
    count_bytes = buffer.bytes_count
    assert len(buffer.gather()) <= 1 + count_bytes // JOINED_BYTES_MAX
    assert buffer.bytes_count == count_bytes


def test_short_writes_lose_and_double_nothing() -> None:
    random = Random(11)
    buffer = LogBuffer()
    written = expected = b""
    for turn in range(300):
        argv = [b"SET", b"%d" % turn, b"x" * random.choice([1, 100, BIG_PIECE_BYTES])]
        buffer.append(turn % 3, argv)
        expected += encode([b"SELECT", b"%d" % (turn % 3)]) + encode(argv)
        waiting = b"".join(buffer.gather())
        taken = random.randrange(len(waiting) + 1)
        buffer.drop(taken)
        written += waiting[:taken]
        assert buffer.bytes_count == len(expected) - len(written)
    assert written + drain(buffer) == expected


def test_what_is_large_is_not_copied() -> None:
    for size in (UNCOPIED_BYTES_MIN - 1, UNCOPIED_BYTES_MIN):
        buffer, large = LogBuffer(), bytes(size)
        buffer.append(0, [b"SET", b"k", large])
        found = buffer.gather()
        assert any(piece is large for piece in found) == (size == UNCOPIED_BYTES_MIN)
        assert b"".join(found) == encode([b"SELECT", b"0"]) + plain([b"SET", b"k", large])


def test_what_can_be_changed_is_copied() -> None:
    buffer, large = LogBuffer(), bytearray(UNCOPIED_BYTES_MIN)
    buffer.append(0, [b"SET", b"k", large])  # type: ignore[list-item]
    before = b"".join(buffer.gather())
    large[0] = 1
    assert b"".join(buffer.gather()) == before
