"""The manifest's syntax: there and back, refusals as Valkey's, and what its changes give."""

import subprocess
from pathlib import Path

import pytest

from shard.log_reader import LogDamaged
from shard.manifest import LINE_BYTES_MAX, Kind, LogFile, Manifest, parse
from tests.reference import reference_binary
from tests.servers import free_port

INCREMENT = LogFile("appendonly.aof.1.incr.aof", 1, Kind.INCREMENT)


@pytest.mark.parametrize(
    "manifest",
    [
        Manifest(increments=(INCREMENT,)),
        Manifest(LogFile("a.2.base.aof", 2, Kind.BASE)),
        Manifest(
            LogFile("a.2.base.aof", 2, Kind.BASE),
            (LogFile("a.3.incr.aof", 3, Kind.INCREMENT), LogFile("a.7.incr.aof", 7, Kind.INCREMENT)),
            (LogFile("a.1.base.rdb", 1, Kind.HISTORY), LogFile("a.1.incr.aof", 1, Kind.HISTORY)),
        ),
    ],
)
def test_there_and_back(manifest: Manifest) -> None:
    assert parse(manifest.encode()) == manifest


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("a-b_c.1", "a-b_c.1"),
        ("two words", '"two words"'),
        ('"quoted"', r'"\"quoted\""'),
        ("it's", '"it\'s"'),
        ("tab\tline\nreturn\r bell\a back\b", r'"tab\tline\nreturn\r bell\a back\b"'),
        ("é", r'"\xc3\xa9"'),
        ("not utf-8: \udcff", r'"not utf-8: \xff"'),
        ("#", "#"),
    ],
)
def test_odd_names_are_quoted(name: str, word: str) -> None:
    manifest = Manifest(increments=(LogFile(name, 1, Kind.INCREMENT),))
    assert manifest.encode() == f"file {word} seq 1 type i\n".encode()
    assert parse(manifest.encode()) == manifest


def test_what_redis_reads_as_well() -> None:
    """Comments, another order, single quotes, capitals, further pairs, spaces."""
    text = b"# a comment\n  TYPE incr  seq 01 file 'it\\'s'\tstartoffset 5 \r\nfile x seq 2 type h\n"
    assert parse(text) == Manifest(
        increments=(LogFile("it's", 1, Kind.INCREMENT),), history=(LogFile("x", 2, Kind.HISTORY),)
    )
    assert parse(b"# nothing else\n") == Manifest()


REFUSED = [
    (b"", 0, "Found an empty AOF manifest"),
    (b"file a seq 1 type i", 0, "The AOF manifest file contains too long line"),
    (b"file a seq 1 type i\n\n", 20, "Invalid AOF manifest file format"),
    (b"file a\n", 0, "Invalid AOF manifest file format"),
    (b"file a seq x type i\n", 0, "Invalid AOF manifest file format"),
    (b"file a seq 0 type i\n", 0, "Invalid AOF manifest file format"),
    (b"file a seq 1 kind i\n", 0, "Invalid AOF manifest file format"),
    (b'file "a seq 1 type i\n', 0, "Invalid AOF manifest file format"),
    (b"file it's seq 1 type i\n", 0, "Invalid AOF manifest file format"),
    (b"file a seq 1 type i x\n", 0, "Invalid AOF manifest file format"),
    (b"file ../a seq 1 type i\n", 0, "File can't be a path, just a filename"),
    (b"file a seq 1 type z\n", 0, "Unknown AOF file type"),
    (b"file a seq 1 type i\nfile b seq 1 type i\n", 20, "Found a non-monotonic sequence number"),
    (b"file a seq 1 type b\nfile b seq 2 type b\n", 20, "Found duplicate base file information"),
]


@pytest.mark.parametrize(("text", "offset", "reason"), REFUSED)
def test_refusals_name_the_line(text: bytes, offset: int, reason: str) -> None:
    with pytest.raises(LogDamaged) as raised:
        parse(text, "x.manifest")
    assert raised.value.offset == offset
    assert str(raised.value).startswith(f"x.manifest is damaged at byte {offset}: ")
    assert str(raised.value).endswith(reason)


@pytest.mark.parametrize(("text", "offset", "reason"), REFUSED)
def test_the_reference_refuses_them_too(text: bytes, offset: int, reason: str, tmp_path: Path) -> None:
    folder = tmp_path / "appendonlydir"
    folder.mkdir()
    (folder / "appendonly.aof.manifest").write_bytes(text)
    argv = [reference_binary(), "--port", str(free_port()), "--save", "", "--appendonly", "yes", "--dir", str(tmp_path)]
    assert reason in subprocess.run(argv, capture_output=True, text=True, timeout=20).stdout


def test_the_longest_line() -> None:
    fits = LINE_BYTES_MAX - len("file  seq 1 type i\n")
    manifest = Manifest(increments=(LogFile("a" * fits, 1, Kind.INCREMENT),))
    assert parse(manifest.encode()) == manifest
    with pytest.raises(LogDamaged, match="too long line"):
        parse(manifest.encode().replace(b"file", b"file "))
    with pytest.raises(ValueError, match="at most"):
        Manifest(increments=(LogFile("a" * (fits + 1), 1, Kind.INCREMENT),)).encode()


def test_increments_are_numbered() -> None:
    manifest = Manifest().with_increment("appendonly.aof")
    assert manifest == Manifest(increments=(INCREMENT,))
    assert manifest.with_increment("appendonly.aof").increments[1].name == "appendonly.aof.2.incr.aof"


def test_a_new_base_makes_history_of_what_it_replaces() -> None:
    manifest = Manifest().with_increment("a").with_increment("a").with_increment("a").with_base("a", 3)
    assert [file.name for file in manifest.files] == ["a.1.base.aof", "a.3.incr.aof"]
    assert [(file.name, file.kind) for file in manifest.history] == [
        ("a.1.incr.aof", Kind.HISTORY),
        ("a.2.incr.aof", Kind.HISTORY),
    ]
    again = manifest.with_increment("a").with_base("a", 4)
    assert [file.name for file in again.files] == ["a.2.base.aof", "a.4.incr.aof"]
    assert [file.name for file in again.history] == ["a.1.incr.aof", "a.2.incr.aof", "a.1.base.aof", "a.3.incr.aof"]
    assert again.without_history().history == ()
    assert parse(again.encode()) == again
