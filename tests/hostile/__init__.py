"""Slow, greedy and hostile clients, and what they do to a server and to those who behave: `python -m tests.hostile`."""
