"""The families of commands whose strings and scores are bits: see tests/command_families.py."""

BINARY_FAMILIES: dict[str, str] = {
    "bits": """
        SET key value
        SETBIT key bit-place bit
        2 GETBIT key bit-place
        2 BITCOUNT key [index index [BYTE | BIT]]
        2 BITPOS key bit [index [index [BYTE | BIT]]]
        2 BITFIELD key [GET encoding bit-offset] [OVERFLOW (WRAP | SAT | FAIL)] \
            [SET encoding bit-offset int] [INCRBY encoding bit-offset int] \
            [OVERFLOW (WRAP | SAT | FAIL) INCRBY encoding bit-offset int]
        BITFIELD key (GET encoding bit-offset | OVERFLOW (WRAP | SAT | FAIL | word) | SET encoding bit-offset int | \
            INCRBY encoding bit-offset int)...
        BITFIELD_RO key (GET encoding bit-offset)...
        0.3 BITFIELD_RO key OVERFLOW (WRAP | word) [SET encoding bit-offset int]
        BITOP (AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE) key (key)...
        GET key
        0.5 DEL key
        0.3 RPUSH key value
        """,
    "hyperloglog": """
        4 PFADD key (element)...
        PFADD key
        3 PFCOUNT key
        2 PFCOUNT (key)...
        2 PFMERGE key (key)...
        PFMERGE key
        PFDEBUG (TODENSE | DECODE | ENCODING | GETREG | word) key
        2 GET key
        0.5 SET key hll
        0.3 SET key value
        0.3 APPEND key value
        0.3 SETRANGE key offset value
        0.3 RPUSH key value
        0.5 DEL key
        COPY key key
        """,
    "geo": """
        3 GEOADD key [NX | XX] [CH] (longitude latitude member)...
        3 GEOADD key (longitude latitude member)...
        GEODIST key member member [unit]
        GEOHASH key (member)...
        GEOPOS key (member)...
        2 GEORADIUS key longitude latitude distance unit [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] \
            [ASC | DESC]
        GEORADIUS key longitude latitude distance unit [COUNT count [ANY]] [ASC | DESC] (STORE key | STOREDIST key)
        GEORADIUS_RO key longitude latitude distance unit [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] \
            [ASC | DESC]
        GEORADIUSBYMEMBER key member distance unit [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] \
            [ASC | DESC] [STORE key | STOREDIST key]
        GEORADIUSBYMEMBER_RO key member distance unit [WITHCOORD] [WITHDIST] [WITHHASH] [COUNT count [ANY]] [ASC | DESC]
        3 GEOSEARCH key (FROMMEMBER member | FROMLONLAT longitude latitude) (BYRADIUS distance unit | \
            BYBOX distance distance unit) [ASC | DESC] [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]
        GEOSEARCH key BYPOLYGON (3 longitude latitude longitude latitude longitude latitude | \
            4 longitude latitude longitude latitude longitude latitude longitude latitude) [ASC | DESC] \
            [COUNT count [ANY]] [WITHCOORD] [WITHDIST] [WITHHASH]
        0.3 GEOSEARCH key (BYPOLYGON count longitude latitude longitude latitude longitude latitude | \
            FROMMEMBER member | FROMLONLAT longitude latitude | BYRADIUS distance unit | ASC | ANY)...
        2 GEOSEARCHSTORE key key (FROMMEMBER member | FROMLONLAT longitude latitude) (BYRADIUS distance unit | \
            BYBOX distance distance unit) [ASC | DESC] [COUNT count [ANY]] [STOREDIST]
        0.5 ZADD key (score member)...
        0.5 ZREM key member
        ZRANGE key index index WITHSCORES
        0.5 DEL key
        0.3 SET key value
        """,
}
