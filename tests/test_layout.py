"""The layout file: there and back, what is no layout, and when data can't be served as it lies."""

from pathlib import Path

import pytest

from shard.aof import read_layout, write_layout
from shard.layout import SHARDS_MAX, Layout, difference, parse
from shard.log_reader import LogDamaged


@pytest.mark.parametrize("layout", [Layout(1, True), Layout(3, False), Layout(SHARDS_MAX, True)])
def test_there_and_back(layout: Layout, tmp_path: Path) -> None:
    assert parse(layout.encode()) == layout
    folder = tmp_path / "new" / "data"
    assert read_layout(folder) is None
    write_layout(folder, layout)
    assert read_layout(folder) == layout
    assert [path.name for path in folder.iterdir()] == ["layout.json"]


def test_the_text() -> None:
    assert Layout(4, True).encode() == b'{"version": 1, "shards": 4, "hash-tags": "yes"}\n'


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"{}",
        b'{"version": 2, "shards": 4, "hash-tags": "yes"}',
        b'{"version": 1, "shards": 0, "hash-tags": "yes"}',
        b'{"version": 1, "shards": 16385, "hash-tags": "yes"}',
        b'{"version": 1, "shards": true, "hash-tags": "yes"}',
        b'{"version": 1, "shards": "4", "hash-tags": "yes"}',
        b'{"version": 1, "shards": 4, "hash-tags": true}',
        b'{"version": 1, "shards": 4}',
    ],
)
def test_what_is_no_layout_is_refused(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "layout.json").write_bytes(text)
    with pytest.raises(LogDamaged, match="layout.json is damaged"):
        read_layout(tmp_path)


def test_a_difference_is_named() -> None:
    wanted = Layout(2, True)
    assert difference(None, wanted) == ""
    assert difference(Layout(2, True), wanted) == ""
    assert difference(Layout(4, False), wanted) == (
        "the data was written with shards 4, hash-tags no, and this start asks for shards 2, hash-tags yes:"
        " start with --shards 4 --hash-tags no"
    )
