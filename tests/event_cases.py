"""Calls of every command that changes keys or looks for them: what each of them tells of keys must be what it tells on
the reference, whatever server it is.

A paragraph of CASES is a case: calls one after another, on an empty server. `B>` and `C>` are other clients, whose
calls block and are not waited for; `wait` lets the times of keys pass that have a millisecond to live; RESTORE-OF makes
a key of a dumped one, and its words are TTL, PAST and REPLACE.

Not here, because the moment is left to the server: keys and fields that it finds expired by itself, and fields that are
found so by a call.
"""

import shlex
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from time import sleep

from tests.bare_shard import BareShard, ShardConnection
from tests.resp_client import Client

WAIT_MS = 5
ALL = "KEAmn"

Told = tuple[str, list[str]]
"""A call, and what it told: "event key" each, with "@db" where the db is another than 0."""


def cases() -> list[list[str]]:
    """The calls of each case."""
    text = "\n".join(line for line in CASES.strip().split("\n") if not line.startswith("#"))
    return [" ".join(case.split("\n")).split("; ") for case in text.split("\n\n") if case]


def words_of(call: str, payload: bytes) -> list[bytes]:
    """The words of a call, without whose it is."""
    words = shlex.split(call)
    if words[0] != "RESTORE-OF":
        return [word.encode() for word in words]
    ttl = b"1" if "PAST" in words else b"100000" if "TTL" in words else b"0"
    options = [b"ABSTTL"] * ("PAST" in words) + [b"REPLACE"] * ("REPLACE" in words)
    return [b"RESTORE", words[1].encode(), ttl, payload, *options]


def split(call: str) -> tuple[str, str]:
    """Whose call it is, "" for the client that is waited for, and the call."""
    who, mark, rest = call.partition("> ")
    return (who, rest) if mark and len(who) == 1 else ("", call)


def told_by_shard(classes: str = ALL) -> Iterator[Told]:
    """What a bare shard tells."""
    shard = BareShard(1_600_000_000_000)
    store = shard.executor.store
    control = ShardConnection(shard)
    control.call("SET", "p", "v")
    dumped = control.call("DUMP", "p")
    shard.executor.notify(classes)
    for case in cases():
        if "MULTI" in case:  # Which is the router's.
            continue
        control.call("FLUSHALL")
        clients: dict[str, ShardConnection] = defaultdict(partial(ShardConnection, shard))
        for call in case:
            who, line = split(call)
            if call == "wait":
                shard.advance(WAIT_MS)
                continue
            clients[who].send(*words_of(line, dumped))
            if not who:
                clients[who].read()
            yield call, [_shown(event, key, db) for _, _, event, db, key in store.events]
            store.events.clear()
        for client in clients.values():
            client.close()


def _shown(event: bytes, key: bytes, db: int) -> str:
    return f"{event.decode()} {key.decode()}" + (f"@{db}" if db else "")


def told_by_server(address: tuple[str, int], classes: str = ALL) -> Iterator[Told]:
    """What a server publishes."""
    with Client(address) as control, Client(address) as subscriber:
        subscriber.send(b"PSUBSCRIBE", b"__keyevent@*__:*", b"end")
        subscriber.read_many(2)
        control.call("SET", "p", "v")
        dumped = control.call("DUMP", "p")
        control.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        control.call("CONFIG", "SET", "notify-keyspace-events", classes)
        for case in cases():
            control.call("FLUSHALL")
            with ExitStack() as stack:
                clients: dict[str, Client] = {}
                for call in case:
                    who, line = split(call)
                    if call == "wait":
                        sleep(WAIT_MS / 1000)
                        continue
                    if who not in clients:
                        clients[who] = stack.enter_context(Client(address))
                        clients[who].call("PING")
                    clients[who].send(*words_of(line, dumped))
                    if who:
                        control.call("PING")  # Who was sent to first need not be read first, but by then it was.
                    else:
                        clients[who].read()
                    yield call, _published(control, subscriber)


def _published(control: Client, subscriber: Client) -> list[str]:
    """All that was published so far."""
    control.call("DBSIZE")  # Behind its answer is nothing more of what was called before.
    control.call("PUBLISH", "end", "")
    told = []
    while (message := subscriber.read().value)[2] != b"end":
        place, _, event = message[2].removeprefix(b"__keyevent@").partition(b"__:")
        told.append(_shown(event, message[3], int(place)))
    return told


