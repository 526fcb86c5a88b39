"""The commands that random streams are made of, a family each; tests/random_commands.py says how a line is read.

What blocks is not spoiled: with another number in its place it would block for long.

A line is left out where a server does not have its command.
"""

from tests.binary_families import BINARY_FAMILIES

FAMILIES: dict[str, str] = {
    **BINARY_FAMILIES,
    "strings": """
        2 SET key value [NX | XX | IFEQ value] [GET] \
            [EX seconds | PX milliseconds | EXAT unix-seconds | PXAT unix-milliseconds | KEEPTTL]
        2 SET key value
        2 GET key
        SETNX key value
        SETEX key seconds value
        PSETEX key milliseconds value
        GETDEL key
        DELIFEQ key value
        GETEX key [EX seconds | PX milliseconds | EXAT unix-seconds | PXAT unix-milliseconds | PERSIST]
        GETSET key value
        GETRANGE key index index
        SUBSTR key index index
        SETRANGE key offset value
        APPEND key value
        STRLEN key
        INCR key
        DECR key
        INCRBY key int
        DECRBY key int
        INCRBYFLOAT key float
        MGET (key)...
        MSET (key value)...
        MSETNX (key value)...
        MSETEX numkeys (key value)... [NX | XX] \
            [EX seconds | PX milliseconds | EXAT unix-seconds | PXAT unix-milliseconds | KEEPTTL]
        LCS key key [LEN] [IDX] [MINMATCHLEN count] [WITHMATCHLEN]
        SET key float
        0.5 RPUSH key value
        0.5 DEL key
        0.5 OBJECT ENCODING key
        0.5 TTL key
        """,
    "keys": """
        2 SET key value
        0.5 RPUSH key (value)...
        SET key value EX seconds
        2 DEL (key)...
        UNLINK (key)...
        2 EXISTS (key)...
        TOUCH (key)...
        2 TYPE key
        RENAME key key
        RENAMENX key key
        COPY key key [DB db] [REPLACE]
        MOVE key db
        KEYS pattern
        RANDOMKEY
        DBSIZE
        SELECT db
        0.3 SWAPDB db db
        0.3 FLUSHDB [ASYNC | SYNC]
        0.1 FLUSHALL [ASYNC | SYNC]
        OBJECT ENCODING key
        OBJECT REFCOUNT key
        OBJECT IDLETIME key
        OBJECT FREQ key
        OBJECT HELP
        OBJECT word key
        GET key
        TTL key
        PERSIST key
        SCAN word
        SORT key [LIMIT int int] [ASC | DESC] [ALPHA]
        DUMP word word
        RESTORE key milliseconds value
        """,
    "expiry": """
        2 SET key value [EX seconds | PX milliseconds | EXAT unix-seconds | PXAT unix-milliseconds | KEEPTTL]
        2 EXPIRE key seconds [NX | XX | GT | LT]
        PEXPIRE key milliseconds [NX | XX | GT | LT]
        EXPIREAT key unix-seconds [NX | XX | GT | LT]
        PEXPIREAT key unix-milliseconds [NX | XX | GT | LT]
        TTL key
        PTTL key
        EXPIRETIME key
        PEXPIRETIME key
        PERSIST key
        GETEX key [EX seconds | PX milliseconds | EXAT unix-seconds | PXAT unix-milliseconds | PERSIST]
        GET key
        GETSET key value
        APPEND key value
        INCR key
        SETRANGE key offset value
        RENAME key key
        COPY key key [DB db] [REPLACE]
        MOVE key db
        SELECT db
        EXISTS (key)...
        DBSIZE
        KEYS pattern
        MSET (key value)...
        0.5 DEL key
        """,
    "connection": """
        PING [value]
        ECHO value
        SELECT db
        HELLO [protocol [SETNAME name]]
        HELLO [protocol [AUTH word word]]
        CLIENT SETNAME name
        CLIENT GETNAME
        CLIENT ID
        CLIENT SETINFO (LIB-NAME | LIB-VER | word) name
        CLIENT NO-EVICT (ON | OFF | word)
        CLIENT NO-TOUCH (ON | OFF | word)
        CLIENT REPLY (ON | word)
        CLIENT TRACKINGINFO
        CLIENT GETREDIR
        CLIENT UNPAUSE
        CLIENT UNBLOCK int [TIMEOUT | ERROR | word]
        CLIENT KILL word
        CLIENT CACHING (YES | NO | word)
        CLIENT word [value]
        AUTH value [value]
        RESET
        word [value] [value]
        GET key
        SET key value
        COMMAND COUNT word
        COMMAND GETKEYS SET key value
        COMMAND GETKEYS MSET (key value)...
        COMMAND GETKEYS GET
        COMMAND GETKEYS PING
        COMMAND GETKEYS word
        COMMAND GETKEYSANDFLAGS MGET (key)...
        COMMAND INFO (GET | SET | word)
        COMMAND word
        CONFIG word
        CONFIG GET word
        CONFIG SET word value
        DEBUG word
        TIME
        WAIT word word
        """,
    # Each episode joins it with another family, see JOINED.
    "transactions": """
        6 MULTI
        6 EXEC
        DISCARD
        3 WATCH (key)...
        0.5 UNWATCH
        3 SET key value
        2 GET key
        INCR key
        MGET (key)...
        MSET (key value)...
        DEL (key)...
        EXPIRE key seconds
        TTL key
        0.5 SELECT db
        DBSIZE
        APPEND key value
        RPUSH key value
        RENAME key key
        COPY key key [DB db] [REPLACE]
        SINTERSTORE key (key)...
        LMOVE key key (LEFT | RIGHT) (LEFT | RIGHT)
        KEYS pattern
        0.2 FLUSHALL
        0.2 HELLO protocol
        0.2 RESET
        0.2 word value
        0.3 SWAPDB db db
        0.5 PING
        """,
    "lists": """
        3 RPUSH key (value)...
        3 LPUSH key (value)...
        RPUSHX key (value)...
        LPUSHX key (value)...
        LPOP key [count]
        RPOP key [count]
        LLEN key
        2 LRANGE key index index
        LINDEX key index
        LSET key index value
        2 LINSERT key (BEFORE | AFTER | word) value value
        LREM key int value
        LTRIM key index index
        LPOS key value [RANK int] [COUNT count] [MAXLEN count]
        2 LMOVE key key (LEFT | RIGHT | word) (LEFT | RIGHT)
        RPOPLPUSH key key
        LMPOP numkeys (key)... (LEFT | RIGHT) [COUNT count]
        !BLPOP key block-s
        !BRPOP key block-s
        !BLMPOP block-s 1 key (LEFT | RIGHT) [COUNT count]
        2 OBJECT ENCODING key
        SORT key [LIMIT int int] [ASC | DESC] [ALPHA]
        0.5 DEL key
        0.5 SET key value
        """,
    "dump": """
        3 RESTORE key 0 payload [REPLACE] [ABSTTL] [IDLETIME index] [FREQ index]
        3 RESTORE key 0 payload REPLACE
        RESTORE key milliseconds payload REPLACE
        RESTORE key unix-milliseconds payload REPLACE ABSTTL [IDLETIME seconds]
        RESTORE key milliseconds payload (REPLACE | ABSTTL | IDLETIME index | FREQ index | word)...
        4 DUMP key
        SET key value [EX seconds]
        RPUSH key (value)...
        SADD key (member)...
        ZADD key (score member)...
        HSET key (field value)...
        XADD key stream-id field value
        LPOP key
        SREM key member
        ZREM key member
        HDEL key field
        XDEL key stream-id
        LRANGE key index index
        SMEMBERS key
        ZRANGE key index index WITHSCORES
        HGETALL key
        XRANGE key - +
        2 OBJECT ENCODING key
        OBJECT IDLETIME key
        TYPE key
        PTTL key
        0.5 COPY key key [REPLACE]
        0.5 RENAME key key
        0.5 DEL key
        """,
    "hashes": """
        4 HSET key (field value)...
        HMSET key (field value)...
        HSETNX key field value
        2 HSET key field int
        HSET key field float
        2 HGET key field
        HMGET key (field)...
        HDEL key (field)...
        HLEN key
        HSTRLEN key field
        HEXISTS key field
        HKEYS key
        HVALS key
        HGETALL key
        2 HINCRBY key field int
        2 HINCRBYFLOAT key field float
        HRANDFIELD key [count [WITHVALUES]]
        HSCAN key (0 | int | word) [MATCH pattern] [COUNT count] [NOVALUES | NOSCORES]
        OBJECT ENCODING key
        COPY key key [REPLACE]
        RENAME key key
        DEBUG DIGEST-VALUE key
        0.5 DEL key
        0.5 SET key value
        """,
    "hash expiry": """
        4 HSET key (field value)...
        HEXPIRE key seconds [NX | XX | GT | LT] [NX | XX | GT | LT] FIELDS numkeys (field)...
        HEXPIRE key seconds FIELDS numkeys (field)...
        HPEXPIRE key milliseconds [NX | XX | GT | LT] FIELDS numkeys (field)...
        HEXPIREAT key unix-seconds [NX | XX | GT | LT] FIELDS numkeys (field)...
        HPEXPIREAT key unix-milliseconds [NX | XX | GT | LT] FIELDS numkeys (field)...
        HTTL key FIELDS numkeys (field)...
        HPTTL key FIELDS numkeys (field)...
        HEXPIRETIME key FIELDS numkeys (field)...
        HPEXPIRETIME key FIELDS numkeys (field)...
        HPERSIST key FIELDS numkeys (field)...
        2 HGETEX key [EX seconds | PX milliseconds | EXAT unix-seconds | PXAT unix-milliseconds | PERSIST] \
            FIELDS numkeys (field)...
        3 HSETEX key [NX | XX] [FNX | FXX] \
            [EX seconds | PX milliseconds | EXAT unix-seconds | PXAT unix-milliseconds | KEEPTTL] \
            FIELDS numkeys (field value)...
        HGETDEL key FIELDS numkeys (field)...
        HDEL key (field)...
        HSETNX key field value
        HINCRBY key field int
        HINCRBYFLOAT key field float
        HMGET key (field)...
        HGETALL key
        HLEN key
        HRANDFIELD key [count [WITHVALUES]]
        OBJECT ENCODING key
        TTL key
        EXPIRE key seconds
        COPY key key [REPLACE]
        RENAME key key
        SELECT db
        DBSIZE
        0.3 SWAPDB db db
        0.5 DEL key
        0.5 SET key value
        """,
    # Without SPOP: of what it chooses by chance the servers would hold different sets from then on.
    "sets": """
        4 SADD key (member)...
        2 SADD key (int)...
        SADD key (value)...
        2 SREM key (member)...
        SCARD key
        2 SMEMBERS key
        SISMEMBER key member
        SMISMEMBER key (member)...
        2 SMOVE key key member
        SINTER (key)...
        SUNION (key)...
        SDIFF (key)...
        SINTERSTORE key (key)...
        SUNIONSTORE key (key)...
        SDIFFSTORE key (key)...
        2 SINTERCARD numkeys (key)... [LIMIT count] [LIMIT int]
        SRANDMEMBER key [count]
        SSCAN key (0 | word) [MATCH pattern] [COUNT 100] [COUNT int | TYPE set | NOSCORES | NOVALUES]
        COPY key key [REPLACE]
        RENAME key key
        TYPE key
        DEBUG DIGEST-VALUE key
        2 OBJECT ENCODING key
        0.5 DEL key
        0.5 SET key value
        0.3 RPUSH key (value)...
        """,
    "sort": """
        4 RPUSH key (int)...
        RPUSH key (float)...
        2 RPUSH key (value)...
        2 SADD key (int)...
        SADD key (value)...
        2 ZADD zset (score member)...
        6 SORT key [BY nosort | BY word] [LIMIT int int] [GET #] [GET word] [ASC | DESC] [ALPHA] [STORE key]
        3 SORT key [LIMIT index index] [ASC | DESC] ALPHA [STORE key]
        2 SORT_RO key [BY nosort] [LIMIT int int] [GET # | GET nothing] [ASC | DESC] [ALPHA]
        2 SORT zset [BY nosort | BY word] [LIMIT int int] [GET #] [ASC | DESC]
        2 LRANGE key 0 -1
        TYPE key
        EXPIRE key seconds
        TTL key
        2 DEL key
        0.5 SET key value
        """,
    # Sorted sets apart, and not by text: among equals their order is each server's own.
    "sort by": """
        4 RPUSH key (int)...
        3 RPUSH key (member)...
        2 SADD key (int)...
        ZADD zset (int member)...
        MSET w_1 int w_2 int w_-1 int w_m1 int w_10 int
        MSET v_1 value v_2 value v_3 value v_m1 value v_m2 value
        HSET h_1 f int g value
        HSET h_2 f value
        0.5 RPUSH w_5 value
        0.5 DEL w_1 v_2 h_1 w_5
        0.5 SET h_5 value
        8 SORT key [BY by-pattern] [LIMIT int int] [GET by-pattern] [GET by-pattern] [ASC | DESC] [ALPHA] [STORE key]
        3 SORT key BY by-pattern [LIMIT count count] ALPHA [DESC]
        2 SORT_RO key [BY by-pattern] [LIMIT int int] [GET by-pattern] [DESC] [ALPHA]
        2 SORT zset [BY by-pattern] [LIMIT int int] [GET by-pattern] [DESC] [STORE key]
        2 LRANGE key 0 -1
        2 DEL key
        0.5 SET key value
        """,
    "zsets": """
        3 ZADD key [NX | XX] [GT | LT] [CH] [INCR] (score member)...
        2 ZADD key (score member)...
        2 ZADD key [NX | XX] [GT | LT] [CH] INCR score member
        ZREM key (member)...
        ZCARD key
        ZSCORE key member
        ZMSCORE key (member)...
        2 ZINCRBY key score member
        ZRANK key member [WITHSCORE]
        ZREVRANK key member [WITHSCORE]
        ZCOUNT key min max
        2 ZRANGE key index index [REV] [WITHSCORES]
        ZRANGE key min max BYSCORE [REV] [LIMIT int int] [WITHSCORES]
        ZRANGE key max min BYSCORE REV [LIMIT int int] [WITHSCORES]
        ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT int int]
        ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT int int]
        ZREVRANGE key index index [WITHSCORES]
        ZRANGESTORE key key index index [REV]
        ZRANGESTORE key key min max BYSCORE [REV] [LIMIT int int]
        ZREMRANGEBYSCORE key min max
        ZREMRANGEBYRANK key index index
        ZPOPMIN key [count]
        ZPOPMAX key [count]
        ZMPOP numkeys (key)... (MIN | MAX) [COUNT count]
        !BZPOPMIN key block-s
        !BZPOPMAX key block-s
        !BZMPOP block-s 1 key (MIN | MAX) [COUNT count]
        ZUNION numkeys (key)... [WEIGHTS (float)...] [AGGREGATE (SUM | MIN | MAX)] [WITHSCORES]
        ZINTER numkeys (key)... [WEIGHTS (float)...] [AGGREGATE (SUM | MIN | MAX)] [WITHSCORES]
        ZDIFF numkeys (key)... [WITHSCORES]
        ZUNION 2 key key WEIGHTS score score AGGREGATE (SUM | MIN | MAX) WITHSCORES
        ZINTER 2 key key WEIGHTS score score AGGREGATE (SUM | MIN | MAX) WITHSCORES
        ZUNIONSTORE key numkeys (key)... [WEIGHTS (float)...] [AGGREGATE (SUM | MIN | MAX)]
        ZINTERSTORE key numkeys (key)... [WEIGHTS (float)...] [AGGREGATE (SUM | MIN | MAX)]
        ZDIFFSTORE key numkeys (key)...
        ZINTERCARD numkeys (key)... [LIMIT count]
        ZRANDMEMBER key [count [WITHSCORES]]
        ZSCAN key word
        0.5 SADD key (member)...
        OBJECT ENCODING key
        0.5 COPY key key
        0.5 DEL key
        0.5 SET key value
        0.1 HELLO protocol
        """,
    # Apart from the other sorted sets: by name is undefined where the scores differ.
    "zsets by name": """
        4 !ZADD key (0 member)...
        ZREM key (member)...
        ZRANK key member
        ZREVRANK key member
        2 ZLEXCOUNT key lexmin lexmax
        2 ZRANGE key lexmin lexmax BYLEX [LIMIT int int]
        ZRANGE key lexmax lexmin BYLEX REV [LIMIT int int]
        ZRANGEBYLEX key lexmin lexmax [LIMIT int int]
        ZREVRANGEBYLEX key lexmax lexmin [LIMIT int int]
        ZRANGESTORE key key lexmin lexmax BYLEX [LIMIT int int]
        ZRANGESTORE key key lexmax lexmin BYLEX REV [LIMIT int int]
        ZREMRANGEBYLEX key lexmin lexmax
        ZPOPMIN key [count]
        OBJECT ENCODING key
        0.5 DEL key
        """,
    "streams": """
        8 XADD key stream-id (field value)...
        2 XADD key [NOMKSTREAM] [MAXLEN [= | ~] count [LIMIT count] | MINID [= | ~] stream-id [LIMIT count]] \
            stream-id (field value)...
        XLEN key
        2 XDEL key (stream-id)...
        XTRIM key (MAXLEN | MINID) [= | ~] count [LIMIT count]
        XTRIM key MINID [= | ~] stream-id [LIMIT count]
        2 XRANGE key stream-start stream-end [COUNT count]
        2 XREVRANGE key stream-end stream-start [COUNT count]
        !XREAD [COUNT count] [BLOCK block-ms] STREAMS key (stream-id | $ | + | 0)
        XREAD [COUNT count] STREAMS key key (stream-id | $ | + | 0) (stream-id | 0)
        0.3 XSETID key stream-id [ENTRIESADDED count] [MAXDELETEDID stream-id]
        XINFO STREAM key [FULL [COUNT count]]
        OBJECT ENCODING key
        TYPE key
        0.3 CONFIG SET stream-node-max-entries (0 | 1 | 2 | 3 | 100)
        0.3 COPY key key [REPLACE]
        0.3 RENAME key key
        0.4 DEL key
        0.2 SET key value
        """,
    "stream groups": """
        4 XADD key stream-id field value
        XDEL key (stream-id)...
        0.5 XTRIM key MAXLEN count
        2 XGROUP CREATE key group (stream-id | $ | 0) [MKSTREAM] [ENTRIESREAD count]
        XGROUP SETID key group (stream-id | $ | 0 | - | +) [ENTRIESREAD count]
        0.3 XGROUP DESTROY key group
        0.5 XGROUP CREATECONSUMER key group consumer
        0.5 XGROUP DELCONSUMER key group consumer
        5 !XREADGROUP GROUP group consumer [COUNT count] [BLOCK block-ms] [NOACK] STREAMS key >
        XREADGROUP GROUP group consumer [COUNT count] [NOACK] STREAMS key key (> | 0 | stream-id) (> | 0)
        2 !XREADGROUP GROUP group consumer [COUNT count] [BLOCK block-ms] [NOACK] STREAMS key (stream-id | 0 | $ | +)
        2 XACK key group (stream-id)...
        XPENDING key group
        2 XPENDING key group [IDLE min-idle] stream-start stream-end count [consumer]
        2 XCLAIM key group consumer min-idle (stream-id)... [IDLE min-idle] [TIME min-idle] [RETRYCOUNT count] [FORCE] \
            [JUSTID] [LASTID stream-id]
        2 XAUTOCLAIM key group consumer min-idle stream-start [COUNT count] [JUSTID]
        XINFO STREAM key [FULL [COUNT count]]
        2 XINFO GROUPS key
        XINFO CONSUMERS key group
        XINFO word key
        XGROUP word key group
        0.3 XSETID key stream-id [ENTRIESADDED count] [MAXDELETEDID stream-id]
        0.3 CONFIG SET stream-node-max-entries (0 | 1 | 2 | 100)
        0.3 COPY key key [REPLACE]
        0.3 RENAME key key
        0.3 DEL key
        0.1 SET key value
        """,
}

JOINED = frozenset({"transactions"})
"""Families that each episode joins with another one, half and half: what they are about is done to those commands."""

PARTNERS = sorted(FAMILIES.keys() - JOINED)
