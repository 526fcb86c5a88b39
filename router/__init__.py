"""The router: clients in front, shards behind, one order for all.

Read `session` (a client), `dispatch` (where a command goes), `batch` (cut and put back together), `link` (a shard).
"""

import common as common  # First, because it decides whether the modules of this package are loaded compiled.
