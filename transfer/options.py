"""What the three commands can be told, and their --help."""

import argparse
from typing import NoReturn

from transfer.faults import Usage

DEFAULT_SERVER = "redis://127.0.0.1:6379"

IMPORT = """\
Brings keys into a running server.

SOURCE is one of
  dump.rdb              an RDB file, of Redis, Valkey or Shardis
  appendonlydir/        the folder of a log of Redis 7 or Valkey, or its manifest, or the folder above
  appendonly.aof        the log of a Redis before 7, with or without an RDB at its beginning
  redis://HOST:PORT     a server that runs; rediss:// for TLS, unix:///PATH for a socket
"""
IMPORT_MORE = """\
A server is read by SCAN, DUMP and PEXPIRETIME, each db by itself. Keys that others write meanwhile may arrive as they
were or as they are, or not at all: for one moment's state stop the writers, or take a file.

Files are read to their end, and RDB checksums compared, before anything is sent: what is damaged is refused. A log that
ends in the middle of a command is taken up to there, and that is said.

Refused, unless an option says otherwise: a server that has keys. A log needs an empty one, for its commands make
sense only on what they were done on; functions and scripts in it are left out.

How far it came is noted in SOURCE.import-state, or in shardis-import-*.state in the current folder for a server, and
removed at the end. With --resume it goes on there: keys are then sent with REPLACE, since the last of them may have
arrived; the commands of a log are done once, because their place is kept in the target (key shardis-import:ID) by the
transaction that does them. A file must be the same, and a Redis or Valkey must not have been restarted, because its
cursors end with it; keys that have changed behind the cursor are not read again. A target whose machine crashed may
have lost what it had taken (appendfsync): begin anew then.

A password in a URL (redis://USER:PASSWORD@HOST:PORT) is seen by others on this machine: REDISCLI_AUTH in the
environment is not.

Exit status: 0 all is there, counted; 1 it stopped, or something is missing; 2 it makes no sense as asked.

Examples:
  shardis import /var/lib/redis/dump.rdb
  shardis import /var/lib/redis/appendonlydir --to redis://127.0.0.1:7000 --flush
  shardis import redis://10.0.0.7:6379 --db 0 --db 3
  shardis import redis://10.0.0.7:6379 --db 0 --db 3 --resume
"""

EXPORT = """\
Writes the keys of a server into an RDB file, or into another server.

TARGET is one of
  FILE.rdb              a file that Redis, Valkey and Shardis load (dbfilename), and that shardis import reads
  redis://HOST:PORT     a server that runs, of any version that has the types of the values
"""
EXPORT_MORE = """\
A FILE of a Shardis on this machine holds the state of one moment: its BGSAVE is asked for, which also renews the file
that the server keeps (dir, dbfilename), and that is copied. Otherwise, and with --db or --scan, the keys are read by
SCAN, DUMP and PEXPIRETIME, so keys that others write meanwhile may be there as they were or as they are, or not at all.

A FILE gets its name when it is whole and was read back; until then it is FILE.unfinished. Refused, unless an option
says otherwise: a FILE that exists, a server that has keys.

How far it came is noted in FILE.export-state, or in shardis-export-*.state in the current folder for a server, and
--resume goes on there: see shardis import --help, also for passwords. FILE.unfinished is read back first, and refused
if it is not what was written; a key that is in it is not written again, changed or not. What a BGSAVE has saved is
copied anew after an interruption.

Not in it: functions, scripts, users, the configuration. A type that the target does not have (fields with times to live
are Valkey 9's) is named and left out, and the exit status is 1.

Exit status: 0 all is there, counted; 1 it stopped, or something is missing; 2 it makes no sense as asked.

Examples:
  shardis export /backup/monday.rdb
  shardis export /backup/monday.rdb --from redis://127.0.0.1:7000 --replace
  shardis export redis://10.0.0.7:6379 --from redis://127.0.0.1:7000
"""

CHECK = """\
Says whether the data of a folder are whole, without a server: of each shard the files, and what is in them.
"""
CHECK_MORE = """\
DIR is the data folder, `dir` of the server; the current one if none is named. It is refused while a server runs there.
Everything is read as a start would read it, RDB files with their checksum.

  keys        in an RDB file
  commands    in a log file: a command may make, change or remove keys
  groups      transactions among them, which are done whole or not at all
  records     of writes over several shards, which a shard can do again that lacks its part

Three things can be found: all is whole; a torn tail, an unfinished command at the end of the last file of a log, as a
crash leaves it, which a start cuts off; damage anywhere else, with which no server starts. File and byte are named, and
what can be done.

Exit status: 0 whole; 1 a torn tail; 2 damaged, or it can't be told.

Examples:
  shardis check /var/lib/shardis
  shardis check /var/lib/shardis --fix
"""


class Parser(argparse.ArgumentParser):
    """One that leaves it to its caller how an error is shown."""

    def error(self, message: str) -> NoReturn:
        raise Usage(f"{message} (see {self.prog} --help)")


def import_parser() -> Parser:
    parser = _parser("import", IMPORT, IMPORT_MORE)
    parser.add_argument("source", metavar="SOURCE", help="where the keys come from, see above")
    parser.add_argument("--to", metavar="URL", default=DEFAULT_SERVER, help="the server (default: %(default)s)")
    _add_server_options(parser)
    parser.add_argument(
        "--flush", action="store_true", help="remove all keys of the server first (with --db: of those)"
    )
    return parser


def export_parser() -> Parser:
    parser = _parser("export", EXPORT, EXPORT_MORE)
    parser.add_argument("target", metavar="TARGET", help="where the keys go, see above")
    parser.add_argument(
        "--from", metavar="URL", dest="source", default=DEFAULT_SERVER, help="the server (default: %(default)s)"
    )
    _add_server_options(parser)
    parser.add_argument("--scan", action="store_true", help="read a Shardis on this machine key by key, too")
    return parser


def check_parser() -> Parser:
    parser = _parser("check", CHECK, CHECK_MORE)
    parser.add_argument("folder", metavar="DIR", nargs="?", default=".", help="the data folder (default: this one)")
    parser.add_argument(
        "--fix",
        action="store_true",
        help="cut off torn tails; what is cut off is kept in a file beside, which is named",
    )
    return parser


def _parser(name: str, description: str, epilog: str) -> Parser:
    return Parser(
        prog=f"shardis {name}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _add_server_options(parser: Parser) -> None:
    parser.add_argument(
        "--db", metavar="N", action="append", type=_db, default=[], help="only this db (may be said several times)"
    )
    parser.add_argument("--replace", action="store_true", help="overwrite what is there by the same name")
    parser.add_argument("--resume", action="store_true", help="go on where an interrupted run stopped")


def _db(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of a db")
    return int(text)
