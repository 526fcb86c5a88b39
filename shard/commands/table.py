"""The table of the commands that a shard runs."""

from common.command import Table

TABLE = Table()
