"""Data into a server and out of it, and a look at them where they lie: shardis import, export and check."""
