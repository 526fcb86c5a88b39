"""The commands that random streams are made of, a family each; tests/random_commands.py says how a line is read.

A line is left out where a server does not have its command.
"""

FAMILIES: dict[str, str] = {
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
    "bits": """
        SET key value
        SETBIT key bit-place bit
        2 GETBIT key bit-place
        2 BITCOUNT key [index index [BYTE | BIT]]
        2 BITPOS key bit [index [index [BYTE | BIT]]]
        BITFIELD key [GET encoding bit-offset] [OVERFLOW (WRAP | SAT | FAIL)] \
            [SET encoding bit-offset int] [INCRBY encoding bit-offset int]
        BITFIELD_RO key (GET encoding bit-offset)...
        BITOP (AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE) key (key)...
        GET key
        0.5 DEL key
        0.3 RPUSH key value
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
    "transactions": """
        3 MULTI
        3 EXEC
        DISCARD
        WATCH (key)...
        UNWATCH
        3 SET key value
        2 GET key
        INCR key
        MGET (key)...
        MSET (key value)...
        DEL (key)...
        EXPIRE key seconds
        TTL key
        SELECT db
        DBSIZE
        APPEND key value
        RPUSH key value
        0.3 FLUSHALL
        0.3 HELLO protocol
        0.3 RESET
        word value
        KEYS pattern
        0.3 SWAPDB db db
        PING
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
        LINSERT key (BEFORE | AFTER) value value
        LREM key int value
        LTRIM key index index
        LPOS key value [RANK int] [COUNT count] [MAXLEN count]
        LMOVE key key (LEFT | RIGHT) (LEFT | RIGHT)
        RPOPLPUSH key key
        LMPOP numkeys (key)... (LEFT | RIGHT) [COUNT count]
        OBJECT ENCODING key
        SORT key [LIMIT int int] [ASC | DESC] [ALPHA]
        0.5 DEL key
        0.5 SET key value
        """,
    "hashes": """
        3 HSET key (field value)...
        HMSET key (field value)...
        HSETNX key field value
        2 HGET key field
        HMGET key (field)...
        HDEL key (field)...
        HLEN key
        HSTRLEN key field
        HEXISTS key field
        HKEYS key
        HVALS key
        HGETALL key
        HINCRBY key field int
        HINCRBYFLOAT key field float
        HRANDFIELD key [count]
        HEXPIRE key seconds [NX | XX | GT | LT] FIELDS numkeys (field)...
        HTTL key FIELDS numkeys (field)...
        HPERSIST key FIELDS numkeys (field)...
        HGETEX key [EX seconds | PERSIST] FIELDS numkeys (field)...
        HSETEX key [FNX | FXX] [EX seconds | KEEPTTL] FIELDS numkeys (field value)...
        OBJECT ENCODING key
        0.5 DEL key
        0.5 SET key value
        """,
    "sets": """
        3 SADD key (member)...
        SREM key (member)...
        SCARD key
        SMEMBERS key
        SISMEMBER key member
        SMISMEMBER key (member)...
        SMOVE key key member
        SINTER (key)...
        SUNION (key)...
        SDIFF (key)...
        SINTERSTORE key (key)...
        SUNIONSTORE key (key)...
        SDIFFSTORE key (key)...
        SINTERCARD numkeys (key)... [LIMIT count]
        SRANDMEMBER key [count]
        OBJECT ENCODING key
        0.5 DEL key
        0.5 SET key value
        """,
    "zsets": """
        3 ZADD key [NX | XX] [GT | LT] [CH] [INCR] (score member)...
        2 ZADD key (score member)...
        ZREM key (member)...
        ZCARD key
        ZSCORE key member
        ZMSCORE key (member)...
        ZINCRBY key score member
        ZRANK key member [WITHSCORE]
        ZREVRANK key member [WITHSCORE]
        ZCOUNT key min max
        2 ZRANGE key index index [REV] [WITHSCORES]
        ZRANGE key min max BYSCORE [REV] [LIMIT int int] [WITHSCORES]
        ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT int int]
        ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT int int]
        ZREVRANGE key index index [WITHSCORES]
        ZRANGESTORE key key index index
        ZREMRANGEBYSCORE key min max
        ZREMRANGEBYRANK key index index
        ZPOPMIN key [count]
        ZPOPMAX key [count]
        ZMPOP numkeys (key)... (MIN | MAX) [COUNT count]
        ZUNION numkeys (key)... [WEIGHTS (float)...] [AGGREGATE (SUM | MIN | MAX)] [WITHSCORES]
        ZINTER numkeys (key)... [WEIGHTS (float)...] [AGGREGATE (SUM | MIN | MAX)] [WITHSCORES]
        ZDIFF numkeys (key)... [WITHSCORES]
        ZUNIONSTORE key numkeys (key)... [WEIGHTS (float)...] [AGGREGATE (SUM | MIN | MAX)]
        ZINTERSTORE key numkeys (key)...
        ZINTERCARD numkeys (key)... [LIMIT count]
        OBJECT ENCODING key
        0.5 DEL key
        0.5 SET key value
        """,
    # Apart from the other sorted sets: by name is undefined where the scores differ.
    "zsets by name": """
        4 ZADD key (0 member)...
        ZREM key (member)...
        ZRANK key member
        ZLEXCOUNT key lexmin lexmax
        2 ZRANGE key lexmin lexmax BYLEX [LIMIT int int]
        ZRANGE key lexmax lexmin BYLEX REV [LIMIT int int]
        ZRANGEBYLEX key lexmin lexmax [LIMIT int int]
        ZREVRANGEBYLEX key lexmax lexmin [LIMIT int int]
        ZRANGESTORE key key lexmin lexmax BYLEX
        ZREMRANGEBYLEX key lexmin lexmax
        ZPOPMIN key [count]
        0.5 DEL key
        """,
}
