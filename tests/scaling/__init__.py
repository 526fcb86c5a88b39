"""How rate and cost change with the number of shards: `python -m tests.scaling --help`."""
