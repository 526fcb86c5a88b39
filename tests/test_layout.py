"""The layout file: there and back, what is no layout, where the folders of a set are, and when it serves a start."""

import json
from pathlib import Path

import pytest

from shard.layout import SHARDS_MAX, Layout, OtherLayout, generation_of, parse
from shard.log_files import folder_of_shard, read_layout, write_layout
from shard.log_reader import LogDamaged


@pytest.mark.parametrize(
    "layout", [Layout(1, True), Layout(3, False), Layout(SHARDS_MAX, True), Layout(2, True, 2), Layout(1, False, 12345)]
)
def test_there_and_back(layout: Layout, tmp_path: Path) -> None:
    assert parse(layout.encode()) == layout
    folder = tmp_path / "new" / "data"
    assert read_layout(folder) is None
    write_layout(folder, layout)
    assert read_layout(folder) == layout
    assert [path.name for path in folder.iterdir()] == ["layout.json"]


def test_the_text() -> None:
    assert Layout(4, True).encode() == b'{"version": 1, "shards": 4, "hash-tags": "yes"}\n'
    assert json.loads(Layout(4, True, 3).encode()) == {
        "version": 2,
        "shards": 4,
        "hash-tags": "yes",
        "generation": 3,
    }


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"{}",
        b'{"version": 3, "shards": 4, "hash-tags": "yes"}',
        b'{"version": 1, "shards": 0, "hash-tags": "yes"}',
        b'{"version": 1, "shards": 16385, "hash-tags": "yes"}',
        b'{"version": 1, "shards": true, "hash-tags": "yes"}',
        b'{"version": 1, "shards": "4", "hash-tags": "yes"}',
        b'{"version": 1, "shards": 4, "hash-tags": true}',
        b'{"version": 1, "shards": 4}',
        b'{"version": 2, "shards": 4, "hash-tags": "yes", "generation": 0}',
        b'{"version": 2, "shards": 4, "hash-tags": "yes", "generation": "2"}',
        b'{"version": 2, "shards": 4, "hash-tags": "yes", "generation": true}',
    ],
)
def test_what_is_no_layout_is_refused(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "layout.json").write_bytes(text)
    with pytest.raises(LogDamaged, match="layout.json is damaged"):
        read_layout(tmp_path)


def test_where_the_folders_are(tmp_path: Path) -> None:
    assert folder_of_shard(tmp_path, 2) == tmp_path / "shard-2"
    write_layout(tmp_path, Layout(4, True))
    assert folder_of_shard(tmp_path, 2) == tmp_path / "shard-2"
    write_layout(tmp_path, Layout(4, True, 7))
    assert folder_of_shard(tmp_path, 2) == tmp_path / "generation-7" / "shard-2"


def test_data_without_its_layout_is_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / "generation-2").mkdir()
    with pytest.raises(LogDamaged, match="there is generation-2, but no layout"):
        read_layout(tmp_path)


@pytest.mark.parametrize(
    "name, generation",
    [("generation-2", 2), ("generation-10", 10), ("generation-", 0), ("generation-02", 0), ("generation-2-old", 0)]
    + [("generation--1", 0), ("generation-²", 0), ("generations-2", 0), ("shard-2", 0), ("generation", 0)],
)
def test_the_folder_of_a_set_is_known_by_its_name(name: str, generation: int) -> None:
    assert generation_of(name) == generation


def test_when_it_serves() -> None:
    assert Layout(2, True, 5).serves(Layout(2, True))
    assert not Layout(2, True).serves(Layout(3, True))
    assert not Layout(2, True).serves(Layout(2, False))


def test_a_shard_that_is_started_alone_says_what_to_do() -> None:
    assert str(OtherLayout(Layout(4, False), Layout(2, True), "/data")) == (
        "/data: the data is spread with shards 4, hash-tags no, and this process asks for shards 2, hash-tags yes:"
        " re-hash it first, with the command shardis or with python -m shard.resharding"
    )
