"""Whole sets of logs, one for each shard, as tests make and read them without a server."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from common.config import Config
from common.slot import SLOTS, Owners
from shard.layout import Layout
from shard.log_buffer import encode
from shard.log_files import read_layout, write_layout
from shard.log_reading import read_manifest
from shard.resharding_tasks import OldShard
from tests.log_folder import write_log

Command = tuple[int, list[bytes]]
"""The number of a db, and a command that can be in a log and has its one key behind its name."""
Contents = dict[tuple[int, bytes], tuple[Any, int]]
"""By db and key: the words of the commands that make the value, and when it expires in ms, or -1."""

FAR_MS = b"4000000000000"
PAST_MS = b"1000000000000"
TAGS = (b"a", b"{a}b", b"x{a}", b"{}c", b"key:1", b"key:2", b"\x00\xff", b"")


def _numbered(prefix: bytes, count: int) -> list[bytes]:
    return [b"%s%d" % (prefix, number) for number in range(count)]


def every_type() -> list[Command]:
    """Values of all types, small and large, with times, in several dbs, and keys with and without tags."""
    commands: list[Command] = []
    for db in (0, 1, 9):
        commands += [(db, [b"SET", key, b"%d" % db]) for key in TAGS]
        commands += [(db, [b"SET", b"s%d" % number, b"x" * number]) for number in range(0, 400, 7)]
    commands += [
        (0, [b"SET", b"long", os.urandom(300_000)]),
        (0, [b"SET", b"soon gone", b"v", b"PXAT", FAR_MS]),
        (0, [b"SET", b"gone", b"v"]),
        (0, [b"PEXPIREAT", b"gone", PAST_MS]),
        (0, [b"APPEND", b"appended", b"abc" * 100]),
        (0, [b"APPEND", b"appended", b"def" * 100]),
        (0, [b"RPUSH", b"list", b"a", b"", b"12", b"x" * 200]),
        (1, [b"RPUSH", b"long list", *_numbered(b"element ", 3000)]),
        (1, [b"PEXPIREAT", b"long list", FAR_MS]),
        (0, [b"HSET", b"hash", b"f", b"1", b"g", b"2"]),
        (0, [b"HPEXPIREAT", b"hash", FAR_MS, b"FIELDS", b"1", b"g"]),
        (0, [b"HSET", b"{h}long", *(word for name in _numbered(b"f", 900) for word in (name, b"v" + name))]),
        (0, [b"HPEXPIREAT", b"{h}long", FAR_MS, b"FIELDS", b"2", b"f1", b"f2"]),
        (0, [b"SADD", b"numbers", b"1", b"20000", b"-3"]),
        (0, [b"SADD", b"set", b"a", b"b", b""]),
        (9, [b"SADD", b"{h}set", *_numbered(b"m", 700)]),
        (0, [b"ZADD", b"zset", b"1.5", b"a", b"-inf", b"b"]),
        (9, [b"ZADD", b"long zset", *(word for name in range(600) for word in (b"%d.25" % name, b"m%d" % name))]),
        (0, [b"XADD", b"{s}tream", b"1-1", b"f", b"v"]),
        (0, [b"XADD", b"{s}tream", b"2-1", b"f", b"v", b"g", b"w"]),
        (0, [b"XDEL", b"{s}tream", b"1-1"]),
        (0, [b"XGROUP", b"CREATE", b"{s}tream", b"group", b"0", b"ENTRIESREAD", b"1"]),
        (0, [b"XCLAIM", b"{s}tream", b"group", b"alice", b"0", b"2-1"]),
    ]
    commands[-1][1].extend([b"TIME", b"1500000000000", b"RETRYCOUNT", b"3", b"FORCE", b"JUSTID", b"LASTID", b"2-1"])
    return commands


def key_of(argv: list[bytes]) -> bytes:
    """The one key of a command."""
    return argv[2] if argv[0] == b"XGROUP" else argv[1]


def config_of(folder: Path, shards: int, **directives: str) -> Config:
    """What a start with so many shards has."""
    words = [word for name, value in directives.items() for word in (f"--{name.replace('_', '-')}", value)]
    return Config.from_arguments(["--dir", str(folder), "--shards", str(shards), *words])


def write_set(
    folder: Path,
    shards: int,
    commands: Iterable[Command],
    *,
    hash_tags: bool = True,
    ends: dict[int, bytes] | None = None,
) -> None:
    """The logs that so many shards leave of the commands, each with what `ends` says behind it, and the layout."""
    owners = Owners(shards, hash_tags)
    texts = [b""] * shards
    for db, argv in commands:
        texts[owners.of(key_of(argv))] += encode([b"SELECT", b"%d" % db]) + encode(argv)
    for index, text in enumerate(texts):
        write_log(folder / f"shard-{index}" / "appendonlydir", text + (ends or {}).get(index, b""))
    write_layout(folder, Layout(shards, hash_tags))


def contents(folder: Path, **directives: str) -> Contents:
    """All keys, read as the shards would that are started on it; each must be where its shard looks for it."""
    layout = read_layout(folder)
    assert layout is not None
    config = config_of(folder, layout.shards, **directives)
    owners = Owners(layout.shards, layout.hash_tags)
    found: Contents = {}
    for index in range(layout.shards):
        log = folder / layout.folder_of(index) / "appendonlydir"
        assert read_manifest(log, "appendonly.aof").increments, f"{log} is no log"
        shard = OldShard(config, index, layout)
        for _ in shard.load(log):
            pass
        for db in shard.store.dbs:
            for slot in range(SLOTS):
                for key in db.slots[slot]:
                    assert owners.of(key) == index, f"{key!r} is in shard {index}"
                    found[db.index, key] = (_words(key, db.slots[slot][key]), db.expiries.slots[slot].get(key, -1))
    return found


def _words(key: bytes, value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    words = [word for argv in value.commands(key) for word in argv]
    return words if value.type_name in ("list", "stream") else sorted(words)
