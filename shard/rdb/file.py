"""RDB files: all keys of a server in one file, as Valkey 9.1 writes it and as it and older Redis can have written it.

    magic and version (9)  aux field ...  key ...  0xFF  CRC-64 of all before (8, low byte first)

    aux field   0xFA  name  value                       what is known of the server that wrote it
    key         [0xFE db]  [0xFB keys  keys with times]  [0xFC time (8, in ms)]  type  key  object

What the brackets hold is written where it changes or is needed. What else may come is in shard/rdb/file_reader.py.
"""

from shard.rdb.file_reader import Entry, EntryReader, RawEntry, raw_entries, read_entries
from shard.rdb.file_writer import FileWriter, aux_fields, in_pieces

__all__ = ["Entry", "EntryReader", "FileWriter", "RawEntry", "aux_fields", "in_pieces", "raw_entries", "read_entries"]
