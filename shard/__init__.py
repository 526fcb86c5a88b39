"""A shard: one process with a keyspace, an append-only file and one loop.

Read `server` (a turn), `execute` (a run), `keyspace` (what a command sees), then a file of `commands`.
"""

import common as common  # First, because it decides whether the modules of this package are loaded compiled.