CASES = """
# strings
SET a 1; SET a 2; SETNX a 3; SETNX b 1; GETSET a 4; GETSET c 1

SET a 1 EX 100; SET a 2 KEEPTTL; SET a 3 PX 1; SET b 1 PXAT 1; SET a 4 EXAT 1

SET a 1 NX; SET a 2 NX; SET a 3 XX GET; SET zz 3 XX; SET a 4 IFEQ 3; SET a 4 IFEQ 9; SET a 5 GET EX 10

RPUSH l 1; SET l x; RPUSH m 1; SET m x GET

SETEX a 100 v; PSETEX b 100000 v; SETEX a 10 w

GETEX a; SET a 1; GETEX a; GETEX a EX 100; GETEX a PERSIST; GETEX a PERSIST; GETEX a PXAT 1; GETEX a EX 10

GETDEL a; SET a 1; GETDEL a

SET a 1; DELIFEQ a 2; DELIFEQ a 1; DELIFEQ a 1

MSET a 1 b 2 a 3; MSET a 9; MSETNX c 1 d 2; MSETNX c 1 e 2; MGET a b nope

MSETEX 2 a 1 b 2 EX 100; MSETEX 1 a 1 KEEPTTL; MSETEX 2 a 1 x 2 NX; MSETEX 2 a 1 b 2 XX PX 100000; MSETEX 1 c 1;
MSETEX 1 d 1 PXAT 1; GET d

INCR a; DECR a; INCRBY a 5; DECRBY a 2; INCRBYFLOAT a 1.5; INCRBYFLOAT b 1; INCR b; SET c x; INCR c

APPEND a x; APPEND a y; APPEND a ""; APPEND n ""

SETRANGE a 0 ""; SETRANGE a 3 xyz; SETRANGE a 0 ""; SETRANGE a 0 abc

GETRANGE a 0 1; STRLEN a; SUBSTR a 0 1; LCS a b; SET a x; SET b y; LCS a b; GET a

# bits
SETBIT a 3 1; SETBIT a 3 1; SETBIT a 3 0; GETBIT a 3; GETBIT nope 1; BITCOUNT nope; BITPOS nope 1

BITOP AND d x y; SET x 1; BITOP OR d x y; BITOP NOT d x; BITOP AND d n m; BITOP AND d n m

BITFIELD a SET u8 0 5; BITFIELD a GET u8 0; BITFIELD a INCRBY u8 0 1; BITFIELD a OVERFLOW FAIL INCRBY u2 0 9;
BITFIELD_RO a GET u8 0; BITFIELD nope GET u8 0; BITFIELD a SET u8 0 6; BITFIELD a SET u8 0 6 SET u8 8 1

BITFIELD x OVERFLOW FAIL SET u2 0 9

# hyperloglog
PFADD h a b; PFADD h a; PFADD h; PFADD i; PFCOUNT h; PFCOUNT h i; PFCOUNT nope; PFMERGE d h i; PFMERGE d h; PFMERGE e;
PFMERGE f nope; PFADD i zz; PFCOUNT i; PFCOUNT i; PFMERGE i h

PFADD h a b; PFDEBUG GETREG h; PFDEBUG TODENSE h; PFADD k a; PFDEBUG TODENSE k

# lists
LPUSH l 1 2; RPUSH l 3; LPUSHX l 0; RPUSHX l 4; LPUSHX nope 1; RPUSHX nope 1

RPUSH l 1 2 3 4; LPOP l; RPOP l; LPOP l 5; LPOP l; RPOP nope 2; RPUSH l 1 2; LPOP l 0; RPOP l 2

RPUSH l 1 2 3 4; LMPOP 2 n l LEFT; LMPOP 1 l RIGHT COUNT 10; LMPOP 1 l LEFT

RPUSH l 1 2; LMOVE l m LEFT RIGHT; LMOVE l m RIGHT LEFT; LMOVE l m RIGHT LEFT; LMOVE m m LEFT RIGHT; RPOPLPUSH m n;
RPOPLPUSH m n; RPOPLPUSH n n; RPOPLPUSH nope x

RPUSH l 1 2; BLMOVE l m LEFT RIGHT 1; BRPOPLPUSH l m 1; BLPOP l m 1; BRPOP m 1; RPUSH l 1 2 3;
BLMPOP 1 2 l m LEFT COUNT 2; BLMPOP 1 2 m l RIGHT

RPUSH l 1 2 3 1; LREM l 1 1; LREM l 0 9; LREM l 0 3; LREM l 0 1; LREM l 0 2; LREM l 0 2

RPUSH l 1 2 3 1; LSET l 0 x; LSET l 0 x; LSET l 9 x; LINSERT l BEFORE x y; LINSERT l AFTER nope y;
LINSERT nope BEFORE a b; LTRIM l 0 1; LTRIM l 0 5; LTRIM l 5 9; LTRIM l 0 1

RPUSH l 1; LTRIM l 1 0; LRANGE l 0 1; LLEN l; LINDEX l 0; LPOS l x; SET s 1; LPUSH s 1; LPOP s

# hashes
HSET h a 1 b 2; HSET h a 1; HMSET h c 3; HSETNX h a 1; HSETNX h d 1; HSETNX n d 1; HINCRBY h a 1; HINCRBYFLOAT h a 1.5;
HINCRBY m a 1; HINCRBYFLOAT k a 1

HSET h a 1 b 2; HDEL h a z; HDEL h z; HDEL h b; HDEL h b; HGET h a; HGETALL h; HMGET h a; HKEYS h; HVALS h; HLEN h;
HEXISTS h a; HSTRLEN h a; HRANDFIELD h; HSCAN h 0; HRANDFIELD h 2

HSET h a 1 b 2; HEXPIRE h 100 FIELDS 1 a; HPEXPIRE h 100000 FIELDS 2 a z; HEXPIRE h 100 NX FIELDS 1 a;
HEXPIREAT h 1 FIELDS 1 a; HPERSIST h FIELDS 1 b; HEXPIRE h 0 FIELDS 1 b; HEXPIRE h 10 FIELDS 1 b; HTTL h FIELDS 1 b;
HPTTL nope FIELDS 1 a

HSET h a 1 b 2 c 3; HPEXPIREAT h 99999999999999 FIELDS 2 a b; HPERSIST h FIELDS 2 a c; HPERSIST h FIELDS 1 a;
HEXPIRE h 0 FIELDS 2 a b; HPERSIST nope FIELDS 1 a; HEXPIRE nope 1 FIELDS 1 a; HTTL h FIELDS 1 c;
HEXPIRETIME h FIELDS 1 c; HPEXPIRETIME h FIELDS 1 c

HSET h a 1 b 2 c 3; HEXPIRE h 10 FIELDS 1 q; HEXPIRE h 10 XX FIELDS 1 a; HEXPIRE h 10 FIELDS 3 a b c;
HEXPIRE h 0 FIELDS 3 a b c

HSETEX h FIELDS 1 a 1; HSETEX h EX 100 FIELDS 2 a 1 b 2; HSETEX h FNX FIELDS 1 a 1; HSETEX h FXX EX 10 FIELDS 1 a 1;
HSETEX h KEEPTTL FIELDS 1 a 2; HSETEX h EXAT 1 FIELDS 1 a 1; HSETEX n EXAT 1 FIELDS 1 a 1; HSETEX h FIELDS 1 b 3;
HSETEX h FXX FIELDS 1 zz 1

HSETEX h NX FIELDS 1 a 1; HSETEX h NX FIELDS 1 a 1; HSETEX h XX EX 100 FIELDS 1 a 1; HSETEX nope XX FIELDS 1 a 1;
HSETEX h PXAT 1 FIELDS 1 a 1; HSETEX h PXAT 1 FIELDS 1 a 1; HSETEX h PXAT 1 FIELDS 2 a 1 b 1

HSET h a 1; HSETEX h EXAT 1 FIELDS 2 a 1 b 2; EXISTS h; HSET h a 1 b 2; HSETEX h EXAT 1 FIELDS 1 a 1;
HSETEX h EXAT 1 FIELDS 1 zz 1

HSET h a 1 b 2 c 3; HGETEX h FIELDS 1 a; HGETEX h EX 100 FIELDS 1 a; HGETEX h EX 100 FIELDS 2 a z;
HGETEX h PERSIST FIELDS 1 a; HGETEX h PERSIST FIELDS 1 a; HGETEX h PERSIST FIELDS 1 b; HGETEX h EXAT 1 FIELDS 1 a;
HGETEX h EXAT 1 FIELDS 2 b c; HGETEX h FIELDS 1 a; HGETEX h EX 10 FIELDS 1 a

HSET h a 1; HGETEX h EX 100 FIELDS 1 z; HGETEX h EXAT 1 FIELDS 1 z; HGETEX h PERSIST FIELDS 1 z

HSET h a 1 b 2 c 3; HGETDEL h FIELDS 1 a; HGETDEL h FIELDS 1 z; HGETDEL h FIELDS 2 b c; HGETDEL h FIELDS 1 a; SET s 1;
HGETDEL s FIELDS 1 a

HSETEX h EX 100 FIELDS 1 a 1; HSET h a 2; HSETEX h EX 100 FIELDS 1 a 1; HINCRBY h a 1; HDEL h a

# sets
SADD s a b; SADD s a; SADD s a c; SREM s a z; SREM s z; SREM s b c; SREM s b

SADD s a b c; SPOP s; SPOP s 5; SPOP s; SPOP s 2; SADD s a b c; SPOP s 0; SPOP s 2; SADD t a; SPOP t; SADD u a b;
SPOP u 2

SADD s a b; SMOVE s t a; SMOVE s t z; SMOVE s t b; SMOVE s t b; SMOVE t t a; SADD s a; SMOVE s t a; SET x 1;
SMOVE t x a; SMOVE nope t a

SADD s a b; SADD t b c; SINTERSTORE d s t; SUNIONSTORE d s t; SDIFFSTORE d s t; SDIFFSTORE d s s; SDIFFSTORE d s s;
SINTERSTORE d nope s; SUNIONSTORE s s t; SUNIONSTORE e nope nope2; SET str 1; SUNIONSTORE str s; SUNIONSTORE str nope

SMEMBERS n; SISMEMBER n a; SCARD n; SINTER n m; SINTERCARD 1 n; SUNION n; SDIFF n; SMISMEMBER n a; SRANDMEMBER n;
SRANDMEMBER n 2; SSCAN n 0; SADD s a; SINTER s n; SDIFF s n; SUNION s n; SINTERCARD 2 s n

# sorted sets
ZADD z 1 a 2 b; ZADD z 1 a; ZADD z 3 a; ZADD z NX 1 a; ZADD z XX 1 q; ZADD z INCR 1 a; ZADD z INCR 0 a; ZINCRBY z 1 a;
ZINCRBY z 0 a; ZINCRBY n 1 a; ZADD z GT 1 a; ZADD z GT INCR -1 a; ZADD q XX 1 a; ZADD q XX INCR 1 a; ZADD w INCR 1 a

ZADD z 1 a 2 b 3 c; ZREM z a q; ZREM z q; ZREM z b c; ZREM z b

ZADD z 1 a 2 b 3 c 4 d; ZREMRANGEBYRANK z 0 0; ZREMRANGEBYSCORE z 2 2; ZREMRANGEBYLEX z [c [c; ZREMRANGEBYRANK z 5 9;
ZREMRANGEBYSCORE z 99 99; ZREMRANGEBYLEX z [x [y; ZREMRANGEBYRANK z 0 -1; ZREMRANGEBYRANK z 0 -1; ZADD z 1 a;
ZREMRANGEBYSCORE z 0 9; ZADD z 0 a; ZREMRANGEBYLEX z - +

ZADD z 1 a 2 b 3 c 4 d; ZPOPMIN z; ZPOPMAX z; ZPOPMIN z 0; ZPOPMIN z 5; ZPOPMIN z; ZADD z 1 a 2 b 3 c; ZMPOP 2 n z MIN;
ZMPOP 1 z MAX COUNT 9; ZMPOP 1 z MIN; ZADD z 1 a; ZPOPMAX z

ZADD z 1 a 2 b 3 c 4 d 5 e; BZPOPMIN z 1; BZPOPMAX n z 1; BZMPOP 1 1 z MIN; BZMPOP 1 2 n z MAX COUNT 9; ZADD z 1 a;
BZPOPMIN z 1

ZADD z 1 a 2 b; ZADD y 1 b 2 c; ZUNIONSTORE d 2 z y; ZINTERSTORE d 2 z y; ZDIFFSTORE d 2 z y; ZDIFFSTORE d 2 z z;
ZDIFFSTORE d 2 z z; ZINTERSTORE d 2 z n; SET str 1; ZUNIONSTORE str 1 z; ZUNIONSTORE str 1 nope

ZADD z 1 a 2 b; ZRANGESTORE d z 0 -1; ZRANGESTORE d z 5 6; ZRANGESTORE d z 5 6; ZRANGESTORE d nope 0 1;
ZRANGESTORE z z 0 0; ZRANGESTORE z nope 0 1; SET s 1; ZRANGESTORE s z 0 -1

ZRANGE n 0 1; ZCARD n; ZSCORE n a; ZMSCORE n a; ZCOUNT n 0 1; ZLEXCOUNT n - +; ZRANK n a; ZREVRANK n a;
ZREVRANGE n 0 1; ZRANGEBYSCORE n 0 1; ZRANGEBYLEX n - +; ZUNION 1 n; ZINTER 2 n m; ZDIFF 1 n; ZINTERCARD 2 n m;
ZRANDMEMBER n; ZRANDMEMBER n 2; ZSCAN n 0; ZREVRANGEBYSCORE n 1 0; ZREVRANGEBYLEX n + -; ZADD z 1 a; ZINTER 2 z n;
ZUNION 2 z n; ZDIFF 2 n z; ZDIFF 2 z n

# geo
GEOADD g 13.361389 38.115556 P 15.087269 37.502669 C; GEOADD g 13.361389 38.115556 P;
GEOADD g XX 13.361389 38.115556 Q; GEOADD g CH 14 38 P; GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 200 km;
GEOSEARCHSTORE d g FROMLONLAT 0 0 BYRADIUS 1 km; GEOSEARCHSTORE d g FROMLONLAT 0 0 BYRADIUS 1 km;
GEORADIUS g 15 37 200 km STORE e; GEORADIUS g 0 0 1 km STOREDIST e; GEORADIUSBYMEMBER g P 200 km STORE f;
GEOSEARCHSTORE d nope FROMLONLAT 0 0 BYRADIUS 1 km; GEOPOS g P; GEODIST g P C; GEOHASH g P; GEOPOS n a; GEODIST n a b;
GEOHASH n a; GEORADIUS n 0 0 1 km; GEOSEARCH n FROMLONLAT 0 0 BYRADIUS 1 km; GEORADIUS_RO n 0 0 1 km;
GEORADIUSBYMEMBER n q 1 km; GEORADIUS n 0 0 1 km STORE e

GEOADD g 13.361389 38.115556 P; SET f 1; GEORADIUS n 0 0 1 km STORE f; GEORADIUSBYMEMBER n q 1 km STORE g;
GEORADIUSBYMEMBER g P 1 km STORE g

# streams
XADD x 1-1 a b; XADD x 2-1 a b; XADD x MAXLEN 1 3-1 a b; XADD x MAXLEN = 5 4-1 a b; XADD x NOMKSTREAM 5-1 a b;
XADD nope NOMKSTREAM 1-1 a b; XADD x MAXLEN 0 6-1 a b; XADD x MINID 7 6-2 a b

XADD x 1-1 a b; XADD x 2-1 a b; XADD x 3-1 a b; XTRIM x MAXLEN 2; XTRIM x MAXLEN 2; XTRIM nope MAXLEN 2;
XTRIM x MAXLEN ~ 1; XDEL x 2-1; XDEL x 2-1; XDEL x 3-1 9-9; XDEL nope 1-1; XSETID x 9-9; XSETID x 9-9; XSETID nope 1-1;
XLEN nope; XRANGE nope - +; XREVRANGE nope + -; XREAD STREAMS nope 0; XINFO STREAM nope; XADD x 10-1 a b

XGROUP CREATE x g 0 MKSTREAM; XGROUP CREATE x g 0; XGROUP CREATE x h $; XGROUP CREATE nope h $; XGROUP SETID x g 0;
XGROUP CREATECONSUMER x g c; XGROUP CREATECONSUMER x g c; XGROUP DELCONSUMER x g c; XGROUP DELCONSUMER x g zz;
XGROUP DESTROY x h; XGROUP DESTROY x h; XGROUP DESTROY nope h; XINFO GROUPS x

XADD x 1-1 a b; XADD x 2-1 a b; XGROUP CREATE x g 0; XREADGROUP GROUP g c COUNT 1 STREAMS x >;
XREADGROUP GROUP g d STREAMS x >; XREADGROUP GROUP g d STREAMS x >; XREADGROUP GROUP g d STREAMS x 0;
XREADGROUP GROUP g e STREAMS x 0; XACK x g 1-1; XACK x g 1-1; XACK nope g 1-1; XPENDING x g; XPENDING nope g;
XINFO CONSUMERS x g

XADD x 1-1 a b; XADD x 2-1 a b; XGROUP CREATE x g 0; XREADGROUP GROUP g c STREAMS x >; XCLAIM x g d 0 1-1;
XCLAIM x g e 999999 1-1; XCLAIM x g f 0 7-7; XCLAIM x g d 0 1-1 JUSTID; XAUTOCLAIM x g h 0 0;
XAUTOCLAIM x g i 999999 0; XDEL x 1-1; XCLAIM x g d 0 1-1; XAUTOCLAIM x g k 0 0; XCLAIM x g newone 0 9-9 FORCE;
XCLAIM x g new2 0 2-1 FORCE; XREADGROUP GROUP g c NOACK STREAMS x >; XADD x 3-1 a b;
XREADGROUP GROUP g c NOACK STREAMS x >; XREADGROUP GROUP g fresh NOACK STREAMS x >

XADD x 1-1 a b; XADD y 1-1 a b; XGROUP CREATE x g 0; XGROUP CREATE y g 0; XREADGROUP GROUP g c STREAMS x y > >;
XCLAIM nope g c 0 1-1; XAUTOCLAIM nope g c 0 0; XREADGROUP GROUP g c STREAMS nope >

# generic
DEL a; SET a 1; SET b 1; DEL a b c a; SET a 1; RPUSH l 1; UNLINK a l z

SET a 1; EXPIRE a 100; PEXPIRE a 100000; EXPIREAT a 99999999999; PEXPIREAT a 9999999999999; EXPIRE a 100 NX; PERSIST a;
PERSIST a; EXPIRE a -1; EXPIRE a 10; PERSIST nope; EXPIRE nope 1; SET b 1; EXPIREAT b 1

SET a 1; RENAME a b; RENAME b b; SET c 1; RENAME b c; RENAMENX c d; SET e 1; RENAMENX e d; RENAME nope x;
RENAMENX nope x; RENAMENX d d; RPUSH l 1; RENAME l d; SET f 1 EX 100; RENAME f g; RENAME g d

SET a 1; MOVE a 1; SET a 2; MOVE a 1; MOVE nope 1; MOVE a 0; SET b 1 EX 100; MOVE b 2

SET a 1; COPY a b; COPY a b; COPY a b REPLACE; COPY a a DB 1; COPY a a DB 1 REPLACE; COPY nope x; SET e 1 EX 100;
COPY e f; RPUSH l 1; COPY l a REPLACE

EXISTS nope; TOUCH nope; TYPE nope; TTL nope; PTTL nope; OBJECT ENCODING nope; OBJECT FREQ nope; OBJECT IDLETIME nope;
DUMP nope; EXPIRETIME nope; PEXPIRETIME nope; RANDOMKEY; KEYS *; SCAN 0; GET nope; MGET nope; MEMORY USAGE nope;
DEBUG OBJECT nope; OBJECT REFCOUNT nope

SORT nope; RPUSH l 3 1 2; SORT l; SORT l STORE d; SORT l STORE d LIMIT 9 9; SORT nope STORE d; SORT nope STORE q;
SORT l LIMIT 9 1 STORE q; SORT l BY w_*; SORT l BY w_* GET x_* STORE e; SET w_1 9; SORT l BY w_*; SORT_RO nope;
SET str 1; SORT l STORE str; SORT l STORE l; SORT nope STORE l; SORT l GET h_*->f; SORT l BY h_*->f

RESTORE-OF a; RESTORE-OF a; RESTORE-OF a REPLACE; RESTORE-OF b TTL; RESTORE-OF c PAST; SET d 1;
RESTORE-OF d PAST REPLACE; RESTORE-OF nope PAST REPLACE

SET a 1; RPUSH b 1; FLUSHDB; SET a 1; FLUSHALL; SET a 1; SWAPDB 0 1; SWAPDB 0 1; FLUSHALL ASYNC

SELECT 3; SET a 1; SELECT 0; SET a 1; SWAPDB 0 3; DEL a

# keys that expire
SET a 1 PX 1; wait; GET a; GET a

SET a 1 PX 1; wait; SET a 2

SET a 1 PX 1; wait; DEL a

SET a 1 PX 1; wait; EXISTS a; SET b 1 PX 1; wait; INCR b; RPUSH l 1; PEXPIRE l 1; wait; RPUSH l 2; SADD s a;
PEXPIRE s 1; wait; SADD s a; TYPE s

SET a 1 PX 1; SET b 1; wait; RENAME b a; SET b 1 PX 1; wait; RENAME b c; SET d 1 PX 1; wait; COPY a d; SET e 1 PX 1;
wait; MGET e a; TTL e; SET e 1 PX 1; wait; TTL e; SET e 1 PX 1; wait; PERSIST e; SET e 1 PX 1; wait; EXPIRE e 10

SET a 1 PX 1; wait; SET a 1 NX; SET b 1 PX 1; wait; MOVE b 1; SET b 1 PX 1; wait; GETDEL b; SET b 1 PX 1; wait;
GETEX b; SET b 1 PX 1; wait; SET b 1 GET; SET c 1 PX 1; wait; SETRANGE c 0 x; APPEND c x

# wrong types and errors
SET s 1; LPUSH s 1; SADD s 1; HSET s a 1; ZADD s 1 a; XADD s * a b; SETBIT s x 1; INCRBY s x; LMOVE s t LEFT LEFT;
RPUSH l 1; LMOVE l s LEFT LEFT; SETRANGE l 0 x; INCR l; APPEND l x; PFADD l x; BITOP AND d l s; SINTERSTORE d s s;
ZUNIONSTORE d 1 s; GET l; HGET s a; LRANGE s 0 1

# transactions
MULTI; SET a 1; LPUSH l 1; LPOP l; DEL a; EXEC

# missing reads
GETBIT m 1; GET m; STRLEN m; HGET m a; LRANGE m 0 1; SMEMBERS m; ZRANGE m 0 1; XRANGE m - +; LPOP m; SPOP m; ZPOPMIN m;
HDEL m a; SREM m a; ZREM m a; LREM m 0 a; LSET m 0 a; PERSIST m; EXPIRE m 1; RENAME m n; GETDEL m; GETEX m; INCRBY m x;
LINSERT m BEFORE a b; LTRIM m 0 1; HGETDEL m FIELDS 1 a; HGETEX m FIELDS 1 a; SMOVE m n a; SDIFFSTORE d m n;
ZDIFFSTORE d 2 m n; BITOP AND d m n; PFCOUNT m n; PFMERGE d m; ZRANGESTORE d m 0 1; SORT m; COPY m n; MOVE m 1;
XREADGROUP GROUP g c STREAMS m >; XACK m g 1-1; XTRIM m MAXLEN 1; XDEL m 1-1; LMPOP 1 m LEFT; ZMPOP 1 m MIN;
BLPOP m 0.01; BZPOPMIN m 0.01; BLMOVE m n LEFT LEFT 0.01; RPOPLPUSH m n; DELIFEQ m 1; GETRANGE m 0 1; LCS m n;
SINTER m n; SORT_RO m; OBJECT ENCODING m; TTL m; EXISTS m; TYPE m; TOUCH m; DUMP m; HSTRLEN m a; HRANDFIELD m;
SUBSTR m 0 1; LPOS m a; LINDEX m 0; LLEN m; XLEN m; XINFO STREAM m; XINFO GROUPS m; XPENDING m g; GEOPOS m a;
BITFIELD_RO m GET u8 0; BITCOUNT m; HINCRBY m a x; ZINCRBY m x a; HTTL m FIELDS 1 a; HPERSIST m FIELDS 1 a;
HEXPIRE m 10 FIELDS 1 a; XREAD STREAMS m 0; XCLAIM m g c 0 1-1; HVALS m; HKEYS m; HLEN m; HGETALL m; HMGET m a;
HEXISTS m a; ZCARD m; ZSCORE m a; ZMSCORE m a; ZCOUNT m 0 1; ZRANK m a; SCARD m; SISMEMBER m a; SMISMEMBER m a;
MEMORY USAGE m

# edges
SETBIT a 7 0; SETBIT a 70 0; SETBIT a 70 0; BITFIELD a SET u8 8 0; BITFIELD a SET u8 800 0; BITFIELD b SET u8 0 0;
BITFIELD a INCRBY u8 0 0; BITFIELD a INCRBY u8 0 300

SET s 1; BITOP AND s s s; RPUSH l 1; BITOP NOT l s; PFMERGE h; PFADD h; PFADD h a; PFDEBUG TODENSE h; PFADD h b;
PFADD h b; PFMERGE h h; PFCOUNT h; PFMERGE g h

ZADD z NX 1 a; ZADD z NX GT 1 a; ZADD y GT 1 a; ZADD y LT CH 0 a; ZADD x NX INCR 1 a; ZADD x INCR inf a;
ZADD x INCR -inf a; ZINCRBY x -inf a; ZADD x CH 1 a 1 b 2 c; GEOADD e NX 1 1 a; GEOADD e XX CH 1 1 a

HSETEX h FNX KEEPTTL FIELDS 1 a 1; HSETEX h PX 100000 FIELDS 1 a 1; HINCRBY h a 1; HINCRBYFLOAT h a 1;
HSETEX h FXX PXAT 1 FIELDS 1 a 1; HSETEX h FXX PXAT 1 FIELDS 1 a 1; HSETEX h FNX PXAT 1 FIELDS 2 a 1 b 1

HSET h a 1 b 2; HGETEX h PX 100000 FIELDS 2 a b; HGETEX h PERSIST FIELDS 3 a b c; HGETEX h PXAT 1 FIELDS 3 a b c;
SADD s a; HGETEX s FIELDS 1 a

XADD x MAXLEN ~ 1 1-1 a b; XADD x MAXLEN ~ 0 LIMIT 0 2-* a b; XADD x MINID = 9 3-1 a b;
XADD x NOMKSTREAM MAXLEN 5 10-1 a b; XTRIM x MINID 99; XADD x 10-1 a b; XGROUP CREATE x g $ MKSTREAM;
XGROUP SETID x g $ ENTRIESREAD 1; XSETID x 11-1 ENTRIESADDED 9; XCLAIM x g c 0 1-1 LASTID 9-9;
XCLAIM x g c 0 1-1 LASTID 10-10; XAUTOCLAIM x g c 0 0 JUSTID; XGROUP DESTROY x g

SADD s a b c d; SPOP s 4; SADD s 1 2 3 4; SPOP s 3; SRANDMEMBER s -3; SADD t 9; SMOVE s t 9; SMOVE s u nothing;
SINTERSTORE s s; SDIFFSTORE s s t; SUNIONSTORE t t

SADD s b a; SORT s ALPHA STORE d; SORT s BY nosort STORE d; SORT s ALPHA LIMIT 0 0 STORE d; EXPIRE s 100;
SORT s ALPHA STORE s; TTL s; ZADD z 1 a; SORT z BY nosort GET # STORE z

SET a 1 EX 100; COPY a b; RENAME a b; SET a 2 EX 100; COPY a b REPLACE; MOVE b 3; MOVE b 3; COPY a b DB 3;
COPY a b DB 3 REPLACE; RENAME a c; RESTORE-OF c TTL REPLACE; RPUSH l 1; RESTORE-OF l REPLACE; RENAMENX c l;
RENAMENX c n

SET a 1; EXPIRE a 100 GT; EXPIRE a 100 LT; EXPIRE a 50 GT; EXPIRE a 0 GT; PEXPIREAT a 1 LT; SET a 1; GETEX a PX 100000;
GETEX a EXAT 1; SETEX a 0 x; SET a x EX 0; EXPIRE a x

RPUSH l 1 2 3 4 5; LTRIM l 0 -1; LTRIM l 1 -2; LREM l -1 4; LSET l -1 9; LINSERT l AFTER 9 10; LPOP l 0;
LMPOP 1 l RIGHT COUNT 2; LMOVE l l LEFT LEFT; LMOVE l l LEFT RIGHT; RPOPLPUSH l k; LTRIM k 5 1

SET a 1; SETRANGE a 3 x; SETRANGE b 0 x; APPEND c x; GETSET d x; GETSET d y; SETNX d z; MSET a 1 a 2; MSETNX e 1 e 2;
MSETEX 2 f 1 f 2 NX; INCRBY g 5; DECRBY g 5; SUBSTR a 0 0; DECR h

# who is blocked is served behind what was pushed
B> BLPOP l 0; RPUSH l a; RPUSH l b

B> BLPOP k l 0; C> BRPOP l 0; RPUSH l a b c

B> BLMOVE l m LEFT RIGHT 0; C> BLPOP m 0; LPUSH l x

B> BLMOVE l l LEFT RIGHT 0; RPUSH l a; LPOP l

B> BRPOPLPUSH l m 0; SET m x; RPUSH l a; DEL m; RPUSH l b

B> BZPOPMIN z 0; ZADD z 1 a; B> BZPOPMAX z 0; ZADD z 1 a 2 b; ZINCRBY z 1 a

B> BZMPOP 0 1 z MIN COUNT 5; ZADD z 1 a 2 b; B> BLMPOP 0 1 l RIGHT COUNT 5; RPUSH l 1 2 3; LPUSH l 9

B> BLPOP l 0; SADD l a; DEL l; RPUSH k a; RENAME k l

B> BLPOP l 0; RPUSH k a; COPY k l; B> BLPOP l 0; SORT k STORE l; B> BLPOP l 0; MOVE k 1; SELECT 1; MOVE k 0; RPUSH l x

B> XREAD BLOCK 0 STREAMS x $; XADD x 1-1 a b; XGROUP CREATE x g $; B> XREADGROUP GROUP g c BLOCK 0 STREAMS x >;
XADD x 2-1 a b; B> XREADGROUP GROUP g d BLOCK 0 STREAMS x >; DEL x

B> BLPOP l 0; MULTI; RPUSH l a b; LPOP l; EXEC; B> BLPOP k 0; MULTI; RPUSH k a; DEL k; EXEC; RPUSH k b

# transactions
MULTI; SELECT 3; SET a 1; RENAME a b; SELECT 0; MSET a 1 b 2; INCR a; GET nope; SUNIONSTORE d nope; LPOP a;
SET c 1 PXAT 1; EXPIRE a -1; EXEC
"""
