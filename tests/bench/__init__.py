"""Measurements of Shardis beside real servers: `python -m tests.bench --help`."""
