"""Histories: many clients at once, everything they saw written down, and checked.  See `__main__`."""
